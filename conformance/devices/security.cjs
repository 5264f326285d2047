// What a device built with the Azure SDK for Node.js proves itself with.
'use strict';

const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');
const { withTpm } = require('./tpm.cjs');

/** What a device with a TPM would tell its hub: only what its TPM makes of it is compared. */
const TEXT = Buffer.from('hub-eu.example.net/devices/pump-7\n2000000000');

/**
 * Calls `register` with the SDK's security client of the ordered device, and returns what it returned. A device with a
 * TPM then signs with the key it has for its hub, and does both again, as after a restart, if it is ordered to; all
 * signatures are `signed`.
 */
async function secured({ registrationId, key, x509, tpm, times = 1 }, register) {
  if (key) return register(new SymmetricKeySecurityClient(registrationId, key));
  if (x509) return register(new X509Security(registrationId, x509));
  let state;
  const signed = [];
  for (let count = 0; count < times; count++) {
    await withTpm(tpm, registrationId, async ({ security, sign }) => {
      // With a TPM, and only then, the SDK returns the whole answer.
      ({ registrationState: state } = await register(security));
      signed.push((await sign(TEXT)).toString('base64'));
    });
  }
  return { ...state, signed };
}

module.exports = { secured };
