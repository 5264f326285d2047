// An operator with the habits of a client that does not run here: how it signs, spells paths and tags, what it sends where
// others send nothing, and what it rejects of an answer.
'use strict';

const assert = require('node:assert/strict');
const { createHmac } = require('node:crypto');
const https = require('node:https');
const { order, report } = require('./exchanges.cjs');

const SECONDS = 3600;

const lowerHex = (text) => encodeURIComponent(text).replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
const upperHex = (text) => encodeURIComponent(text);
const raw = (text) => text;
const derOf = (pem) => pem.replace(/-----[^-]*-----|\s/g, '');
const base64OfPem = (pem) => Buffer.from(pem).toString('base64');

/**
 * - `resource`, `escape`: how the token spells the host, and its signature; `fields`: in which order.
 * - `tag`: how a tag stands in If-Match; `any`: what stands there for any.
 * - `attestation`: the body of the question for keys; `null` if it never asks.
 * - `reads`: what it rejects of an entry.
 */
const HABITS = {
  // Azure/azure-iot-sdk-c provisioning_service_client.c, provisioning_sc_*.c; azure-c-shared-utility sastoken.c.
  c: {
    version: '2018-04-01',
    resource: raw,
    escape: lowerHex,
    fields: ['sr', 'sig', 'se', 'skn'],
    port: ':443',
    id: raw,
    bulk: '/',
    tag: raw,
    certificate: base64OfPem,
    attestation: null,
    type: 'application/json; charset=utf-8',
    query: 'select * from enrollments',
    listsRegistrationsWith: undefined,
    reads: (entry) => {
      assert.ok(entry.provisioningStatus && entry.etag);
      const { clientCertificates, signingCertificates } = entry.attestation.x509;
      assert.ok((clientCertificates ?? signingCertificates).primary.info);
    },
  },
  // Azure/azure-iot-sdk-csharp provisioning/service/src: Manager/*.cs, Contract/ContractApiHttp.cs, Config/*.cs.
  csharp: {
    version: '2019-03-31',
    resource: lowerHex,
    escape: lowerHex,
    fields: ['sr', 'sig', 'se', 'skn'],
    id: upperHex,
    tag: (tag) => (tag.startsWith('"') ? tag : `"${tag}"`),
    certificate: derOf,
    attestation: '',
    type: 'application/json; charset=utf-8',
    query: '',
    listsRegistrationsWith: { query: 'SELECT * FROM enrollmentGroups' },
    reads: ({ attestation: { x509 } }) => {
      const named = ['clientCertificates', 'signingCertificates', 'caReferences'].filter((name) => x509[name]);
      assert.equal(named.length, 1);
      const { notBeforeUtc, notAfterUtc, version } = x509[named[0]].primary.info;
      assert.ok(notBeforeUtc && notAfterUtc && Number.isInteger(version));
    },
  },
  // Azure/azure-iot-sdk-java provisioning-service-client: contract/ContractApiHttp.java, auth/ProvisioningSasToken.java,
  // configs/ParserUtility.java.
  java: {
    version: '2019-03-31',
    resource: (host) => upperHex(host.toLowerCase()),
    escape: upperHex,
    fields: ['sr', 'sig', 'se', 'skn'],
    headers: { charset: 'utf-8', 'Request-Id': '1001' },
    id: raw,
    tag: raw,
    certificate: raw,
    attestation: '{}',
    type: 'application/json',
    query: 'select * from enrollments',
    listsRegistrationsWith: { query: 'select * from deviceRegistrations' },
    reads: ({ createdDateTimeUtc, lastUpdatedDateTimeUtc }) => {
      for (const date of [createdDateTimeUtc, lastUpdatedDateTimeUtc]) {
        assert.match(date, /^\d{4}(-\d\d){2}T\d\d(:\d\d){2}(\.\d{1,9})?Z$/);
      }
    },
  },
  // Azure/azure-iot-cli-extension azext_iot: operations/dps.py, common/sas_token_auth.py, sdk/dps/service.
  cli: {
    version: '2021-10-01',
    resource: upperHex,
    escape: upperHex,
    fields: ['sr', 'sig', 'se', 'skn'],
    id: upperHex,
    tag: raw,
    certificate: derOf,
    attestation: '',
    type: 'application/json; charset=utf-8',
    query: 'SELECT *',
    listsRegistrationsWith: { query: 'SELECT *' },
    // Its generated models write members of a twin that nobody has set.
    twin: { tags: { version: null, count: null, metadata: null, site: 'hall 3' }, properties: { desired: { version: null } } },
    reads: () => {},
  },
};

/** Whoever asks, over one connection. */
class Operator {
  constructor({ host, ca, policies }, habits) {
    Object.assign(this, { host, policies, habits, agent: new https.Agent({ ca, keepAlive: true, maxSockets: 1 }) });
  }

