// What must be true of one case. Each function returns the complaints; none means the case passed.

import { isDeepStrictEqual } from 'node:util';
import { MODES } from './matrix.mjs';

/** Judges a device that must be assigned. */
export function judgeAccepted(each, outcome) {
  const { exchanges, state, error } = outcome;
  const complaints = [];
  const must = (holds, text) => holds || complaints.push(text);
  if (error) return [`the client failed: ${error.name}: ${error.message}; ${told(exchanges)}`];

  const { hubs, deviceId, substatus, payload, exchanges: count } = each.expected;
  must(hubs.includes(state.assignedHub), `assigned to ${state.assignedHub}, not one of ${hubs}`);
  must(state.deviceId === deviceId, `device id ${state.deviceId}, not ${deviceId}`);
  must(state.registrationId === each.registrationId, `registration id ${state.registrationId}`);
  must(state.status === 'assigned', `status ${state.status}`);
  must(state.substatus === substatus, `substatus ${state.substatus}, not ${substatus}`);
  must(isDeepStrictEqual(state.payload, payload), `payload ${JSON.stringify(state.payload)}`);
  must(exchanges.length === count, `${exchanges.length} exchanges, not ${count}: ${told(exchanges)}`);
  for (const exchange of exchanges) {
    must(exchange.tls === each.tls, `connected with ${exchange.tls}`);
    must(exchange.reason, 'a status line has no reason phrase');
    must(!exchange.headers['transfer-encoding'], 'an answer is chunked');
    must(!/:\s*null\b/.test(exchange.body), `an answer holds null: ${exchange.body}`);
  }

  const [register, poll] = exchanges;
  if (!register) return complaints;
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
  return complaints;
}

/** Judges a device that must be refused; `model` is how the first one was refused, if one was. */
export function judgeRefused(each, outcome, model) {
  const { exchanges, state, error } = outcome;
  const complaints = [];
  const must = (holds, text) => holds || complaints.push(text);
  if (state) return [`assigned to ${state.assignedHub}`];
  if (exchanges.length !== 1) return [`${exchanges.length} exchanges; ${error.name}: ${error.message}`];

  const [{ status }] = exchanges;
  must(status === 401, `answered ${told(exchanges)}`);
  must(error.name === 'UnauthorizedError', `the client saw ${error.name}: ${error.message}`);
  const body = JSON.parse(exchanges[0].body);
  must(Number.isInteger(body.errorCode) && Math.floor(body.errorCode / 1000) === 401, `errorCode ${body.errorCode}`);
  must(typeof body.message === 'string', `message ${body.message}`);
  if (model) {
    const mine = face(exchanges[0]);
    const theirs = face(model);
    must(isDeepStrictEqual(mine, theirs), `told apart: ${JSON.stringify(mine)} from ${JSON.stringify(theirs)}`);
  }
  return complaints;
}

/** An answer without what differs from one request to the next. */
function face({ status, reason, headers, body }) {
  const parsed = JSON.parse(body);
  for (const varying of ['trackingId', 'timestampUtc']) {
    if (varying in parsed) parsed[varying] = typeof parsed[varying];
  }
  const kept = { ...headers };
  for (const varying of ['date', 'x-ms-request-id']) {
    if (varying in kept) kept[varying] = typeof kept[varying];
  }
  return { status, reason, headers: kept, body: parsed, keys: Object.keys(parsed) };
}

function told(exchanges) {
  return exchanges.map(({ method, path, status, body }) => `${method} ${path} -> ${status} ${body}`).join('; ');
}
