// Everything a run needs on disk: the server's certificate, its configuration, the enrollments in the JSON shape of
// the service API, and what each device holds.

import { createHmac, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withTpm } from '../devices/tpm.cjs';
import { CREDENTIALS, HUBS, MODES } from './matrix.mjs';
import { ADDRESS, AMQP_PORT, MQTT_PORT, OPERATORS_PORT, PORT } from './network.mjs';
import { OpenIdProvider } from './openid.mjs';
import { Pki } from './pki.mjs';
import { Tpm, keyBy } from './tpm.mjs';

export const HOST = 'localhost';
const ID_SCOPE = '0ne00000001';
const UNKNOWN_SCOPE = '0neFFFFFFFF';
const ROOT_NAME = 'factory-root';
/** Roots that no group is attested by until an operator makes one: there is one for each SDK. */
const SPARES = { 'azure-iot-node-service': 'spare-root', 'azure-iot-python-service': 'second-spare-root' };

/** Made once for a run: authorities, keys, and a device for each case. */
export class World {
  /** Makes everything that `cases` need below `directory`; `tpmDevice` is the example of this name. */
  static async create(directory, cases, tpmDevice) {
    const world = new World();
    world.tpmDevice = tpmDevice;
    await world.#create(directory, cases);
    return world;
  }

  async #create(directory, cases) {
    this.directory = directory;
    this.host = HOST;
    const pki = new Pki(directory);
    this.serverAuthority = await pki.issue('conformance-server-ca', 'authority');
    this.server = await pki.issue(HOST, 'server', {
      issuer: this.serverAuthority,
      names: `DNS:${HOST},IP:${ADDRESS}`,
    });
    this.openid = await OpenIdProvider.start(this.server);
    this.root = await pki.issue(ROOT_NAME, 'authority');
    this.spares = await Promise.all(Object.values(SPARES).map((name) => pki.issue(name, 'authority')));
    this.named = await pki.issue('line-1-ca', 'authority', { issuer: this.root });
    this.unnamed = await pki.issue('line-2-ca', 'authority', { issuer: this.root });
    this.groupKeys = { primaryKey: newKey(), secondaryKey: newKey() };
    this.policies = { owner: newKey(), reader: newKey() };
    this.sealing = `key conformance ${randomBytes(32).toString('base64')}\ncurrent conformance\n`;
    this.enrollments = { symmetric: [], x509: [], tpm: [] };
    this.tpms = [];
    this.devices = new Map();
    const made = new Map();
    for (const each of cases.filter(({ kind }) => kind !== 'stop')) {
      // The modes are runs of two servers: a device of one name is the same device in both.
      const identity = each.registrationId ?? each.refusal ?? `${each.client}/${each.errand}`;
      if (!made.has(identity)) made.set(identity, await this.#device(pki, each));
      const serviceHost = MODES[each.mode].apart ? `${HOST}:${OPERATORS_PORT}` : HOST;
      this.devices.set(each.name, { host: HOST, serviceHost, idScope: ID_SCOPE, payload: each.payload, ...made.get(identity) });
    }
  }

