// Runs the Azure device SDKs, unmodified, against the example `serve`; with `--record DIRECTORY`, keeps there what some
// of them and the server tell each other; with `--only PATTERN`, runs the cases whose names it matches. See README.md
// beside this file.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { protonVersion } from './lib/amqp.mjs';
import { keep as keepCapture } from './lib/captures.mjs';
import { judgeAccepted, judgeCommand, judgeDisabled, judgeOperator, judgeRefused, judgeTold } from './lib/judge.mjs';
import { CLIENTS, MODES, cases, isRecorded } from './lib/matrix.mjs';
import { mosquittoVersion } from './lib/mosquitto.mjs';
import { ADDRESS, BEHIND, PORTS, settle } from './lib/network.mjs';
import { PYTHON, makeEnvironment } from './lib/python.mjs';
import { Recorder } from './lib/recorder.mjs';
import { markdown, plain } from './lib/report.mjs';
import { Server, ready } from './lib/server.mjs';
import { swtpmVersion, tcti } from './lib/tpm.mjs';
import { World } from './lib/world.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const JUDGES = {
  accepted: judgeAccepted,
  told: judgeTold,
  command: judgeCommand,
  refused: judgeRefused,
  disabled: judgeDisabled,
  operator: judgeOperator,
};
const DEVICES_AT_ONCE = 4;
const DEVICE_MILLISECONDS = 60_000;
// iot-identity-service waits 5 s before each poll; the habit is what counts, not the length.
const POLL_MILLISECONDS = 200;

const { record, only } = parseArgs({ options: { record: { type: 'string' }, only: { type: 'string', default: '' } } }).values;
makeEnvironment();
const mosquitto = mosquittoVersion() ?? fail("there are no mosquitto_pub and mosquitto_sub: Debian's mosquitto-clients");
const proton = protonVersion() ?? fail("there is no Qpid Proton: Debian's python3-qpid-proton");
const swtpm = swtpmVersion() ?? fail("there is no swtpm: Debian's swtpm");
const where = await settle();
const binary = example('serve', 'DPS_SERVE');
if (!binary) fail('there is no server: cargo build --release --example serve');
// It needs libraries that nothing else does.
const tpmDevice = example('tpm_device', 'DPS_TPM_DEVICE');
const switchedOff = readSwitchedOff(cases());
const there = cases().filter(({ client }) => tpmDevice || client !== 'tpm-device');
const all = there.filter((each) => (!record || isRecorded(each)) && new RegExp(only).test(each.name));
console.log(`Server: ${binary}\nListens on ${where}\nClients run on Node.js ${process.versions.node}, mosquitto is ${mosquitto}, Qpid Proton ${proton}, swtpm ${swtpm}\n`);

// Keys are made for this run only; they stay behind only where somebody needs them to look into a failure.
const directory = await mkdtemp(join(tmpdir(), 'dps-conformance-'));
const world = await World.create(directory, all, tpmDevice);
const results = [];
let said = '';
for (const mode of Object.keys(MODES)) results.push(...(await runMode(mode)));
said += await world.stop();

console.log(plain(results));
if (!tpmDevice) console.log('left out: devices on the example tpm_device, which is not built; RESULTS.md stays as it is');
for (const { case: name, reason } of switchedOff) console.log(`switched off: ${name}: ${reason}`);
const failed = results.filter(({ verdict }) => verdict === 'failed');
for (const { each, complaints } of failed) {
  console.log(`\nFAILED ${each.name}`);
  for (const complaint of complaints) console.log(`  ${complaint}`);
}
const count = (verdict) => results.filter((result) => result.verdict === verdict).length;
console.log(`\n${count('passed')} passed, ${failed.length} failed, ${count('off')} switched off`);
if (!record && !only && tpmDevice) await writeFile(here('RESULTS.md'), markdown(results, switchedOff));
if (failed.length > 0) {
  console.log(`\nThe server and the TPMs said:\n${said}\nKeys, enrollments and configuration are left in ${directory}`);
  process.exit(1);
}
await rm(directory, { recursive: true });

