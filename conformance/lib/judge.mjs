// What must be true of one case. Each function returns the complaints; none means the case passed.

import { isDeepStrictEqual } from 'node:util';
import { CLIENTS, MODES } from './matrix.mjs';

/** Longer would mean that a client waited for something that never came: their own limits are 30 s. */
const MOST_MILLISECONDS = 15_000;

/** What answers are published to. */
const TOPIC = /^\$dps\/registrations\/res\/(?<status>\d{3})\/\?\$rid=[^&]+(&retry-after=(?<delay>\d+))?$/;

const BASE64 = /^[A-Za-z0-9+/]{4,}={0,2}$/;
/** 32 bytes in Base64. */
const SIGNATURE = /^[A-Za-z0-9+/]{43}=$/;

/** Judges a device that must be assigned. */
export function judgeAccepted(each, outcome) {
  const { exchanges, state, error } = outcome;
  const complaints = [];
  const must = (holds, text) => holds || complaints.push(text);
  if (error) return [`the client failed: ${error.name}: ${error.message}; ${told(exchanges)}`];

  const { hubs, deviceId, substatus, payload, challenges, times, exchanges: count } = each.expected;
  must(hubs.includes(state.assignedHub), `assigned to ${state.assignedHub}, not one of ${hubs}`);
  must(state.deviceId === deviceId, `device id ${state.deviceId}, not ${deviceId}`);
  must(state.registrationId === each.registrationId, `registration id ${state.registrationId}`);
  must(state.status === 'assigned', `status ${state.status}`);
  must(state.substatus === substatus, `substatus ${state.substatus}, not ${substatus}`);
  must(isDeepStrictEqual(state.payload, payload), `payload ${JSON.stringify(state.payload)}`);
  must(exchanges.length === count, `${exchanges.length} exchanges, not ${count}: ${told(exchanges)}`);
  must(outcome.milliseconds < MOST_MILLISECONDS, `it took ${outcome.milliseconds} ms`);
  const judge = { https: judgeHttp, mqtt: judgeMqtt, amqp: judgeAmqp }[protocol(each)];
  const registrations = parts(exchanges, times);
  for (const registration of registrations) {
    for (const challenge of registration.slice(0, challenges)) judgeChallenge(each, challenge, must);
    judge(each, registration.slice(challenges), must);
  }
  if (each.credential === 'tpm') judgeHubKeys(registrations, state, must);
  return complaints;
}

/** What a TPM is told over HTTPS before anything else: these three members and no more. */
function judgeChallenge(each, exchange, must) {
  judgeHttpAnswer(each, exchange, must);
  const { keyName, message, authenticationKey, ...rest } = JSON.parse(exchange.body);
  must(exchange.method === 'PUT' && exchange.status === 401, `challenge: ${told([exchange])}`);
  const { 'content-type': type, 'www-authenticate': asked } = exchange.headers;
  must(/^application\/json\b/.test(type), `a challenge of content type ${type}`);
  must(asked === undefined, 'a challenge has the header WWW-Authenticate');
  must(keyName === 'registration' && typeof message === 'string', `challenge: ${exchange.body}`);
  must(BASE64.test(authenticationKey), `authentication key ${authenticationKey}`);
  must(Object.keys(rest).length === 0, `a challenge has more than three members: ${exchange.body}`);
}

/** Every registration by a TPM comes with one new key, the same in every answer that has one, and the TPM takes it. */
function judgeHubKeys(registrations, state, must) {
  const keys = registrations.map((exchanges) => {
    const bodies = exchanges.map(({ body }) => JSON.parse(body));
    const given = new Set(bodies.map((body) => body.registrationState?.tpm?.authenticationKey).filter(Boolean));
    must(given.size === 1, `${given.size} keys for the hub in one registration`);
    return [...given][0];
  });
  must(keys.every((key) => BASE64.test(key)), `keys for the hub ${keys}`);
  must(keys.at(-1) === state.tpm?.authenticationKey, `the SDK has the key ${state.tpm?.authenticationKey}`);
  must(new Set(keys).size === keys.length, 'registering again gave the same key');
  const { signed } = state;
  must(signed.length === keys.length && signed.every((each) => SIGNATURE.test(each)), `signatures ${signed}`);
  must(new Set(signed).size === signed.length, 'the TPM signs with the key it had before it registered again');
}