  #device(pki, each) {
    if (each.errand) return this.#errand(pki, each);
    return each.refusal ? this.#refused(pki, each.refusal) : this.#accepted(pki, each);
  }

  /** What an operator has at hand. */
  async #errand(pki, { errand, client }) {
    const { policies } = this;
    const prefix = client.replace('azure-iot-', 'errand-');
    const order = { errand, policies, prefix };
    if (client === 'operator-habits') {
      const { cert } = await pki.issue(`${prefix}-ca-${errand}`, 'authority', { issuer: this.root });
      return { ...order, certificates: [(await pki.issue(prefix, 'device')).cert], authority: cert };
    }
    switch (errand) {
      case 'individual-certificates': {
        const both = [await pki.issue(prefix, 'device'), await pki.issue(prefix, 'device')];
        return { ...order, certificates: both.map(({ cert }) => cert) };
      }
      case 'individual-tpm': {
        const { tpm } = await this.#withTpm(prefix);
        const endorsementKey = await withTpm(tpm, prefix, async (opened) => (await opened.keys()).endorsementKey);
        return { ...order, endorsementKey };
      }
      case 'group-certificates': {
        const { cert } = await pki.issue(`${prefix}-ca`, 'authority', { issuer: this.root });
        return { ...order, authority: cert, spare: SPARES[client] };
      }
      case 'bearer-tokens':
        return { ...order, tokens: this.openid.tokens() };
      default:
        return order;
    }
  }

  async #accepted(pki, { credential, registrationId, expected, habit }) {
    const [hub] = expected.hubs;
    const { deviceId } = expected;
    switch (credential) {
      case 'x509-individual':
        return this.#enrollX509(pki, registrationId, deviceId, hub);
      case 'x509-group':
        return underAuthority(pki, registrationId, this.named);
      case 'x509-root-group':
        return underAuthority(pki, registrationId, this.unnamed);
      case 'symmetric-individual':
        return this.#enrollSymmetric(registrationId, deviceId, hub);
      case 'symmetric-group':
        return { registrationId, key: derived(this.groupKeys.primaryKey, registrationId) };
      case 'tpm':
        return this.#enrollTpm(registrationId, deviceId, hub, { keys: habit });
      default:
        throw new Error(`no device can be made for ${credential}`);
    }
  }

  async #refused(pki, refusal) {
    const registrationId = `refused-${refusal}`;
    const hub = HUBS[0].name;
    switch (refusal) {
      case 'wrong-key':
        return { ...this.#enrollSymmetric(registrationId, registrationId, hub), key: newKey() };
      case 'group-key-itself':
        return { registrationId, key: this.groupKeys.primaryKey };
      case 'unknown-symmetric':
        return { registrationId, key: newKey() };
      case 'unknown-scope':
        return { ...this.#enrollSymmetric(registrationId, registrationId, hub), idScope: UNKNOWN_SCOPE };
      case 'wrong-certificate':
        await this.#enrollX509(pki, registrationId, registrationId, hub);
        return selfSigned(pki, registrationId);
      case 'unknown-x509':
        return selfSigned(pki, registrationId);
      case 'wrong-endorsement-key':
        await this.#enrollTpm(registrationId, registrationId, hub);
        return this.#withTpm(registrationId);
      case 'unknown-tpm':
        return this.#withTpm(registrationId);
      case 'disabled-tpm':
        return this.#enrollTpm(registrationId, registrationId, hub, { otherwise: { provisioningStatus: 'disabled' } });
      case 'tpm-for-key':
        this.#enrollSymmetric(registrationId, registrationId, hub);
        return this.#withTpm(registrationId);
      case 'key-for-tpm':
        await this.#enrollTpm(registrationId, registrationId, hub);
        return { registrationId, key: newKey() };
      default:
        throw new Error(`no device can be made for ${refusal}`);
    }
  }

  #enrollSymmetric(registrationId, deviceId, hub) {
    const symmetricKey = { primaryKey: newKey(), secondaryKey: newKey() };
    const attestation = { type: 'symmetricKey', symmetricKey };
    this.enrollments.symmetric.push({ registrationId, deviceId, attestation, ...pinned(hub) });
    return { registrationId, key: symmetricKey.primaryKey };
  }

  async #enrollX509(pki, registrationId, deviceId, hub) {
    const device = await selfSigned(pki, registrationId);
    const clientCertificates = { primary: { certificate: device.x509.cert } };
    const attestation = { type: 'x509', x509: { clientCertificates } };
    this.enrollments.x509.push({ registrationId, deviceId, attestation, ...echoing([hub]) });
    return device;
  }

  async #enrollTpm(registrationId, deviceId, hub, { keys, otherwise } = {}) {
    const device = await this.#withTpm(registrationId);
    // As its owner reads it from the device.
    const endorsementKey = keys?.options?.length
      ? await keyBy(this.tpmDevice, device.tpm, keys)
      : await withTpm(device.tpm, registrationId, async (opened) => (await opened.keys()).endorsementKey);
    const attestation = { type: 'tpm', tpm: { endorsementKey } };
    this.enrollments.tpm.push({ registrationId, deviceId, attestation, ...echoing([hub]), ...otherwise });
    return device;
  }

  async #withTpm(registrationId) {
    const tpm = await Tpm.start(join(this.directory, `tpm-${this.tpms.length + 1}`));
    this.tpms.push(tpm);
    return { registrationId, tpm: tpm.place };
  }

  /** Ends the TPMs of all devices, and returns what they said. */
  async stop() {
    this.openid.close();
    await Promise.all(this.tpms.map((tpm) => tpm.stop()));
    return this.tpms.map(({ said }) => said).join('');
  }

  #groups() {
    const signingCertificates = { primary: { certificate: this.named.cert } };
    const caReferences = { primary: ROOT_NAME };
    return [
      {
        enrollmentGroupId: 'line-1',
        attestation: { type: 'x509', x509: { signingCertificates } },
        ...echoing(CREDENTIALS['x509-group'].hubs),
      },
      { enrollmentGroupId: 'factory', attestation: { type: 'x509', x509: { caReferences } }, ...COMMON },
      {
        enrollmentGroupId: 'sensors',
        attestation: { type: 'symmetricKey', symmetricKey: this.groupKeys },
        ...echoing(CREDENTIALS['symmetric-group'].hubs),
      },
    ];
  }

  /** Writes the configuration for a server in `mode` that listens on `address`, and returns its path. */
  async configure(mode, address) {
    const write = (name, text) => writeFile(join(this.directory, name), text);
    await write('server.pem', this.server.cert);
    await write('server.key', this.server.key);
    await write('root.pem', this.root.cert);
    await write('openid.pem', this.serverAuthority.cert);
    await Promise.all(Object.values(SPARES).map((name, nth) => write(`${name}.pem`, this.spares[nth].cert)));
    await write('x509.json', JSON.stringify(this.enrollments.x509, null, 2));
    await write('symmetric.json', JSON.stringify(this.enrollments.symmetric, null, 2));
    await write('tpm.json', JSON.stringify(this.enrollments.tpm, null, 2));
    await write('groups.json', JSON.stringify(this.#groups(), null, 2));
    await writeFile(join(this.directory, 'keys.txt'), this.sealing, { mode: 0o600 });
    const path = join(this.directory, `${mode}.toml`);
    await writeFile(path, configuration(mode, address, this.policies, this.openid.issuer));
    return path;
  }
}

const COMMON = {
  capabilities: { iotEdge: false },
  provisioningStatus: 'enabled',
  reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
  initialTwin: { tags: { site: 'hall 3' }, properties: { desired: { interval: 60 } } },
};

function configuration(mode, address, policies, issuer) {
  const { graceMs, apart } = MODES[mode];
  const grace = graceMs === undefined ? '' : `grace_ms = ${graceMs}\n`;
  const hubs = HUBS.map(({ name, location }) => `\n[[instance.hub]]\nname = "${name}"\nlocation = "${location}"\n`);
  const spares = Object.values(SPARES).map((name) => `\n[[instance.certificate]]\nname = "${name}"\nfile = "${name}.pem"\n`);
  return `certificate = "server.pem"
private_key = "server.key"
permit = ["${ADDRESS}"]
${grace}
[listen]
https = "${address}:${PORT}"
mqtts = "${address}:${MQTT_PORT}"
amqps = "${address}:${AMQP_PORT}"
${apart ? `operators = "${address}:${OPERATORS_PORT}"\n` : ''}
[store]
path = "${mode}.redb"

[seal]
keys = "keys.txt"

[openid]
roots = "openid.pem"

[[instance]]
id_scope = "${ID_SCOPE}"
service_host = "${HOST}"
allocation_policy = "hashed"
enrollments = ["x509.json", "symmetric.json", "tpm.json"]
enrollment_groups = ["groups.json"]
${hubs.join('')}
[[instance.certificate]]
name = "${ROOT_NAME}"
file = "root.pem"
${spares.join('')}
[[instance.policy]]
name = "owner"
rights = "EnrollmentWrite, ServiceConfig"
primary_key = "${policies.owner}"

[[instance.policy]]
name = "reader"
rights = "EnrollmentRead"
primary_key = "${policies.reader}"

[[instance.issuer]]
issuer = "${issuer}"
`;
}

function pinned(hub) {
  return { ...COMMON, allocationPolicy: 'static', iotHubs: [hub] };
}

/** The custom policy: the allocation hook of `serve` is asked, which runs in its process and calls no URL. */
function echoing(hubs) {
  const customAllocationDefinition = { webhookUrl: 'https://policy.example.net/', apiVersion: '2019-03-31' };
  return { ...COMMON, allocationPolicy: 'custom', customAllocationDefinition, iotHubs: hubs };
}

async function selfSigned(pki, registrationId) {
  const { cert, key } = await pki.issue(registrationId, 'device');
  return { registrationId, x509: { cert, key } };
}

async function underAuthority(pki, registrationId, issuer) {
  const { cert, key } = await pki.issue(registrationId, 'device', { issuer });
  return { registrationId, x509: { cert: cert + issuer.cert, key } };
}

function newKey() {
  return randomBytes(64).toString('base64');
}

/** The key of one device of a group: HMAC-SHA256 of its registration id under the group's key. */
function derived(groupKey, registrationId) {
  return createHmac('sha256', Buffer.from(groupKey, 'base64')).update(registrationId).digest('base64');
}
