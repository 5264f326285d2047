// One device built with the Azure device SDK for Node.js that speaks MQTT, as its users write it. What it is
// answered is seen on the connection that the transport is given; the SDK is as it comes.
'use strict';

const { exchanges, order, report } = require('./exchanges.cjs');
const { secured } = require('./security.cjs');
const { MqttBase } = require('azure-iot-mqtt-base');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Mqtt, MqttWs } = require('azure-iot-provisioning-device-mqtt');

const TRANSPORTS = { mqtt: Mqtt, 'mqtt-ws': MqttWs };

report(async () => {
  const device = await order();
  const { host, idScope, payload, transport } = device;
  return secured(device, (security) => {
    const connection = new MqttBase();
    connection.on('message', (topic, body) => exchanges.push({ topic, body: body.toString() }));
    const speaker = new TRANSPORTS[transport](connection);
    const client = ProvisioningDeviceClient.create(host, idScope, speaker, security);
    if (payload !== undefined) client.setProvisioningPayload(payload);
    return client.register();
  });
});
