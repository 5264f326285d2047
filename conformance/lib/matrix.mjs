// Every case, as data. A case is one registration by one device; its name is how `switched-off.json` calls it.

import { readFileSync } from 'node:fs';
import * as amqp from './amqp.mjs';
import { COMMANDS, HABITS, UNKNOWN_OPERATION } from './mosquitto.mjs';
import { AGAIN, KEYS, assignedBy } from './tpm.mjs';

/** How the server answers a registration it can finish at once. */
export const MODES = {
  // The default grace time: the result is in the answer to register.
  'one-exchange': { title: 'Default grace time', answers: 'assigned' },
  // Grace time 0: the first answer is always `assigning`, as the Azure service answers.
  polling: { title: 'Grace time 0', graceMs: 0, answers: 'assigning' },
  // Only for operators whose SDK connects to other ports than 443.
  'own-port': { title: 'Operators on a port of their own', apart: true, answers: 'assigned' },
};
const SHARED_PORT = ['one-exchange', 'polling'];

const beside = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');
const version = (name) => JSON.parse(beside(`../node_modules/${name}/package.json`)).version;
const pythonVersion = (name) => beside('../requirements.txt').match(new RegExp(`^${name}==(\\S+)`, 'm'))[1];

export const TRANSPORTS = {
  https: 'HTTPS',
  mqtt: 'MQTT',
  'mqtt-ws': 'MQTT in WebSockets',
  amqp: 'AMQP',
  'amqp-ws': 'AMQP in WebSockets',
};

const trusting = ({ certFile }) => ({ NODE_EXTRA_CA_CERTS: certFile });

export const CLIENTS = {
  'azure-iot-node': {
    title: 'Azure Node.js device SDK',
    version: version('azure-iot-provisioning-device-http'),
    program: 'azure-node.cjs',
    refusal: 'UnauthorizedError',
    environment: trusting,
    exchanges: { 'one-exchange': 1, polling: 2 },
  },
  'azure-iot-node-service': {
    title: 'Azure Node.js service SDK',
    version: version('azure-iot-provisioning-service'),
    program: 'azure-node-service.cjs',
    environment: trusting,
  },
  'azure-iot-python-service': {
    title: 'Azure Python service SDK',
    version: pythonVersion('azure-iothub-provisioningserviceclient'),
    program: 'azure_python_service.py',
    environment: ({ certFile }) => ({ REQUESTS_CA_BUNDLE: certFile }),
  },
  'operator-habits': {
    title: 'client with the habits of another service SDK',
    version: '',
    program: 'operator-habits.cjs',
    environment: trusting,
  },
  'azure-iot-node-mqtt': {
    title: 'Azure Node.js device SDK',
    package: 'azure-iot-provisioning-device-mqtt',
    version: version('azure-iot-provisioning-device-mqtt'),
    program: 'azure-node-mqtt.cjs',
    refusal: 'UnauthorizedError',
    environment: trusting,
    exchanges: { 'one-exchange': 1, polling: 2 },
  },
  'azure-iot-node-amqp': {
    title: 'Azure Node.js device SDK',
    package: 'azure-iot-provisioning-device-amqp',
    version: version('azure-iot-provisioning-device-amqp'),
    program: 'azure-node-amqp.cjs',
    // It does not tell its users why SASL failed.
    refusal: { key: 'NotConnectedError', certificate: 'amqp:unauthorized-access', tpm: 'NotConnectedError' },
    environment: trusting,
    exchanges: { 'one-exchange': 1, polling: 2 },
  },
  'azure-iot-python': {
    title: 'Azure Python device SDK',
    package: 'azure-iot-device',
    version: pythonVersion('azure-iot-device'),
    program: 'azure_python.py',
    refusal: 'ClientError',
    exchanges: { 'one-exchange': 1, polling: 2 },
  },
  rhea: {
    title: 'rhea',
    package: 'rhea',
    version: version('rhea'),
    program: 'rhea.cjs',
    refusal: { key: 'amqp:unauthorized-access', certificate: 'amqp:unauthorized-access' },
    exchanges: { 'one-exchange': 1, polling: 2 },
  },
  // What the operating system has: the version is no part of the table.
  proton: {
    title: 'Qpid Proton',
    package: 'python3-qpid-proton',
    version: '',
    installed: amqp.protonVersion,
    program: 'qpid_proton.py',
    python: amqp.SYSTEM_PYTHON,
    refusal: { key: 'ConnectionException', certificate: 'amqp:unauthorized-access' },
    exchanges: { 'one-exchange': 1, polling: 2 },
  },
  'identity-service': {
    title: 'client with the habits of iot-identity-service',
    version: '',
    program: 'identity-service.cjs',
    refusal: 'UnauthorizedError',
    exchanges: { 'one-exchange': 2, polling: 2 },
  },
  'tpm-device': {
    title: 'example `tpm_device`, on tpm2-tss',
    version: '',
    program: 'tpm-device.cjs',
    exchanges: { 'one-exchange': 1, polling: 2 },
  },
  // What the operating system has: the version is no part of the table.
  mosquitto: {
    title: 'libmosquitto',
    version: '',
    program: 'mosquitto.py',
    refusal: 'Refused',
    exchanges: { 'one-exchange': 1, polling: 2 },
  },
  'mosquitto-tools': {
    title: 'mosquitto_pub, mosquitto_sub',
    version: '',
    program: 'mosquitto-tools.cjs',
    exchanges: { 'one-exchange': 0, polling: 0 },
  },
};

