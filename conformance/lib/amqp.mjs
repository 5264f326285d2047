// What devices on general AMQP libraries do otherwise than usual, as data. Usual is: a key by SASL PLAIN, a certificate
// without SASL, plain addresses, messages that are settled by whoever gets them.

import { spawnSync } from 'node:child_process';

export const HABITS = {
  // How Java and C write them.
  'slash-address': { title: 'addresses with a slash', address: 'slash' },
  'url-address': { title: 'addresses as URLs', address: 'url' },
  settled: { title: 'sends settled messages', settled: true },
  'small-frames': { title: 'takes frames of 512 bytes', maxFrameSize: 512 },
  // A library that hears nothing for so long gives up.
  heartbeat: { title: 'idle for 5 s, has to be sent something every 2 s', idleTimeOutSeconds: 2, idleSeconds: 5 },
};

/** With a certificate alone. */
export const EXTERNAL = { title: 'SASL EXTERNAL', external: true };

/** Requests that must be refused, each by itself: the connection goes on. */
export const REQUESTS = {
  'unknown-operation': {
    title: 'asks after an unknown operation',
    ask: { 'iotdps-operation-type': 'iotdps-get-operationstatus', 'iotdps-operation-id': '5.0123456789abcdef.unknown' },
    status: 404,
    condition: 'amqp:not-found',
  },
  'wrong-request': {
    title: 'asks something else',
    ask: { 'iotdps-operation-type': 'iotdps-reboot' },
    status: 400,
    condition: 'amqp:not-allowed',
  },
};

/** The Python that has Debian's modules: a virtual environment has not. */
export const SYSTEM_PYTHON = '/usr/bin/python3';

/** The version of Qpid Proton on this machine; `undefined` if there is none. */
export function protonVersion() {
  const print = 'import proton; print(".".join(map(str, proton.VERSION)))';
  const { status, stdout } = spawnSync(SYSTEM_PYTHON, ['-c', print], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
