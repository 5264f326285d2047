// The server under test: the example `serve`, started as anybody would start it.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { AMQP_PORT, MQTT_PORT, OPERATORS_PORT, PORT } from './network.mjs';

const LISTENERS = { https: PORT, mqtts: MQTT_PORT, amqps: AMQP_PORT };
const WITH_OPERATORS = { ...LISTENERS, operators: OPERATORS_PORT };
/** What a server says that listens on `address`, `apart` for operators as well. */
export const ready = (address, apart) =>
  Object.entries(apart ? WITH_OPERATORS : LISTENERS).map(([name, port]) => `${name} listening on ${address}:${port}`);

const START_MILLISECONDS = 30_000;
const STOP_MILLISECONDS = 30_000;

export class Server {
  #child;
  #exit;
  #said = '';

  /** Starts `binary CONFIG` and returns once it has said all lines of `awaited`. */
  static async start(binary, config, awaited) {
    const server = new Server();
    await server.#start(binary, config, awaited);
    return server;
  }

  async #start(binary, config, awaited) {
    const child = spawn(binary, [config], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#exit = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(signal ?? code));
    });
    this.#exit.catch(() => {});
    process.once('exit', () => child.kill('SIGKILL'));
    child.stderr.on('data', (chunk) => (this.#said += chunk));

    const listening = new Promise((resolve) => {
      const missing = new Set(awaited);
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.#said += `${line}\n`;
        missing.delete(line.trim());
        if (missing.size === 0) resolve();
      });
    });
    const ended = this.#exit.then((status) => {
      throw new Error(`${binary} ended with ${status} before it listened:\n${this.#said}`);
    });
    try {
      await within(START_MILLISECONDS, `${binary} did not print "${awaited.join('" and "')}"`, Promise.race([listening, ended]));
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Everything the server has printed so far. */
  get said() {
    return this.#said;
  }

  /** Sends SIGTERM and returns the exit status, or the name of the signal that ended the server. */
  async stop() {
    this.#child.kill('SIGTERM');
    try {
      return await within(STOP_MILLISECONDS, 'the server did not end on SIGTERM', this.#exit);
    } finally {
      this.#child.kill('SIGKILL');
    }
  }
}

async function within(milliseconds, complaint, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${complaint} within ${milliseconds / 1000} s`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