export const HUBS = [
  { name: 'hub-eu.example.net', location: 'westeurope' },
  { name: 'hub-us.example.net', location: 'eastus' },
  { name: 'hub-asia.example.net', location: 'southeastasia' },
];
const ANY_HUB = HUBS.map((hub) => hub.name);
const [EU, US, ASIA] = ANY_HUB;

/**
 * The kinds of credential, each with what its devices must be told. Where `echoes`, the policy is custom, and the
 * allocation hook of `serve` gives a device back what it sent; elsewhere the policy is built in and gives nothing.
 */
export const CREDENTIALS = {
  'x509-individual': { title: 'X.509, individual', hubs: [EU], echoes: true, deviceId: (id) => id },
  'x509-group': { title: 'X.509, group by intermediate CA', hubs: [US], echoes: true, deviceId: (id) => id },
  'x509-root-group': { title: 'X.509, group by verified root CA', hubs: ANY_HUB, deviceId: (id) => id },
  'symmetric-individual': { title: 'symmetric key, individual', hubs: [ASIA], deviceId: (id) => `device-of-${id}` },
  'symmetric-group': { title: 'symmetric key, group', hubs: ANY_HUB, echoes: true, deviceId: (id) => id },
  tpm: { title: 'TPM 2.0, individual', hubs: [ASIA], echoes: true, deviceId: (id) => `device-of-${id}` },
};

const PAYLOADS = {
  'no-payload': { title: 'no' },
  payload: { title: 'yes', payload: { model: 'pump 7', site: { hall: 3, line: 'Nord-Süd' }, tags: ['a', 'b'] } },
};

/** Devices that must be refused, all with one and the same answer; a disabled one is told so, once it is believed. */
const REFUSED = {
  'wrong-key': { title: 'symmetric key, wrong key', proof: 'key' },
  'group-key-itself': { title: 'symmetric key, the underived key of the group', proof: 'key' },
  'unknown-symmetric': { title: 'symmetric key, unknown device', proof: 'key' },
  'unknown-scope': { title: 'symmetric key, unknown ID scope', proof: 'key' },
  'wrong-certificate': { title: 'X.509, enrolled device with another certificate', proof: 'certificate' },
  'unknown-x509': { title: 'X.509, unknown device', proof: 'certificate' },
  'wrong-endorsement-key': { title: 'TPM 2.0, enrolled device with another endorsement key', proof: 'tpm' },
  'unknown-tpm': { title: 'TPM 2.0, unknown device', proof: 'tpm' },
  'disabled-tpm': { title: 'TPM 2.0, disabled enrollment', proof: 'tpm', kind: 'disabled' },
  'tpm-for-key': { title: 'TPM 2.0, device enrolled with a symmetric key', proof: 'tpm' },
  'key-for-tpm': { title: 'symmetric key, device enrolled with a TPM', proof: 'key' },
};

/** What operators do, each with every operation of the SDK that belongs to it. */
const ERRANDS = {
  'individual-keys': 'individual enrollments by symmetric keys',
  'individual-certificates': 'individual enrollments by certificates',
  'individual-tpm': 'individual enrollments by TPM',
  'group-keys': 'groups by symmetric keys',
  'group-certificates': 'groups by certificates, given and named',
  bulk: 'bulk operations',
  queries: 'lists, page by page',
  registrations: 'registrations of devices that the SDK registers',
  'bearer-tokens': 'tokens of an OpenID provider, good and not',
  refusals: 'wrong keys, rights that do not suffice, wrong requests',
  'worked-examples': 'create, conflict, update, delete; paging; a bulk operation with one failure',
};

