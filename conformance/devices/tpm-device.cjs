// A device that is the example `tpm_device`: on another implementation of TPM software, tpm2-tss. Reports its exit
// status and what it says.
'use strict';

const { spawnSync } = require('node:child_process');
const { order } = require('./exchanges.cjs');

async function main() {
  const { host, idScope, registrationId, caFile, tcti, transport, program, options } = await order();
  const { status, stdout, stderr, error } = spawnSync(
    program,
    [
      '--tcti', tcti,
      '--endpoint', host, '--id-scope', idScope, '--registration-id', registrationId,
      '--over', transport, '--ca', caFile, ...options,
    ],
    { encoding: 'utf8' },
  );
  if (error) throw error;
  process.stdout.write(`${JSON.stringify({ status, said: stdout + stderr, exchanges: [] })}\n`);
}

main();