async function runMode(mode) {
  const mine = all.filter((each) => each.mode === mode);
  const isOff = ({ name }) => switchedOff.some((entry) => entry.case === name);
  const outcomes = new Map(mine.filter(isOff).map((each) => [each.name, { each, verdict: 'off' }]));
  const on = mine.filter((each) => !isOff(each));
  const keep = (each, complaints, exchanges) => {
    const verdict = complaints.length === 0 ? 'passed' : 'failed';
    outcomes.set(each.name, { each, verdict, complaints, exchanges });
  };

  const address = record ? BEHIND : ADDRESS;
  const config = await world.configure(mode, address);
  const server = await Server.start(binary, config, ready(address, MODES[mode].apart)).catch((error) => fail(error.message));
  const recorder = record && (await Recorder.start(world, PORTS, ADDRESS, BEHIND));
  const device = recorder ? (each) => recorded(recorder, each) : run;
  // What is recorded has the recorder for itself.
  const atOnce = on.filter(({ kind, refusal }) => !refusal && kind !== 'stop');
  await eachAtOnce(recorder ? 1 : DEVICES_AT_ONCE, atOnce, async (each) => {
    const outcome = await device(each);
    keep(each, judged(() => JUDGES[each.kind](each, outcome)), outcome.exchanges.length);
  });
  // Refusals come last and one after the other: they count against the address they come from.
  const models = new Map();
  for (const each of on.filter(({ refusal }) => refusal)) {
    const outcome = await device(each);
    const by = `${each.client}/${each.transport}`;
    keep(each, judged(() => JUDGES[each.kind](each, outcome, models.get(by))), outcome.exchanges.length);
    const answer = outcome.exchanges.at(-1);
    if (each.kind === 'refused' && answer && !models.has(by)) models.set(by, answer);
  }
  recorder?.stop();
  const status = await server.stop().catch((error) => error.message);
  said += server.said;
  for (const each of on.filter(({ kind }) => kind === 'stop')) {
    keep(each, status === 0 ? [] : [`ended with ${status}`]);
  }
  return mine.map(({ name }) => outcomes.get(name));
}

function orderOf(each) {
  const device = world.devices.get(each.name);
  return {
    ...device,
    ...(each.client === 'tpm-device' ? { program: tpmDevice, tcti: tcti(device.tpm), options: each.habit.options } : {}),
    transport: each.transport,
    habit: each.habit,
    command: each.habit?.command,
    times: each.habit?.times,
    ca: world.serverAuthority.cert,
    caFile: world.serverAuthority.certFile,
    pollMilliseconds: POLL_MILLISECONDS,
  };
}

/** The same as `run`, keeping what was said if the device ended as it must. */
async function recorded(recorder, each) {
  const order = orderOf(each);
  recorder.expect(order);
  const outcome = await run(each);
  const complaints = judged(() => JUDGES[each.kind](each, outcome));
  if (complaints.length === 0) await keepCapture(record, each, order, await recorder.finish());
  return outcome;
}

/** Runs one device in a process of its own and returns what it reported. */
function run(each) {
  const order = orderOf(each);
  const { program, python = PYTHON, environment } = CLIENTS[each.client];
  const path = here(`devices/${program}`);
  // `localhost` may mean ::1 first; the server listens on 127.0.0.1.
  const tls = each.tls === 'TLSv1.2' ? ['--tls-max-v1.2'] : [];
  const [command, words] = program.endsWith('.py')
    ? [python, [path]]
    : [process.execPath, ['--dns-result-order=ipv4first', ...tls, path]];
  const child = spawn(command, words, {
    env: { PATH: process.env.PATH, ...environment?.(world.serverAuthority) },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: DEVICE_MILLISECONDS,
  });
  const begun = Date.now();
  return new Promise((resolve) => {
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    child.stderr.on('data', (chunk) => (err += chunk));
    child.stdin.on('error', () => {});
    child.on('close', (code, signal) => {
      try {
        // A device that reports and then does not end was waiting for something, too.
        resolve({ ...JSON.parse(out), milliseconds: Date.now() - begun });
      } catch {
        const message = `the device's process ended with ${signal ?? code}: ${out}${err}`;
        resolve({ error: { name: 'Error', message }, exchanges: [] });
      }
    });
    child.stdin.end(JSON.stringify(order));
  });
}

/** An answer that cannot even be read is a failure of its case, not of the run. */
function judged(judge) {
  try {
    return judge();
  } catch (error) {
    return [error.message];
  }
}

async function eachAtOnce(count, items, run) {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item; item = queue.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: count }, worker));
}

/** The path of an example that is built; `undefined` if it is not. The variable says where it is, if it is elsewhere. */
function example(name, variable) {
  const elsewhere = process.env[variable];
  const usual = ['release', 'debug'].map((profile) => here(`../target/${profile}/examples/${name}`));
  return (elsewhere ? [elsewhere] : usual).find(existsSync);
}

function readSwitchedOff(known) {
  const entries = JSON.parse(readFileSync(here('switched-off.json'), 'utf8'));
  const names = new Set(known.map(({ name }) => name));
  for (const { case: name, reason } of entries) {
    if (!names.has(name)) fail(`switched-off.json names a case that does not exist: ${name}`);
    if (typeof reason !== 'string' || reason.trim() === '') fail(`switched-off.json gives no reason for ${name}`);
  }
  return entries;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
