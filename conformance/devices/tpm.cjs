// The TPM of a device: the Azure SDK's client for it on TSS.JS, with promises.
'use strict';

const { promisify } = require('node:util');
const { TpmSecurityClient } = require('azure-iot-security-tpm');
const { Tpm } = require('tss.js');

/**
 * Connects to a TPM, has `use` do something with it, and disconnects; returns what `use` returned.
 *
 * - `place`: `{ host, port }`, where it answers as Microsoft's simulator does.
 * - `registrationId`: whose the client is.
 * - `use`: is given `security`, the SDK's client; `keys()`, which makes endorsement key and storage root key if there
 *   are none, and returns both as the SDKs send them; `activate(blob)`; `sign(data)`, with the key last activated.
 */
async function withTpm({ host, port }, registrationId, use) {
  const tpm = new Tpm(true, host, port);
  const security = new TpmSecurityClient(registrationId, tpm);
  const call = (name) => promisify(security[name]).bind(security);
  const keys = async () => ({
    endorsementKey: (await call('getEndorsementKey')()).toString('base64'),
    storageRootKey: (await call('getStorageRootKey')()).toString('base64'),
  });
  try {
    return await use({ security, keys, activate: call('activateIdentityKey'), sign: call('signWithIdentity') });
  } finally {
    // The SDK's client keeps it open, and its process with it.
    tpm.close();
  }
}

module.exports = { withTpm };