/** Clients of operators that do not run here: how each spells and signs, and what it rejects of an answer. */
const HABITS_OF_OPERATORS = {
  c: 'the habits of the SDK for C',
  csharp: 'the habits of the SDK for C#',
  java: 'the habits of the SDK for Java',
  cli: 'the habits of az iot dps',
};

/** What speaks for a TPM over each transport that has a way to. */
const WITH_TPM = { https: 'azure-iot-node', amqp: 'azure-iot-node-amqp', 'amqp-ws': 'azure-iot-node-amqp' };
const WITHOUT_TPM = Object.keys(CREDENTIALS).filter((credential) => credential !== 'tpm');
const FOUR = ['x509-individual', 'x509-group', 'symmetric-individual', 'symmetric-group'];
const THREE_REFUSED = ['wrong-key', 'unknown-symmetric', 'unknown-x509'];
const FOUR_REFUSED = [...THREE_REFUSED, 'wrong-certificate'];
const TPM_REFUSED = ['wrong-endorsement-key', 'unknown-tpm', 'disabled-tpm', 'tpm-for-key', 'key-for-tpm'];
const SIX_REFUSED = Object.keys(REFUSED).filter((refusal) => !TPM_REFUSED.includes(refusal));

/** Returns every case in the order of the report. */
export function cases() {
  const shared = SHARED_PORT.flatMap((mode) => [
    ...accepted('azure-iot-node', WITHOUT_TPM, Object.keys(PAYLOADS), mode),
    ...accepted('azure-iot-node', ['x509-group', 'symmetric-group'], ['no-payload'], mode, 'TLSv1.2'),
    ...accepted('identity-service', WITHOUT_TPM, ['no-payload'], mode),
    ...SIX_REFUSED.map((refusal) => refused('azure-iot-node', refusal, mode)),
    ...['azure-iot-node-mqtt', 'azure-iot-python'].flatMap((client) =>
      ['mqtt', 'mqtt-ws'].flatMap((transport) => [
        ...accepted(client, FOUR, Object.keys(PAYLOADS), mode, undefined, transport),
        ...THREE_REFUSED.map((refusal) => refused(client, refusal, mode, transport)),
      ]),
    ),
    ...['amqp', 'amqp-ws'].flatMap((transport) => [
      ...accepted('azure-iot-node-amqp', FOUR, Object.keys(PAYLOADS), mode, undefined, transport),
      ...FOUR_REFUSED.map((refusal) => refused('azure-iot-node-amqp', refusal, mode, transport)),
    ]),
    ...['rhea', 'proton'].flatMap((client) => [
      ...accepted(client, FOUR, Object.keys(PAYLOADS), mode, undefined, 'amqp'),
      ...Object.entries({ ...amqp.HABITS, ...amqp.REQUESTS }).flatMap(([name, habit]) =>
        accepted(client, ['x509-group', 'symmetric-individual'], ['no-payload'], mode, undefined, 'amqp', name, habit),
      ),
      ...accepted(client, ['x509-individual', 'x509-group'], ['no-payload'], mode, undefined, 'amqp', 'external', amqp.EXTERNAL),
      ...FOUR_REFUSED.map((refusal) => refused(client, refusal, mode, 'amqp')),
    ]),
    ...accepted('mosquitto', FOUR, Object.keys(PAYLOADS), mode, undefined, 'mqtt'),
    ...Object.entries(HABITS).flatMap(([name, habit]) =>
      accepted('mosquitto', ['x509-group', 'symmetric-individual'], ['no-payload'], mode, undefined, 'mqtt', name, habit),
    ),
    ...accepted('mosquitto', ['symmetric-group'], ['no-payload'], mode, undefined, 'mqtt', 'unknown-operation', UNKNOWN_OPERATION)
      .map((each) => ({ ...each, kind: 'told', expected: { ...each.expected, status: 404 } })),
    ...THREE_REFUSED.map((refusal) => refused('mosquitto', refusal, mode, 'mqtt')),
    ...Object.entries(COMMANDS).flatMap(([name, habit]) =>
      accepted('mosquitto-tools', ['x509-group'], ['no-payload'], mode, undefined, 'mqtt', name, habit)
        .map((each) => ({ ...each, kind: 'command', expected: { ...each.expected, ...habit } })),
    ),
    ...Object.entries(WITH_TPM).flatMap(([transport, client]) => [
      ...accepted(client, ['tpm'], Object.keys(PAYLOADS), mode, undefined, transport),
      ...accepted(client, ['tpm'], ['no-payload'], mode, undefined, transport, 'again', AGAIN),
      ...TPM_REFUSED.map((refusal) => refused(client, refusal, mode, transport)),
    ]),
    ...accepted('identity-service', ['tpm'], Object.keys(PAYLOADS), mode),
    ...Object.keys(WITH_TPM).flatMap((transport) =>
      Object.entries(KEYS).flatMap(([name, keys]) =>
        accepted('tpm-device', ['tpm'], ['no-payload'], mode, undefined, transport, `${transport}-${name}`, keys).map(saying),
      ),
    ),
    ...['azure-iot-node-service', 'azure-iot-python-service'].flatMap((client) => operated(client, mode)),
    ...operated('operator-habits', mode, HABITS_OF_OPERATORS),
    stopped(mode),
  ]);
  return [...shared, ...operated('azure-iot-python-service', 'own-port'), stopped('own-port')];
}