function judgeHttpAnswer(each, exchange, must) {
  must(exchange.tls === each.tls, `connected with ${exchange.tls}`);
  must(exchange.reason, 'a status line has no reason phrase');
  must(!exchange.headers['transfer-encoding'], 'an answer is chunked');
  must(!/:\s*null\b/.test(exchange.body), `an answer holds null: ${exchange.body}`);
}

function judgeHttp(each, exchanges, must) {
  for (const exchange of exchanges) judgeHttpAnswer(each, exchange, must);

  const [register, poll] = exchanges;
  if (!register) return;
  const first = JSON.parse(register.body);
  must(register.method === 'PUT' && register.status === 202, `register: ${told([register])}`);
  must(/^[0-9A-Za-z.-]+$/.test(first.operationId), `operation id ${first.operationId}`);
  must(first.status === MODES[each.mode].answers, `register was answered ${first.status}`);
  if (first.status === 'assigning') {
    must(/^[1-5]$/.test(register.headers['retry-after']), `retry-after ${register.headers['retry-after']}`);
  }
  if (poll) {
    must(poll.method === 'GET' && poll.status === 200, `poll: ${told([poll])}`);
    must(JSON.parse(poll.body).operationId === first.operationId, 'the poll names another operation');
  }
}

/** Of some clients the topics are seen and the bodies are not. */
function judgeMqtt(each, exchanges, must) {
  const answers = exchanges.map(({ topic }) => topic.match(TOPIC)?.groups);
  if (answers.includes(undefined)) return must(false, `topics ${told(exchanges)}`);
  const last = answers.pop();
  must(last.status === '200' && !last.delay, `ended with ${told(exchanges)}`);
  must(answers.every(({ status, delay }) => status === '202' && /^[1-5]$/.test(delay)), `waited with ${told(exchanges)}`);
  const bodies = exchanges.filter(({ body }) => body !== undefined).map(({ body }) => body);
  const parsed = bodies.map((body) => JSON.parse(body));
  must(new Set(parsed.map(({ operationId }) => operationId)).size <= 1, `operations ${told(exchanges)}`);
  if (parsed[0]) must(parsed[0].status === MODES[each.mode].answers, `register was answered ${parsed[0].status}`);
  for (const body of bodies) {
    must(!/:\s*null\b/.test(body), `an answer holds null: ${body}`);
    must(/^[\x20-\x7e]*$/.test(body), `an answer is not ASCII, as the SDK for Node.js reads it: ${body}`);
  }
}

function judgeAmqp(each, all, must) {
  const exchanges = each.habit?.ask ? all.slice(1) : all;
  if (each.habit?.ask) judgeRejected(each.habit, all[0], must);
  const delays = exchanges.map(({ properties }) => properties);
  const last = delays.pop() ?? {};
  must(!('retry-after' in last) && !('Retry-After' in last), `ended with ${told(exchanges)}`);
  must(delays.every(isDelayed), `waited with ${told(exchanges)}`);
  const parsed = exchanges.map(({ body }) => JSON.parse(body));
  must(new Set(parsed.map(({ operationId }) => operationId)).size <= 1, `operations ${told(exchanges)}`);
  if (parsed[0]) must(parsed[0].status === MODES[each.mode].answers, `register was answered ${parsed[0].status}`);
  for (const { body } of exchanges) must(!/:\s*null\b/.test(body), `an answer holds null: ${body}`);
}

