// One device built with the Azure device SDK for Node.js that speaks AMQP, as its users write it. What it is answered is
// seen on the link that the transport attaches; the SDK is as it comes.
'use strict';

const { exchanges, order, report } = require('./exchanges.cjs');
const { secured } = require('./security.cjs');
const { Amqp: AmqpBase } = require('azure-iot-amqp-base');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Amqp, AmqpWs } = require('azure-iot-provisioning-device-amqp');

const TRANSPORTS = { amqp: Amqp, 'amqp-ws': AmqpWs };

class Watched extends AmqpBase {
  attachReceiverLink(endpoint, options, attached) {
    super.attachReceiverLink(endpoint, options, (error, link) => {
      link?.on('message', ({ application_properties: properties, body }) => {
        exchanges.push({ properties, body: body.content.toString() });
      });
      attached(error, link);
    });
  }
}

report(async () => {
  const device = await order();
  const { host, idScope, payload, transport } = device;
  return secured(device, (security) => {
    const speaker = new TRANSPORTS[transport](new Watched(true));
    const client = ProvisioningDeviceClient.create(host, idScope, speaker, security);
    if (payload !== undefined) client.setProvisioningPayload(payload);
    return client.register().catch((error) => {
      // Of some refusals it hands on the error as it came.
      const { condition, description } = error;
      if (!condition) throw error;
      exchanges.push({ condition, body: description });
      throw Object.assign(new Error(description), { name: condition });
    });
  });
});