  token() {
    const { resource, escape, fields } = this.habits;
    const sr = resource(this.host);
    const se = String(Math.floor(Date.now() / 1000) + SECONDS);
    const sig = createHmac('sha256', Buffer.from(this.policies.owner, 'base64')).update(`${sr}\n${se}`).digest('base64');
    const said = { sr, sig: escape(sig), se, skn: 'owner' };
    return `SharedAccessSignature ${fields.map((name) => `${name}=${said[name]}`).join('&')}`;
  }

  ask(method, path, { tag, body, headers } = {}) {
    const { version, port = '', type, headers: usual } = this.habits;
    const text = typeof body === 'object' ? JSON.stringify(body) : body;
    const options = {
      host: this.host,
      method,
      path: `${path}?api-version=${version}`,
      agent: this.agent,
      headers: {
        Host: `${this.host}${port}`,
        Authorization: this.token(),
        ...usual,
        ...headers,
        ...(tag === undefined ? {} : { 'If-Match': this.habits.tag(tag) }),
        ...(text ? { 'Content-Type': type } : {}),
        'Content-Length': Buffer.byteLength(text ?? ''),
      },
    };
    return new Promise((resolve, reject) => {
      const request = https.request(options, (response) => {
        let told = '';
        response.on('data', (chunk) => (told += chunk));
        response.on('end', () => {
          const { statusCode: status, headers: names } = response;
          resolve({ status, headers: names, json: told ? JSON.parse(told) : undefined });
        });
      });
      request.on('error', reject);
      request.end(text);
    });
  }

  async done(status, ...asked) {
    const answer = await this.ask(...asked);
    assert.equal(answer.status, status, JSON.stringify(answer.json));
    return answer.json;
  }
}

report(async () => {
  const errand = await order();
  const { prefix, certificates, authority } = errand;
  const habits = HABITS[errand.errand];
  const operator = new Operator(errand, habits);
  const id = `${prefix}:${errand.errand}`;
  const given = (pem) => ({ primary: { certificate: habits.certificate(pem) } });
  const twin = habits.twin ?? { tags: { site: 'hall 3' }, properties: { desired: { interval: 60 } } };
  const by = (x509) => ({ type: 'x509', x509 });
  const leaf = by({ clientCertificates: given(certificates[0]) });
  const individual = { registrationId: id, attestation: leaf, initialTwin: twin };
  const group = { enrollmentGroupId: id, attestation: by({ signingCertificates: given(authority) }) };
  for (const [place, entry] of [['/enrollments', individual], ['/enrollmentGroups', group]]) {
    const path = `${place}/${habits.id(id)}`;
    const made = await operator.done(200, 'PUT', path, { body: entry });
    assert.equal((await operator.done(409, 'PUT', path, { body: entry })).errorCode, place === '/enrollments' ? 409201 : 409202);
    const read = await operator.done(200, 'GET', path);
    habits.reads(read);
    assert.deepEqual(read.initialTwin, entry.initialTwin);
    const changed = await operator.done(200, 'PUT', path, { tag: read.etag, body: { ...read, provisioningStatus: 'disabled' } });
    assert.deepEqual([changed.provisioningStatus, changed.attestation], ['disabled', made.attestation]);
    assert.equal((await operator.done(412, 'PUT', path, { tag: read.etag, body: read })).errorCode, 412001);
    await operator.done(200, 'PUT', path, { tag: '*', body: changed });
    if (habits.attestation !== null) {
      const mechanism = await operator.done(200, 'POST', `${path}/attestationmechanism`, { body: habits.attestation });
      assert.deepEqual(mechanism, made.attestation);
    }

    const page = { body: { query: habits.query }, headers: { 'x-ms-max-item-count': '1000' } };
    const list = await operator.ask('POST', `${place}/query`, page);
    assert.equal(list.headers['x-ms-item-type'], place === '/enrollments' ? 'Enrollment' : 'EnrollmentGroup');
    assert.ok(list.json.some((each) => [each.registrationId, each.enrollmentGroupId].includes(id)));
    await operator.done(204, 'DELETE', path, { tag: '*' });
    assert.ok([404201, 404204].includes((await operator.done(404, 'GET', path)).errorCode));
  }

  const entries = [1, 2].map((nth) => ({ registrationId: `${prefix}-bulk-${errand.errand}-${nth}`, attestation: { type: 'symmetricKey' } }));
  for (const mode of ['create', 'update', 'delete']) {
    const result = await operator.done(200, 'POST', `/enrollments${habits.bulk ?? ''}`, { body: { mode, enrollments: entries } });
    assert.deepEqual(result, { isSuccessful: true, errors: [] });
  }
  const states = await operator.ask('POST', `/registrations/${habits.id(id)}/query`, { body: habits.listsRegistrationsWith });
  assert.deepEqual([states.status, states.json, states.headers['x-ms-item-type']], [200, [], 'DeviceRegistration']);
  operator.agent.destroy();
  return { done: true };
});
