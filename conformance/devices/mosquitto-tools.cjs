// A device that is nothing but one of mosquitto's commands: `mosquitto_pub` or `mosquitto_sub`. Reports its exit status
// and what it says it sent and received.
'use strict';

const { spawnSync } = require('node:child_process');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { order } = require('./exchanges.cjs');

async function main() {
  const { host, idScope, registrationId, ca, x509, command } = await order();
  const directory = mkdtempSync(join(tmpdir(), 'mosquitto-'));
  const file = (name, text) => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const [tool, ...words] = command;
  const { status, stdout, stderr } = spawnSync(
    tool,
    [
      '-d', '-h', host, '-p', '8883', '--cafile', file('ca', ca),
      '--cert', file('cert', x509.cert), '--key', file('key', x509.key),
      '-i', registrationId, '-u', `${idScope}/registrations/${registrationId}/api-version=2019-03-31`,
      '-V', 'mqttv311', ...words,
    ],
    { encoding: 'utf8' },
  );
  rmSync(directory, { recursive: true });
  process.stdout.write(`${JSON.stringify({ status, said: stdout + stderr, exchanges: [] })}\n`);
}

main();