/**
 * What is recorded of each SDK and transport: every kind of credential, a payload and none, polls, refusals, and some
 * habits.
 */
const RECORDED = [
  'symmetric-individual/no-payload/one-exchange',
  'x509-individual/payload/one-exchange',
  'x509-group/no-payload/polling',
  'symmetric-group/payload/polling',
  'amqp/tpm/payload/one-exchange',
  'amqp-ws/tpm/no-payload/polling',
  'refused/wrong-key/one-exchange',
  'refused/unknown-x509/one-exchange',
  'x509-individual/external/one-exchange',
  'symmetric-individual/small-frames/one-exchange',
  'symmetric-individual/wrong-request/one-exchange',
];

/** Whether a case is one that is recorded. */
export function isRecorded({ name, client }) {
  return CLIENTS[client]?.package !== undefined && RECORDED.some((end) => name.endsWith(`/${end}`));
}

function accepted(client, credentials, payloads, mode, tls = 'TLSv1.3', transport = 'https', habitName, habit) {
  return credentials.flatMap((credential) =>
    payloads.map((variant) => {
      const { hubs, echoes, deviceId } = CREDENTIALS[credential];
      const { payload } = PAYLOADS[variant];
      const last = habitName ?? (tls === 'TLSv1.3' ? variant : `${variant}-tls1.2`);
      const { title } = CREDENTIALS[credential];
      // Each is a device of its own: no two cases register the same one with one server.
      const by = transport.endsWith('-ws') ? '-ws' : '';
      const registrationId = `${client}${by}-${credential}-${last}`.replaceAll('.', '-');
      // Over HTTPS the challenge of a TPM is an exchange; over AMQP it is a part of SASL.
      const challenges = credential === 'tpm' && transport === 'https' ? 1 : 0;
      const times = habit?.times ?? 1;
      return {
        name: `${client}/${transport}/${credential}/${last}/${mode}`,
        kind: 'accepted',
        client,
        transport,
        mode,
        tls,
        credential,
        registrationId,
        payload,
        habit,
        row: { credential: habit ? `${title}; ${habit.title}` : title, payload: PAYLOADS[variant].title },
        expected: {
          hubs,
          deviceId: deviceId(registrationId),
          substatus: habit?.substatus ?? 'initialAssignment',
          payload: echoes && payload ? { echo: payload } : undefined,
          challenges,
          times,
          exchanges: (challenges + CLIENTS[client].exchanges[mode] + (habit?.ask ? 1 : 0)) * times,
        },
      };
    }),
  );
}

/** The same device, judged by what it says. */
function saying(each) {
  const says = assignedBy(each.registrationId, each.expected);
  return { ...each, kind: 'command', expected: { ...each.expected, says, status: 0, result: 'assigned' } };
}

/** Every errand of an operator: there is no device in it, or one that belongs to it. */
function operated(client, mode, errands = ERRANDS) {
  // The SDK for Python would ask Entra ID itself for tokens.
  const mine = Object.keys(errands).filter((errand) => errand !== 'bearer-tokens' || client === 'azure-iot-node-service');
  return mine.map((errand) => ({
    name: `${client}/https/${errand}/${mode}`,
    kind: 'operator',
    client,
    transport: 'https',
    mode,
    tls: 'TLSv1.3',
    errand,
    row: { credential: errands[errand], payload: '' },
  }));
}

function stopped(mode) {
  return { name: `serve/sigterm/${mode}`, kind: 'stop', mode };
}

function refused(client, refusal, mode, transport = 'https') {
  return {
    name: `${client}/${transport}/refused/${refusal}/${mode}`,
    kind: REFUSED[refusal].kind ?? 'refused',
    client,
    transport,
    mode,
    tls: 'TLSv1.3',
    refusal,
    proof: REFUSED[refusal].proof,
    row: { credential: REFUSED[refusal].title, payload: 'no' },
  };
}
