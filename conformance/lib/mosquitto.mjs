// What devices made of mosquitto do, as data: how the library is used, and what single commands must come to.

import { spawnSync } from 'node:child_process';

/** What devices on libmosquitto do otherwise than usual, which is all in quality 1 and a clean session. */
export const HABITS = {
  'quality-0': { title: 'all in quality 0', qos: 0 },
  'kept-session': { title: 'clean session 0', cleanSession: false },
  // The server waits for one and a half times the keep-alive: only a ping keeps the connection.
  'keep-alive': { title: 'idle for 9 s with a keep-alive of 5 s', keepAliveSeconds: 5, idleSeconds: 9 },
};

export const UNKNOWN_OPERATION = {
  title: 'asks after an unknown operation',
  operationId: '5.0123456789abcdef.unknown',
};

const REGISTER = '$dps/registrations/PUT/iotdps-register/?$rid=1';
const ANSWERS = '$dps/registrations/res/#';

const published = (...words) => ['mosquitto_pub', '-m', '{}', ...words];

const CLOSED = { says: ['CONNACK (0)', 'connection was lost'], status: 7, result: 'closed' };

/**
 * Single commands: `status` is how each must end, and it must say all of `says` in this order. No command can be a
 * whole device, because none both subscribes with a wildcard and publishes.
 */
export const COMMANDS = {
  publish: {
    title: 'publishes in quality 1, unsubscribed',
    command: published('-q', '1', '-t', REGISTER),
    says: ['CONNACK (0)', 'received PUBACK'],
    status: 0,
    result: 'acknowledged',
  },
  'quality-2': {
    title: 'publishes in quality 2',
    command: published('-q', '2', '-t', REGISTER),
    ...CLOSED,
  },
  retained: {
    title: 'publishes to be retained',
    command: published('-q', '1', '-r', '-t', REGISTER),
    ...CLOSED,
  },
  'foreign-topic': {
    title: 'publishes to a foreign topic',
    command: published('-q', '1', '-t', 'devices/a/messages'),
    ...CLOSED,
  },
  'foreign-filter': {
    title: 'subscribes to #',
    command: ['mosquitto_sub', '-q', '1', '-t', '#', '-W', '5'],
    says: ['received SUBACK', 'Subscribed (mid: 1): 128'],
    status: 0,
    result: 'SUBACK 0x80',
  },
  unsubscribe: {
    title: 'subscribes in quality 2, unsubscribes, pings',
    command: ['mosquitto_sub', '-q', '2', '-t', ANSWERS, '-U', ANSWERS, '-k', '5', '-W', '9'],
    says: ['Subscribed (mid: 1): 1', 'received UNSUBACK', 'received PINGRESP'],
    // It ends because its time is over.
    status: 27,
    result: 'granted 1, all answered',
  },
  'another-id': {
    title: 'another client identifier',
    command: published('-i', 'somebody-else', '-t', REGISTER),
    says: ['CONNACK (5)'],
    status: 5,
    result: 'CONNACK 5',
  },
  'mqtt-3.1': {
    title: 'MQTT 3.1',
    command: published('-V', 'mqttv31', '-t', REGISTER),
    says: ['CONNACK (1)'],
    status: 1,
    result: 'CONNACK 1',
  },
};

/** The version of mosquitto's clients on this machine; `undefined` if there are none. */
export function mosquittoVersion() {
  const { stdout } = spawnSync('mosquitto_pub', ['--version'], { encoding: 'utf8' });
  return stdout?.match(/version (\S+)/)?.[1];
}
