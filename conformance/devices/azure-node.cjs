// One device built with the Azure device SDK for Node.js, as its users write it. The certificate authority of the
// server comes in through NODE_EXTRA_CA_CERTS, because the SDK's HTTP transport has no option for one.
'use strict';

const { order, report } = require('./exchanges.cjs');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');

report(async () => {
  const { host, idScope, registrationId, key, x509, payload } = await order();
  const security = key
    ? new SymmetricKeySecurityClient(registrationId, key)
    : new X509Security(registrationId, x509);
  const client = ProvisioningDeviceClient.create(host, idScope, new Http(), security);
  if (payload !== undefined) client.setProvisioningPayload(payload);
  return client.register();
});
