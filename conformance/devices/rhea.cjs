// One device on rhea, a general AMQP library for Node.js: one connection, a link each way, register, poll until there is
// a result, and everything closed one after the other.
'use strict';

const { createHmac } = require('node:crypto');
const { setTimeout: sleep } = require('node:timers/promises');
const { create_container, message } = require('rhea');
const { exchanges, order, report } = require('./exchanges.cjs');

const PORT = 5671;
const MILLISECONDS = 20_000;

const ENDS = ['receiver_error', 'sender_error', 'session_error', 'connection_error', 'disconnected'];

report(async () => {
  const device = await order();
  const habit = device.habit ?? {};
  const connection = create_container().connect(options(device, habit));
  const watched = new Watched(connection);
  await watched.event('connection_open');
  const address = addressOf(device, habit);
  const properties = { 'com.microsoft:api-version': '2019-03-31' };
  const receiver = connection.open_receiver({ source: { address }, properties });
  await watched.event('receiver_open');
  const sender = connection.open_sender({ target: { address }, properties, snd_settle_mode: habit.settled ? 1 : 2 });
  await watched.event('sendable');
  await sleep((habit.idleSeconds ?? 0) * 1000);

  let asked = 0;
  const ask = async (application_properties, body = null) => {
    asked += 1;
    const correlation_id = `request-${asked}`;
    sender.send({ correlation_id, application_properties, body });
    const { message: told, delivery } = await watched.event('message', 'rejected');
    if (!told) {
      const { condition, description } = delivery.remote_state.error;
      return exchanges.push({ condition, body: description });
    }
    exchanges.push({ properties: told.application_properties, body: told.body.content.toString() });
    if (told.correlation_id !== correlation_id) throw new Error(`the answer is to ${told.correlation_id}`);
    return JSON.parse(told.body.content);
  };
  if (habit.ask) await ask(habit.ask);
  const { registrationId, payload } = device;
  const registration = message.data_section(Buffer.from(JSON.stringify({ registrationId, payload })));
  let answer = await ask({ 'iotdps-operation-type': 'iotdps-register' }, registration);
  while (answer.status === 'assigning') {
    await sleep(device.pollMilliseconds);
    const { operationId } = answer;
    answer = await ask({ 'iotdps-operation-type': 'iotdps-get-operationstatus', 'iotdps-operation-id': operationId });
  }
  const parts = { receiver_close: receiver, sender_close: sender, connection_close: connection };
  for (const [closed, part] of Object.entries(parts)) {
    part.close();
    await watched.event(closed);
  }
  return answer.registrationState;
});

function options({ host, ca, x509, key, ...device }, habit) {
  const secrets = key ? { username: nameOf(device), password: token(device, key) } : x509;
  return {
    host, port: PORT, transport: 'tls', servername: host, ca, reconnect: false, ...secrets,
    enable_sasl_external: habit.external,
    max_frame_size: habit.maxFrameSize,
    idle_time_out: habit.idleTimeOutSeconds && habit.idleTimeOutSeconds * 1000,
  };
}

function nameOf({ idScope, registrationId }) {
  return `${idScope}/registrations/${registrationId}`;
}

function addressOf(device, habit) {
  const before = { slash: '/', url: `amqps://${device.host}/` }[habit.address] ?? '';
  return before + nameOf(device);
}

function token(device, key) {
  const resource = encodeURIComponent(nameOf(device));
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const digest = createHmac('sha256', Buffer.from(key, 'base64')).update(`${resource}\n${expiry}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(digest)}&se=${expiry}&skn=registration`;
}

/** A connection whose events can be waited for, one after the other. */
class Watched {
  #connection;
  #failed;

  constructor(connection) {
    this.#connection = connection;
    this.#failed = new Promise((_, reject) => {
      for (const end of ENDS) connection.on(end, (context) => reject(refusal(end, context)));
    });
    this.#failed.catch(() => {});
  }

  /** Returns the first of these events, or throws what has ended the link, the session or the connection. */
  async event(...names) {
    const timer = new AbortController();
    const come = names.map((name) => new Promise((resolve) => this.#connection.once(name, resolve)));
    const late = sleep(MILLISECONDS, undefined, timer).then(() => {
      throw new Error(`no ${names.join(', ')}`);
    });
    try {
      return await Promise.race([this.#failed, late, ...come]);
    } finally {
      timer.abort();
      late.catch(() => {});
    }
  }
}

/** What a link or a connection was ended with. A failure of SASL ends the connection, with words of the library's. */
function refusal(event, { error, receiver, sender, session, connection }) {
  const reason = { receiver_error: receiver, sender_error: sender, session_error: session }[event]?.error;
  const { condition, description } = reason ?? error ?? connection.error ?? { condition: event };
  // The link, its session and the connection are all ended with the same words.
  const isNew = !exchanges.some(({ body }) => body === description);
  if (isNew && description?.startsWith('{')) exchanges.push({ condition, body: description });
  return Object.assign(new Error(description), { name: condition });
}
