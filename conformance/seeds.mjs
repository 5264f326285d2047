// Makes seeds for the fuzz targets of MQTT and AMQP from captures:
//
//     node conformance/seeds.mjs dps-transport-mqtt/tests/captures fuzz/seeds
//     node conformance/seeds.mjs dps-transport-amqp/tests/captures fuzz/seeds
//
// Conversations are made of every capture without WebSockets; what they consist of, of one of each SDK, because the
// others differ in names only.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { frames } from './lib/amqp-frames.mjs';
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
// The first byte of a conversation over MQTT says that the device begins by itself; and that it is not believed.
const BELIEVED = '0';
const NOT_BELIEVED = '2';
const WHOLE = 'symmetric-group';

// Over AMQP it has a bit for each: whether the device is believed, and whether it has a certificate.
const WITH_TRUST = 2;
const WITH_CERTIFICATE = 4;

const PROTOCOLS = {
  mqtt: { targets: ['mqtt_packet', 'mqtt_topic', 'mqtt_user_name', 'mqtt_session'], make: makeMqtt },
  amqp: { targets: ['amqp_value', 'amqp_frame', 'amqp_message', 'amqp_sasl', 'amqp_conversation'], make: makeAmqp },
};

const [from, to] = process.argv.slice(2);
const all = captures(from);
const protocols = new Set(all.map(({ transport }) => transport.replace('-ws', '')));
for (const target of [...protocols].flatMap((protocol) => PROTOCOLS[protocol].targets)) {
  mkdirSync(join(to, target), { recursive: true });
  const made = readdirSync(join(to, target)).filter((name) => name.startsWith('sdk-'));
  for (const name of made) rmSync(join(to, target, name));
}
for (const capture of all) {
  const said = (who) => Buffer.concat(capture.chunks.filter((chunk) => chunk.from === who).map(({ bytes }) => bytes));
  PROTOCOLS[capture.transport]?.make(capture, said('device'), said('service'));
}

function makeMqtt({ sdk, credential, verdict }, device, service) {
  const choice = verdict === 'accepted' ? BELIEVED : NOT_BELIEVED;
  keep('mqtt_session', `${sdk}-${credential}`, Buffer.concat([Buffer.from(choice), device]));
  if (credential !== WHOLE) return;
  for (const [nth, packet] of [...packets(device), ...packets(service)].entries()) {
    const kind = packet[0] >> 4;
    keep('mqtt_packet', `${sdk}-${nth}-${KINDS[kind]}`, packet);
    const fields = fieldsOf(packet);
    if (kind === PUBLISH) keep('mqtt_topic', `${sdk}-${nth}`, text(fields));
    // Behind the name of the protocol, its level, flags and keep-alive: the client identifier.
    if (kind === CONNECT) keep('mqtt_user_name', sdk, text(fields.subarray(10 + 2 + fields.readUInt16BE(10))));
  }
}

function makeAmqp({ case: name, sdk, credential, verdict, certificates }, device, service) {
  const believed = verdict === 'accepted' ? WITH_TRUST : 0;
  const choice = Buffer.from([believed | (certificates ? WITH_CERTIFICATE : 0)]);
  const [, , ...what] = name.split('/');
  keep('amqp_conversation', `${sdk}-${what.slice(0, 2).join('-')}`, Buffer.concat([choice, device]));
  if (credential !== WHOLE) return;
  for (const [nth, { kind, bytes, body, payload }] of [...frames(device), ...frames(service)].entries()) {
    keep('amqp_frame', `${sdk}-${nth}-${kind}`, bytes);
    if (kind.startsWith('sasl')) keep('amqp_sasl', `${sdk}-${nth}-${kind}`, body);
    if (kind === 'attach') keep('amqp_value', `${sdk}-${nth}-${kind}`, body);
    if (kind === 'transfer') keep('amqp_message', `${sdk}-${nth}`, payload);
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
