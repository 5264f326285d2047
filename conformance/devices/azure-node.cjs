// One device built with the Azure device SDK for Node.js, as its users write it. The certificate authority of the
// server comes in through NODE_EXTRA_CA_CERTS, because the SDK's HTTP transport has no option for one.
'use strict';

const { order, report } = require('./exchanges.cjs');
const { secured } = require('./security.cjs');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');

report(async () => {
  const device = await order();
  const { host, idScope, payload } = device;
  return secured(device, (security) => {
    const client = ProvisioningDeviceClient.create(host, idScope, new Http(), security);
    if (payload !== undefined) client.setProvisioningPayload(payload);
    return client.register();
  });
});
