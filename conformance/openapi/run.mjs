// Runs schemathesis against the example `serve` over HTTPS, with the OpenAPI documents of what is served: whether it does
// what they say, for anything that they allow and for much that they do not. `--only service` or `--only device` runs one.
// See README.md in the folder above.

import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pki } from '../lib/pki.mjs';
import { makeEnvironment } from '../lib/python.mjs';
import { Server } from '../lib/server.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const ADDRESS = '127.0.0.1';
const HOST = 'localhost';
const ID_SCOPE = '0ne00000001';
const newKey = () => randomBytes(64).toString('base64');

const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
makeEnvironment(here('.'));
const usual = ['release', 'debug'].map((profile) => here(`../../target/${profile}/examples/serve`));
const serve = process.env.DPS_SERVE ?? usual.find(existsSync);
if (!serve) {
  console.error('there is no server: cargo build --release --example serve');
  process.exit(1);
}

const directory = await mkdtemp(join(tmpdir(), 'dps-openapi-'));
const pki = new Pki(directory);
const authority = await pki.issue('openapi-server-ca', 'authority');
await pki.issue(HOST, 'server', { issuer: authority, names: `DNS:${HOST},IP:${ADDRESS}` }).then(async ({ cert, key }) => {
  await writeFile(join(directory, 'server.pem'), cert);
  await writeFile(join(directory, 'server.key'), key);
});
const policyKey = newKey();
const deviceKey = newKey();
const port = await freePort();
const config = join(directory, 'serve.toml');
await writeFile(config, configuration());
await writeFile(join(directory, 'device.json'), JSON.stringify(devices()));
const certificates = await Promise.all(Array.from({ length: 8 }, (_, nth) => pki.issue(`any-${nth}`, 'authority')));
const tpmKeys = [endorsementKey(), endorsementKey()];

process.env.RUST_LOG ??= 'warn';
const server = await Server.start(serve, config, [`https listening on ${ADDRESS}:${port}`]);
const failed = [];
for (const name of ['service', 'device'].filter((each) => !only || each === only)) {
  console.log(`\n${name}.json`);
  const status = await schemathesis(name);
  if (status !== 0) failed.push(`${name}: ${status}`);
}
const ended = await server.stop();
if (ended !== 0) failed.push(`serve ended with ${ended}`);
if (failed.length > 0) {
  console.log(`\nFAILED ${failed.join('; ')}\nThe server said:\n${server.said}\nKeys and configuration are left in ${directory}`);
  process.exit(1);
}
await rm(directory, { recursive: true });

/** Asks everything that the document `name` describes. Returns the exit status, or the name of the signal that ended it. */
function schemathesis(name) {
  const document = here(`../../dps-transport-http/openapi/${name}.json`);
  const child = spawn(here('.venv/bin/st'), ['--config-file', here(`${name}.toml`), 'run', document], {
    stdio: 'inherit',
    cwd: directory,
    env: {
      PATH: process.env.PATH,
      PYTHONPATH: here('.'),
      SCHEMATHESIS_HOOKS: 'hooks',
      DPS_URL: `https://${HOST}:${port}`,
      DPS_CA: authority.certFile,
      DPS_HOST: HOST,
      DPS_ID_SCOPE: ID_SCOPE,
      DPS_POLICY_KEY: policyKey,
      DPS_DEVICE_KEY: deviceKey,
      DPS_TPM_KEYS: tpmKeys.join(':'),
      DPS_CERTIFICATES: certificates.map(({ certFile }) => certFile).join(':'),
    },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal ?? code));
  });
}

/** Attempts fail by the thousand here, all from one address. */
function configuration() {
  return `certificate = "server.pem"
private_key = "server.key"
failed_attempts = 60000

[listen]
https = "${ADDRESS}:${port}"

[store]
memory = true

[[instance]]
id_scope = "${ID_SCOPE}"
service_host = "${HOST}"
enrollments = ["device.json"]

[[instance.hub]]
name = "hub.example.net"

[[instance.policy]]
name = "owner"
rights = "EnrollmentWrite, ServiceConfig"
primary_key = "${policyKey}"
`;
}

/** Devices that can register: one that is served, one that is disabled. */
function devices() {
  const attestation = { type: 'symmetricKey', symmetricKey: { primaryKey: deviceKey, secondaryKey: newKey() } };
  return [
    { registrationId: 'device-1', attestation },
    { registrationId: 'device-2', attestation, provisioningStatus: 'disabled' },
  ];
}

/** An endorsement key as a TPM shows it: a TPM2B_PUBLIC by the template of the EK Credential Profile, in base64. */
function endorsementKey() {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const policy = '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa';
  const area = `0001000b000300b20020${policy}00060080004300100800000000000100`;
  const modulus = Buffer.from(publicKey.export({ format: 'jwk' }).n, 'base64url');
  return Buffer.concat([Buffer.from('013a', 'hex'), Buffer.from(area, 'hex'), modulus]).toString('base64');
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, ADDRESS, () => {
      const { port: found } = probe.address();
      probe.close(() => resolve(found));
    });
  });
}
