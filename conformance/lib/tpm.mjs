// TPMs for devices. TSS.JS, which the SDK for Node.js uses, speaks TCP as Microsoft's simulator does (TSS.MSR,
// `TSS.JS/src/TpmDevice.ts`; ms-tpm-20-ref, `TPMCmd/Simulator/src/TcpServer.c`): commands in frames on one port, power
// on the next. swtpm takes commands without frames. What stands between the two is here, one for each TPM, so that any
// number of devices have one each. tpm2-tss takes them for the same simulator.

import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

/** What a device with a TPM does otherwise than usual. Each time it has to be given another key for its hub. */
export const AGAIN = { title: 'registers again', times: 2, substatus: 'reprovisionedToInitialAssignment' };

/** The kinds of keys that the example `tpm_device` uses: those that the SDK made, or its own, which no SDK knows. */
export const KEYS = {
  rsa: { title: 'keys on RSA', options: [] },
  ecc: { title: 'keys on P-256', options: ['--ecc'] },
};

/** What the example `tpm_device` must say, in this order, to be assigned as expected. */
export function assignedBy(registrationId, { hubs, deviceId, challenges, exchanges }) {
  return [
    `Registers as ${registrationId}`,
    // It counts the challenge over AMQP, too.
    `  ${exchanges - challenges + 1} exchanges`,
    `  assigned to ${hubs[0]}, as ${deviceId}`,
    `signs with it:\n  SharedAccessSignature sr=${hubs[0]}%2Fdevices%2F${deviceId}&`,
  ];
}

/** Has the example `tpm_device` make the keys of a TPM, and returns the endorsement key. */
export async function keyBy(program, place, { options }) {
  const { stdout } = await promisify(execFile)(program, ['--tcti', tcti(place), ...options]);
  return stdout.match(/endorsement key.*\n +(\S+)/)[1];
}

/** How tpm2-tss names a TPM that speaks as Microsoft's simulator does. */
export function tcti({ host, port }) {
  return `mssim:host=${host},port=${port}`;
}

const ADDRESS = '127.0.0.1';
const MOST_PAIRS_OF_PORTS = 100;

/** The signals that mean something to a TPM that is always on; all others are about power and state. */
const SEND_COMMAND = 8;
const HANDSHAKE = 15;
const SESSION_END = 20;
const STOP = 21;

const SERVER_VERSION = 1;
/** There is a port for power, commands are passed on as they are, and physical presence may be asserted. */
const PROPERTIES = 0x01 | 0x04 | 0x08;
/** Longer than any command or answer. */
const MOST_BYTES = 4096;
/** A tag, the length of the whole, and what is asked or answered. */
const HEADER_BYTES = 10;

/** A swtpm of its own, and the two ports over which TSS.JS reaches it. */
export class Tpm {
  #process;
  #ended;
  #said = '';
  #answers;
  #last = Promise.resolve();
  #listeners = [];
  #sockets = new Set();

  /** Starts a new TPM that keeps its state in `directory`, which is made. */
  static async start(directory) {
    const tpm = new Tpm();
    await tpm.#start(directory);
    return tpm;
  }

  async #start(directory) {
    await mkdir(directory, { recursive: true });
    // It is handed one end of a socket, needs no port for that, and ends when the other end is closed, however that
    // comes about.
    const options = ['--tpm2', '--tpmstate', `dir=${directory}`, '--fd', '3', '--flags', 'not-need-init,startup-clear'];
    this.#process = spawn('swtpm', ['socket', ...options], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    this.#ended = new Promise((resolve) => this.#process.once('close', resolve));
    const hear = (said) => (this.#said += said);
    this.#process.stdout.on('data', hear);
    this.#process.stderr.on('data', hear);
    this.#process.on('error', hear);
    this.#channel.on('error', hear);
    this.#answers = new Input(this.#channel);
    await this.#listen();
  }