function judgeRejected(wanted, { condition, body }, must) {
  must(condition === wanted.condition, `rejected with ${condition} ${body}`);
  judgeError(JSON.parse(body), wanted.status, must);
}

/** C, Node.js and Java look for one spelling, C# for the other. */
function isDelayed(properties) {
  const delay = properties?.['retry-after'];
  return Number.isInteger(delay) && delay >= 1 && delay <= 5 && properties['Retry-After'] === delay;
}

/** Judges a device that must be told one thing, and that it is an error. */
export function judgeTold(each, { exchanges, error, state }) {
  if (state || exchanges.length !== 1) return [`${error?.name}: ${error?.message}; ${told(exchanges)}`];
  const status = Number(exchanges[0].topic.match(TOPIC)?.groups.status);
  const { errorCode } = JSON.parse(exchanges[0].body);
  const { status: wanted } = each.expected;
  return status === wanted && Math.floor(errorCode / 1000) === wanted ? [] : [`answered ${told(exchanges)}`];
}

/** Judges a command by how it ended and by what it said. */
export function judgeCommand(each, { status, said, error }) {
  if (error) return [error.message];
  const { says, status: wanted } = each.expected;
  const complaints = status === wanted ? [] : [`it ended with ${status}, not ${wanted}`];
  let from = 0;
  for (const text of says) {
    const at = said.indexOf(text, from);
    if (at < 0) complaints.push(`it did not say "${text}" in time`);
    else from = at + text.length;
  }
  return complaints.length === 0 ? [] : [...complaints, said];
}

/** Judges an operator, who has said himself what was wrong; on the wire everything says what it is, and whole. */
export function judgeOperator(each, { state, error, exchanges }) {
  const complaints = [];
  const must = (holds, text) => holds || complaints.push(text);
  if (!state?.done) return [`${error?.name}: ${error?.message}; ${told(exchanges.slice(-1))}`];
  must(exchanges.length > 0, 'nothing was asked');
  for (const { tls, headers, status, body } of exchanges) {
    must(tls === each.tls, `connected with ${tls}`);
    must(!headers['transfer-encoding'], 'an answer is chunked');
    must(/^[0-9a-f-]{36}$/.test(headers['x-ms-request-id']), `request id ${headers['x-ms-request-id']}`);
    must(status === 204 ? body === '' : headers['content-type'] === 'application/json; charset=utf-8', 'content type');
    must(/^[\x20-\x7e]*$/.test(body), `an answer is not ASCII: ${body}`);
    if (status >= 400) must(headers['x-ms-error-code'] === String(JSON.parse(body).errorCode), `error code of ${body}`);
  }
  return complaints;
}

/** Judges a device that must be refused; `model` is how the first one was refused, if one was. */
export function judgeRefused(each, outcome, model) {
  if (protocol(each) === 'amqp') return judgeRefusedByAmqp(each, outcome, model);
  const { state, error } = outcome;
  const complaints = [];
  const must = (holds, text) => holds || complaints.push(text);
  if (state) return [`assigned to ${state.assignedHub}`];
  if (outcome.exchanges.length === 0) return [`${error.name}: ${error.message}`];
  const exchanges = judgedChallenge(each, outcome.exchanges, must);
  if (exchanges.length !== 1) return [`${exchanges.length} exchanges; ${error.name}: ${error.message}`];

  const status = exchanges[0].status ?? Number(exchanges[0].topic.match(TOPIC)?.groups.status);
  must(status === 401, `answered ${told(exchanges)}`);
  const { refusal } = CLIENTS[each.client];
  must(error.name === refusal, `the client saw ${error.name}: ${error.message}`);
  if (exchanges[0].body === undefined) return complaints;
  judgeError(JSON.parse(exchanges[0].body), 401, must);
  if (model) judgeAlike(exchanges[0], model, must);
  return complaints;
}

