// A device with the habits of Azure/iot-identity-service (identity/aziot-cloud-client-async/src: `dps/mod.rs`,
// `connector.rs`), the client of IoT Edge:
//   - only 202 is an answer to register, and only `operationId` is read from it;
//   - it always sleeps before the first poll, and polls until it is told `assigned`;
//   - its token names the resource in lower case, percent-encoded, and lives 30 seconds: all polls reuse it;
//   - with a TPM only 401 is an answer to the first request, of which it reads `authenticationKey`; the signed request
//     after it names no keys; the key that comes with `assigned` goes into the TPM;
//   - it sends no User-Agent, and trusts an authority of its own.
'use strict';

const { createHmac } = require('node:crypto');
const https = require('node:https');
const { setTimeout: sleep } = require('node:timers/promises');
const { order, report } = require('./exchanges.cjs');
const { withTpm } = require('./tpm.cjs');

const API_VERSION = 'api-version=2021-06-01';
const TOKEN_SECONDS = 30;

report(async () => {
  const device = await order();
  const { registrationId, key, payload, tpm } = device;
  if (tpm) return withTpm(tpm, registrationId, (opened) => registeredByTpm(device, opened));
  const sign = async (text) => createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest();
  return registered(device, key && (await token(device, sign)), { registrationId, payload });
});

async function registeredByTpm(device, { keys, activate, sign }) {
  const { registrationId, payload } = device;
  const unsigned = { registrationId, tpm: await keys() };
  const challenge = await exchange(device, 'PUT', `${place(device)}/register?${API_VERSION}`, undefined, unsigned);
  if (challenge.status !== 401) throw new Error(`a request without a signature was answered ${challenge.status}`);
  await activate(blob(challenge.json.authenticationKey));
  const state = await registered(device, await token(device, sign), { registrationId, payload });
  await activate(blob(state.tpm?.authenticationKey));
  return { ...state, signed: [(await sign(Buffer.from('to its hub'))).toString('base64')] };
}

async function registered(device, authorization, body) {
  const register = await exchange(device, 'PUT', `${place(device)}/register?${API_VERSION}`, authorization, body);
  if (register.status !== 202) throw refusal(register);
  const { operationId } = register.json;
  if (typeof operationId !== 'string') throw new TypeError('register was answered without operationId');

  for (;;) {
    await sleep(device.pollMilliseconds);
    const path = `${place(device)}/operations/${operationId}?${API_VERSION}`;
    const poll = await exchange(device, 'GET', path, authorization);
    if (poll.status !== 200 && poll.status !== 202) throw refusal(poll);
    const state = poll.json.registrationState;
    if (typeof state?.registrationId !== 'string') {
      throw new TypeError('a poll was answered without registrationState.registrationId');
    }
    switch (poll.json.status) {
      case 'assigned':
        return state;
      case 'assigning':
        break;
      default:
        throw new Error(`a poll was answered with status ${poll.json.status}`);
    }
  }
}

function place({ idScope, registrationId }) {
  return `/${idScope}/registrations/${registrationId}`;
}

async function token({ idScope, registrationId }, sign) {
  const resource = encodeURIComponent(`${idScope}/registrations/${registrationId}`.toLowerCase());
  const expiry = Math.floor(Date.now() / 1000) + TOKEN_SECONDS;
  const signature = await sign(Buffer.from(`${resource}\n${expiry}`));
  const rest = new URLSearchParams({ sig: signature.toString('base64'), se: expiry, skn: 'registration' });
  return `SharedAccessSignature sr=${resource}&${rest}`;
}

function blob(text) {
  if (typeof text !== 'string') throw new TypeError('there is no authenticationKey');
  return Buffer.from(text, 'base64');
}

function exchange(device, method, path, authorization, body) {
  const text = body && JSON.stringify(body);
  const headers = {};
  if (text) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = Buffer.byteLength(text);
  }
  if (authorization) headers.authorization = authorization;
  return new Promise((resolve, reject) => {
    const request = https.request(
      { host: device.host, method, path, headers, ca: device.ca, ...device.x509 },
      (response) => {
        let answer = '';
        response.on('data', (chunk) => (answer += chunk));
        response.on('error', reject);
        response.on('end', () => {
          try {
            resolve({ status: response.statusCode, json: parsed(response.headers['content-type'], answer) });
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}

function parsed(contentType, text) {
  if (contentType !== undefined && !contentType.includes('application/json')) {
    throw new TypeError(`an answer has content type ${contentType}`);
  }
  return JSON.parse(text);
}

function refusal({ status, json }) {
  const error = new Error(json.message);
  error.name = status === 401 ? 'UnauthorizedError' : 'Error';
  error.response = { statusCode: status };
  return error;
}
