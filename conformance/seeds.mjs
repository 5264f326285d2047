// Makes seeds for the fuzz targets of MQTT from captures:
//
//     node conformance/seeds.mjs dps-transport-mqtt/tests/captures fuzz/seeds
//
// Conversations are made of every capture without WebSockets; packets, topics and user names of one of each SDK, because
// the others differ in names only.

import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { captures } from './lib/captures.mjs';

const KINDS = {
  1: 'connect',
  2: 'connack',
  3: 'publish',
  4: 'puback',
  8: 'subscribe',
  9: 'suback',
  10: 'unsubscribe',
  11: 'unsuback',
  14: 'disconnect',
};
const CONNECT = 1;
const PUBLISH = 3;
// The first byte of a conversation says that the device begins by itself; and that it is not believed.
const BELIEVED = '0';
const NOT_BELIEVED = '2';
const WHOLE = 'symmetric-group';

const [from, to] = process.argv.slice(2);
const targets = ['mqtt_packet', 'mqtt_topic', 'mqtt_user_name', 'mqtt_session'];
for (const target of targets) {
  const made = readdirSync(join(to, target)).filter((name) => name.startsWith('sdk-'));
  for (const name of made) rmSync(join(to, target, name));
}

for (const { sdk, transport, credential, verdict, chunks } of captures(from)) {
  if (transport !== 'mqtt') continue;
  const said = (who) => Buffer.concat(chunks.filter((chunk) => chunk.from === who).map(({ bytes }) => bytes));
  const device = said('device');
  const choice = verdict === 'accepted' ? BELIEVED : NOT_BELIEVED;
  keep('mqtt_session', `${sdk}-${credential}`, Buffer.concat([Buffer.from(choice), device]));
  if (credential !== WHOLE) continue;
  for (const [nth, packet] of [...packets(device), ...packets(said('service'))].entries()) {
    const kind = packet[0] >> 4;
    keep('mqtt_packet', `${sdk}-${nth}-${KINDS[kind]}`, packet);
    const fields = fieldsOf(packet);
    if (kind === PUBLISH) keep('mqtt_topic', `${sdk}-${nth}`, text(fields));
    // Behind the name of the protocol, its level, flags and keep-alive: the client identifier.
    if (kind === CONNECT) keep('mqtt_user_name', sdk, text(fields.subarray(10 + 2 + fields.readUInt16BE(10))));
  }
}

function keep(target, name, bytes) {
  writeFileSync(join(to, target, `sdk-${name}`), bytes);
}

function packets(bytes) {
  const all = [];
  for (let rest = bytes; rest.length > 0; ) {
    const { head, length } = sizes(rest);
    all.push(rest.subarray(0, head + length));
    rest = rest.subarray(head + length);
  }
  return all;
}

function fieldsOf(packet) {
  return packet.subarray(sizes(packet).head);
}

function sizes(bytes) {
  let length = 0;
  let head = 1;
  for (let more = true; more; head += 1) {
    length += (bytes[head] & 0x7f) * 128 ** (head - 1);
    more = (bytes[head] & 0x80) !== 0;
  }
  return { head, length };
}

/** The text at the beginning of `bytes`, without its length. */
function text(bytes) {
  return bytes.subarray(2, 2 + bytes.readUInt16BE(0));
}