  get #channel() {
    return this.#process.stdio[3];
  }

  /** What went wrong here, if anything did. */
  get said() {
    return this.#said;
  }

  /** Where TSS.JS finds it: the second port is the one after `port`. */
  get place() {
    return { host: ADDRESS, port: this.#listeners[0].address().port };
  }

  /** Ends the TPM and whoever is connected to it. */
  async stop() {
    for (const listener of this.#listeners) listener.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#channel.end();
    await this.#ended;
  }

  /** Listens on two ports that follow each other. */
  async #listen() {
    const serve = (answer) => (socket) => this.#serve(socket, answer);
    for (let tries = 0; tries < MOST_PAIRS_OF_PORTS; tries++) {
      const commands = await listening(serve(this.#commands), 0);
      const power = await listening(serve(this.#power), commands.address().port + 1).catch(() => undefined);
      if (power) {
        this.#listeners = [commands, power];
        return;
      }
      commands.close();
    }
    throw new Error('no two ports that follow each other are free');
  }

  async #serve(socket, serve) {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    try {
      await serve.call(this, new Input(socket), socket);
    } catch (error) {
      this.#said += `${error.message}\n`;
    }
    socket.destroy();
  }

  /** Commands, one after the other; every answer ends with a word that says all went well. */
  async #commands(input, socket) {
    for (;;) {
      const signal = await input.signal();
      switch (signal) {
        case HANDSHAKE:
          // The version of the client.
          await input.word();
          socket.write(words(SERVER_VERSION, PROPERTIES, 0));
          break;
        case SEND_COMMAND: {
          // The locality.
          await input.take(1);
          const answer = await this.#ask(await input.take(limited(await input.word())));
          socket.write(Buffer.concat([words(answer.length), answer, words(0)]));
          break;
        }
        case SESSION_END:
        case STOP:
        case undefined:
          return;
        default:
          throw new Error(`signal ${signal} where commands are sent`);
      }
    }
  }

  /** Everything is acknowledged: the TPM is on and stays on. */
  async #power(input, socket) {
    for (;;) {
      const signal = await input.signal();
      if (signal === undefined || signal === SESSION_END || signal === STOP) return;
      socket.write(words(0));
    }
  }

  /** Sends a command to swtpm once all earlier ones are answered, and returns its answer. */
  #ask(command) {
    const answer = this.#last.then(async () => {
      this.#channel.write(command);
      const header = await this.#answers.take(HEADER_BYTES);
      const rest = limited(header.readUInt32BE(2)) - HEADER_BYTES;
      return Buffer.concat([header, await this.#answers.take(rest)]);
    });
    this.#last = answer.catch(() => {});
    return answer;
  }
}

/** What comes in on a stream, in the pieces it is asked for. */
class Input {
  #chunks;
  #held = Buffer.alloc(0);

  constructor(stream) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** The next `count` bytes. */
  async take(count) {
    while (this.#held.length < count) {
      if (!(await this.#more())) throw new Error(`the other side ended, and ${count} bytes were to come`);
    }
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  /** The next four bytes as a number. */
  async word() {
    return (await this.take(4)).readUInt32BE(0);
  }

  /** The same between two frames, where it may also end: then `undefined`. */
  async signal() {
    return this.#held.length > 0 || (await this.#more()) ? this.word() : undefined;
  }

  async #more() {
    const { value, done } = await this.#chunks.next();
    if (done) return false;
    this.#held = Buffer.concat([this.#held, value]);
    return true;
  }
}

function words(...values) {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index));
  return bytes;
}

function limited(length) {
  if (length >= HEADER_BYTES && length <= MOST_BYTES) return length;
  throw new Error(`${length} bytes, which is no length of a command or an answer`);
}

async function listening(connected, port) {
  const server = createServer(connected).listen(port, ADDRESS);
  await once(server, 'listening');
  return server;
}

/** The version of swtpm on this machine; `undefined` if there is none. */
export function swtpmVersion() {
  const { stdout } = spawnSync('swtpm', ['--version'], { encoding: 'utf8' });
  return stdout?.match(/version (\d[\d.]*)/)?.[1];
}
