// Every case, as data. A case is one registration by one device; its name is how `switched-off.json` calls it.

import { readFileSync } from 'node:fs';

/** How the server answers a registration it can finish at once. */
export const MODES = {
  // The default grace time: the result is in the answer to register.
  'one-exchange': { title: 'Default grace time', answers: 'assigned' },
  // Grace time 0: the first answer is always `assigning`, as the Azure service answers.
  polling: { title: 'Grace time 0', graceMs: 0, answers: 'assigning' },
};

const version = (name) =>
  JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;

export const CLIENTS = {
  'azure-iot-node': {
    title: 'Azure Node.js device SDK',
    version: version('azure-iot-provisioning-device-http'),
    program: 'azure-node.cjs',
    environment: ({ certFile }) => ({ NODE_EXTRA_CA_CERTS: certFile }),
    exchanges: { 'one-exchange': 1, polling: 2 },
  },
  'identity-service': {
    title: 'client with the habits of iot-identity-service',
    version: '',
    program: 'identity-service.cjs',
    exchanges: { 'one-exchange': 2, polling: 2 },
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
};

const PAYLOADS = {
  'no-payload': { title: 'no' },
  payload: { title: 'yes', payload: { model: 'pump 7', site: { hall: 3, line: 'Nord-Süd' }, tags: ['a', 'b'] } },
};

/** Devices that must be refused, all with one and the same answer. */
const REFUSED = {
  'wrong-key': 'symmetric key, wrong key',
  'group-key-itself': 'symmetric key, the underived key of the group',
  'unknown-symmetric': 'symmetric key, unknown device',
  'unknown-scope': 'symmetric key, unknown ID scope',
  'wrong-certificate': 'X.509, enrolled device with another certificate',
  'unknown-x509': 'X.509, unknown device',
};

/** Returns every case in the order of the report. */
export function cases() {
  return Object.keys(MODES).flatMap((mode) => [
    ...accepted('azure-iot-node', Object.keys(CREDENTIALS), Object.keys(PAYLOADS), mode),
    ...accepted('azure-iot-node', ['x509-group', 'symmetric-group'], ['no-payload'], mode, 'TLSv1.2'),
    ...accepted('identity-service', Object.keys(CREDENTIALS), ['no-payload'], mode),
    ...Object.keys(REFUSED).map((refusal) => refused('azure-iot-node', refusal, mode)),
    { name: `serve/sigterm/${mode}`, kind: 'stop', mode },
  ]);
}

function accepted(client, credentials, payloads, mode, tls = 'TLSv1.3') {
  return credentials.flatMap((credential) =>
    payloads.map((variant) => {
      const { hubs, echoes, deviceId } = CREDENTIALS[credential];
      const { payload } = PAYLOADS[variant];
      const last = tls === 'TLSv1.3' ? variant : `${variant}-tls1.2`;
      const registrationId = `${client}-${credential}-${last}`.replaceAll('.', '-');
      return {
        name: `${client}/https/${credential}/${last}/${mode}`,
        kind: 'accepted',
        client,
        mode,
        tls,
        credential,
        registrationId,
        payload,
        row: { credential: CREDENTIALS[credential].title, payload: PAYLOADS[variant].title },
        expected: {
          hubs,
          deviceId: deviceId(registrationId),
          substatus: 'initialAssignment',
          payload: echoes && payload ? { echo: payload } : undefined,
          exchanges: CLIENTS[client].exchanges[mode],
        },
      };
    }),
  );
}

function refused(client, refusal, mode) {
  return {
    name: `${client}/https/refused/${refusal}/${mode}`,
    kind: 'refused',
    client,
    mode,
    tls: 'TLSv1.3',
    refusal,
    row: { credential: REFUSED[refusal], payload: 'no' },
  };
}