/** Judges a device that is believed, and told that its enrollment is disabled. */
export function judgeDisabled(each, { exchanges, state, error }) {
  const complaints = [];
  const must = (holds, text) => holds || complaints.push(text);
  if (state) return [`assigned to ${state.assignedHub}`];
  if (exchanges.length === 0) return [`${error.name}: ${error.message}`];
  const answers = judgedChallenge(each, exchanges, must);
  if (answers.length !== 1) return [`${answers.length} answers; ${error.name}: ${error.message}`];
  const { status, registrationState } = JSON.parse(answers[0].body);
  must(status === 'disabled' && registrationState.status === 'disabled', `answered ${told(answers)}`);
  must(error.message === 'status is disabled', `the client saw ${error.name}: ${error.message}`);
  return complaints;
}

/** Judges the challenge that a TPM gets over HTTPS before anything is looked up, and returns what came after. */
function judgedChallenge(each, exchanges, must) {
  if (each.proof !== 'tpm' || protocol(each) !== 'https') return exchanges;
  const [challenge, ...rest] = exchanges;
  judgeChallenge(each, challenge, must);
  return rest;
}

/** A key, also one of a TPM, is refused within SASL, which tells nothing but that; a certificate by an error. */
function judgeRefusedByAmqp(each, { exchanges, state, error, milliseconds }, model) {
  const complaints = [];
  const must = (holds, text) => holds || complaints.push(text);
  if (state) return [`assigned to ${state.assignedHub}`];
  must(error.name === CLIENTS[each.client].refusal[each.proof], `the client saw ${error.name}: ${error.message}`);
  must(milliseconds < MOST_MILLISECONDS, `it took ${milliseconds} ms`);
  if (each.proof !== 'certificate') {
    must(exchanges.length === 0, `told ${told(exchanges)}`);
    return complaints;
  }
  const [answer] = exchanges;
  if (exchanges.length !== 1) return [...complaints, `${exchanges.length} answers`];
  must(answer.condition === 'amqp:unauthorized-access', `condition ${answer.condition}`);
  judgeError(JSON.parse(answer.body), 401, must);
  if (model) judgeAlike(answer, model, must);
  return complaints;
}

function judgeError(body, status, must) {
  must(Number.isInteger(body.errorCode) && Math.floor(body.errorCode / 1000) === status, `errorCode ${body.errorCode}`);
  must(typeof body.message === 'string', `message ${body.message}`);
}

function judgeAlike(answer, model, must) {
  const mine = face(answer);
  const theirs = face(model);
  must(isDeepStrictEqual(mine, theirs), `told apart: ${JSON.stringify(mine)} from ${JSON.stringify(theirs)}`);
}

/** An answer without what differs from one request to the next. */
function face({ status, reason, headers, topic, condition, body }) {
  const parsed = JSON.parse(body);
  for (const varying of ['trackingId', 'timestampUtc']) {
    if (varying in parsed) parsed[varying] = typeof parsed[varying];
  }
  const kept = { ...headers };
  for (const varying of ['date', 'x-ms-request-id']) {
    if (varying in kept) kept[varying] = typeof kept[varying];
  }
  return { status, reason, condition, headers: kept, topic: topic?.replace(/\$rid=[^&]+/, '$rid'), body: parsed, keys: Object.keys(parsed) };
}

/** `items` in so many parts, all of one length. */
function parts(items, count) {
  const length = Math.ceil(items.length / count);
  return Array.from({ length: count }, (_, index) => items.slice(index * length, (index + 1) * length));
}

/** What is spoken, in WebSockets or not. */
function protocol({ transport }) {
  return transport.replace('-ws', '');
}

function told(exchanges) {
  const one = ({ method, path, status, topic, condition, properties, body }) => {
    if (topic) return `${topic} ${body ?? ''}`;
    return method ? `${method} ${path} -> ${status} ${body}` : `${condition ?? JSON.stringify(properties)} ${body}`;
  };
  return exchanges.map(one).join('; ');
}
