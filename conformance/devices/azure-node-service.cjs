// One operator's errand with the Azure service SDK for Node.js, as its users write it. What must be true of each answer is
// asserted here, where the answer is; what went over the wire is judged by whoever started it.
'use strict';

const assert = require('node:assert/strict');
const { order, report } = require('./exchanges.cjs');
const { secured } = require('./security.cjs');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');

/** Answers of the SDK hold the body, the whole answer, or both. */
const body = (answer) => answer.responseBody ?? answer;

/** The next page of a list. Where the SDK is given no callback, it goes on from where it is told and begins anew otherwise. */
const next = (query) => query.next(query.continuationToken);

/** That a promise is refused with one of the SDK's errors, and with one of the service's codes. */
async function refused(promise, name, status, code) {
  const error = await promise.then(() => assert.fail(`nothing was refused with ${code}`), (each) => each);
  // Its name for what is not found is no more than that.
  assert.equal(error.name, name, error.message);
  assert.equal(error.response?.statusCode, status);
  const told = JSON.parse(error.responseBody);
  assert.equal(told.errorCode, code);
  assert.match(told.trackingId, /^[0-9a-f-]{36}$/);
  assert.match(told.timestampUtc, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
}

const twin = { tags: { site: 'Halle 3 – Süd' }, properties: { desired: { interval: 60, count: 2 } } };

/** Everything that can be said of an entry beside how it is attested. */
const EVERYTHING = {
  provisioningStatus: 'enabled',
  capabilities: { iotEdge: true },
  reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
  initialTwin: twin,
  allocationPolicy: 'static',
  iotHubs: ['hub-us.example.net'],
};

/** How the two kinds of entry are called. */
const INDIVIDUAL = {
  name: 'registrationId',
  exists: 409201,
  missing: 404201,
  put: 'createOrUpdateIndividualEnrollment',
  get: 'getIndividualEnrollment',
  remove: 'deleteIndividualEnrollment',
  attestation: 'getIndividualEnrollmentAttestationMechanism',
};
const GROUP = {
  name: 'enrollmentGroupId',
  exists: 409202,
  missing: 404204,
  put: 'createOrUpdateEnrollmentGroup',
  get: 'getEnrollmentGroup',
  remove: 'deleteEnrollmentGroup',
  attestation: 'getEnrollmentGroupAttestationMechanism',
};

/**
 * The life of an entry, with everything that can be said of it.
 *
 * - `shown`: its attestation as it is read.
 * - `told`: its attestation as it is told where keys are asked for; made keys are taken from the first answer.
 */
async function life(client, kind, id, attestation, { shown, told, otherwise = {} } = {}) {
  const { put, get, remove, name } = kind;
  const entry = { [name]: id, attestation, ...EVERYTHING, ...otherwise };
  const made = body(await client[put](entry));
  for (const [member, value] of Object.entries({ ...EVERYTHING, ...otherwise })) {
    assert.deepEqual(made[member], value, member);
  }
  assert.match(made.etag, /^[A-Za-z0-9-]+$/);
  assert.match(made.createdDateTimeUtc, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
  if (told) assert.deepEqual(made.attestation, told(made.attestation));
  await refused(client[put](entry), 'DeviceAlreadyExistsError', 409, kind.exists);

  const read = body(await client[get](id));
  if (shown) assert.deepEqual(read.attestation, shown(made.attestation));
  assert.equal(read.etag, made.etag);
  // Read, changed and written back: what was not told stays.
  const changed = body(await client[put]({ ...read, provisioningStatus: 'disabled' }));
  assert.equal(changed.provisioningStatus, 'disabled');
  assert.deepEqual(changed.attestation, made.attestation);
  assert.notEqual(changed.etag, made.etag);
  await refused(client[put](read), 'InvalidEtagError', 412, 412001);
  const mechanism = body(await client[kind.attestation](id));
  assert.deepEqual(mechanism, made.attestation);

  await refused(client[remove](id, made.etag), 'InvalidEtagError', 412, 412001);
  await client[remove](changed);
  await refused(client[get](id), 'Error', 404, kind.missing);
  await refused(client[remove](id), 'Error', 404, kind.missing);
  await refused(client[kind.attestation](id), 'Error', 404, kind.missing);
  return made;
}

const hidden = () => ({ type: 'symmetricKey' });

/** Of certificates only what stands in them. */
function certified(attestation) {
  const [slots] = Object.values(attestation.x509);
  for (const slot of Object.values(slots).filter(Boolean)) {
    assert.deepEqual(Object.keys(slot), ['info']);
    assert.equal(Object.keys(slot.info).length, 8);
    assert.match(slot.info.sha1Thumbprint, /^[0-9A-F]{40}$/);
    assert.match(slot.info.sha256Thumbprint, /^[0-9A-F]{64}$/);
  }
  return attestation;
}

const keysOf = ({ symmetricKey }) => [symmetricKey.primaryKey, symmetricKey.secondaryKey];
const byKey = (symmetricKey) => ({ type: 'symmetricKey', symmetricKey });

/** The SDK never settles the promise of this call: it wants a callback. */
const bulk = (client, mode, enrollments) =>
  new Promise((resolve, reject) =>
    client.runBulkEnrollmentOperation({ mode, enrollments }, (error, result) => (error ? reject(error) : resolve(body(result)))),
  );

const ERRANDS = {
  async 'individual-keys'(client) {
    const otherwise = { deviceId: 'another-name', optionalDeviceInformation: { bought: 2026, metadata: { a: null } } };
    const made = await life(client, INDIVIDUAL, 'errand:keys.made', byKey({ primaryKey: '', secondaryKey: '' }), {
      shown: hidden,
      otherwise,
    });
    for (const key of keysOf(made.attestation)) assert.equal(Buffer.from(key, 'base64').length, 64);
    const given = { primaryKey: Buffer.alloc(32, 1).toString('base64'), secondaryKey: Buffer.alloc(64, 2).toString('base64') };
    await life(client, INDIVIDUAL, 'errand-keys_given-1', byKey(given), { shown: hidden, told: () => byKey(given) });
  },

  async 'individual-certificates'(client, { certificates, prefix }) {
    const [pem, other] = certificates;
    const base64OfPem = Buffer.from(other).toString('base64');
    const attestation = {
      type: 'x509',
      x509: { clientCertificates: { primary: { certificate: pem }, secondary: { certificate: base64OfPem } } },
    };
    await life(client, INDIVIDUAL, prefix, attestation, { shown: certified, told: certified });
  },

  async 'individual-tpm'(client, { endorsementKey }) {
    const attestation = { type: 'tpm', tpm: { endorsementKey } };
    await life(client, INDIVIDUAL, 'errand-tpm', attestation, { shown: () => attestation, told: () => attestation });
  },

  async 'group-keys'(client) {
    const made = await life(client, GROUP, 'Errand:Group', byKey({}), { shown: hidden });
    for (const key of keysOf(made.attestation)) assert.equal(Buffer.from(key, 'base64').length, 64);
  },

  async 'group-certificates'(client, { authority, spare }) {
    const signing = { type: 'x509', x509: { signingCertificates: { primary: { certificate: authority } } } };
    await life(client, GROUP, 'errand-signing', signing, { shown: certified, told: certified });
    const named = { type: 'x509', x509: { caReferences: { primary: spare, secondary: null } } };
    await life(client, GROUP, 'errand-named', named, { shown: () => named, told: () => named });
  },

  async bulk(client) {
    const ids = ['errand-bulk-1', 'errand-bulk-2', 'errand-bulk-3'];
    const entries = ids.map((registrationId) => ({ registrationId, attestation: byKey({}) }));
    const run = (mode, enrollments) => bulk(client, mode, enrollments);
    const done = { isSuccessful: true, errors: [] };
    const failed = (registrationId, errorCode, errorStatus) => ({ isSuccessful: false, errors: [{ registrationId, errorCode, errorStatus }] });
    assert.deepEqual(await run('create', entries.slice(0, 2)), done);
    assert.deepEqual(await run('create', entries.slice(1)), failed(ids[1], 409201, 'Enrollment already exists'));
    const read = await Promise.all(ids.map(async (id) => body(await client.getIndividualEnrollment(id))));
    assert.deepEqual(await run('updateIfMatchEtag', read), done);
    const stale = await run('updateIfMatchEtag', read.slice(0, 1));
    assert.equal(stale.errors[0].errorCode, 412001);
    assert.deepEqual(await run('update', entries), done);
    assert.deepEqual(await run('delete', entries), done);
    assert.equal((await run('delete', entries)).errors.length, 3);
    await refused(run('replace', entries), 'ArgumentError', 400, 400004);
    const eleven = Array.from({ length: 11 }, (_, nth) => ({ registrationId: `errand-${nth}`, attestation: byKey({}) }));
    await refused(run('create', eleven), 'ArgumentError', 400, 400004);
  },

  async queries(client) {
    const ids = Array.from({ length: 7 }, (_, nth) => `errand-list-${nth}`);
    for (const id of ids) {
      await client.createOrUpdateIndividualEnrollment({ registrationId: id, attestation: byKey({}) });
      await client.createOrUpdateEnrollmentGroup({ enrollmentGroupId: id, attestation: byKey({}) });
    }
    const seen = async (query, name, item) => {
      const all = [];
      while (query.hasMoreResults) {
        const page = await next(query);
        const result = body(page);
        assert.ok(result.length <= 3);
        assert.equal(page.httpResponse.headers['x-ms-item-type'], item);
        all.push(...result);
      }
      const found = all.map((each) => each[name]).filter((id) => id.startsWith('errand-list-'));
      assert.deepEqual(found, ids);
      for (const each of all) assert.equal(each.attestation.symmetricKey, undefined);
    };
    await seen(client.createIndividualEnrollmentQuery({ query: '*' }, 3), 'registrationId', 'Enrollment');
    await seen(client.createEnrollmentGroupQuery({ query: 'select * from enrollmentGroups' }, 3), 'enrollmentGroupId', 'EnrollmentGroup');
    const filter = { query: "SELECT * FROM enrollments WHERE STARTSWITH(registrationId, 'errand-list-')" };
    await seen(client.createIndividualEnrollmentQuery(filter, 3), 'registrationId', 'Enrollment');
    const wrong = client.createIndividualEnrollmentQuery({ query: 'SELECT * WHERE' }, 3);
    await refused(next(wrong), 'ArgumentError', 400, 400004);
  },

  async registrations(client, { host, idScope }) {
    const register = (registrationId, key) =>
      secured({ registrationId, key }, (security) => ProvisioningDeviceClient.create(host, idScope, new Http(), security).register());
    const id = 'Errand-Device';
    const made = body(await client.createOrUpdateIndividualEnrollment({ registrationId: id, attestation: byKey({}) }));
    await refused(client.getDeviceRegistrationState(id), 'Error', 404, 404202);
    const { registrationState: before } = body(await client.getIndividualEnrollment(id));
    assert.deepEqual(before, { registrationId: id, status: 'unassigned' });
    const assigned = await register(id, keysOf(made.attestation)[1]);
    const state = body(await client.getDeviceRegistrationState(id.toLowerCase()));
    assert.deepEqual([state.registrationId, state.status, state.assignedHub], [id, 'assigned', assigned.assignedHub]);
    assert.equal(state.substatus, 'initialAssignment');
    assert.match(Buffer.from(state.etag, 'base64').toString(), /^"[^"]+"$/);
    const { registrationState } = body(await client.getIndividualEnrollment(id));
    assert.deepEqual(registrationState, state);
    await refused(client.deleteDeviceRegistrationState(id, 'MDAwMA=='), 'InvalidEtagError', 412, 412001);
    await client.deleteDeviceRegistrationState(state);
    await refused(client.deleteDeviceRegistrationState(id), 'Error', 404, 404202);
    await client.deleteIndividualEnrollment(id);
    await assert.rejects(register(id, keysOf(made.attestation)[1]), { name: 'UnauthorizedError' });

    const { createHmac } = require('node:crypto');
    const group = { enrollmentGroupId: 'errand-fleet', attestation: byKey({}) };
    const [key] = keysOf(body(await client.createOrUpdateEnrollmentGroup(group)).attestation);
    const members = ['errand-fleet-1', 'errand-fleet-2', 'errand-fleet-3'];
    for (const member of members) {
      await register(member, createHmac('sha256', Buffer.from(key, 'base64')).update(member).digest('base64'));
    }
    const query = client.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT * FROM enrollments' }, 'errand-fleet', 2);
    const found = [];
    while (query.hasMoreResults) found.push(...body(await next(query)));
    assert.deepEqual(found.map((each) => [each.registrationId, each.status]), members.map((member) => [member, 'assigned']));
    await client.deleteEnrollmentGroup('errand-fleet', '*');
  },

  async 'worked-examples'(client, { prefix }) {
    const id = `${prefix}-dev-001`;
    const entry = { registrationId: id, attestation: byKey({ primaryKey: '', secondaryKey: '' }) };
    const put = async (etag) => body(await client.createOrUpdateIndividualEnrollment({ ...entry, etag }));
    const made = await put();
    for (const key of keysOf(made.attestation)) assert.equal(key.length, 88);
    assert.deepEqual([made.capabilities, made.provisioningStatus], [{ iotEdge: false }, 'enabled']);
    await refused(put(), 'DeviceAlreadyExistsError', 409, 409201);
    await refused(put('"e0"'), 'InvalidEtagError', 412, 412001);
    const second = await put(made.etag);
    assert.notEqual(second.etag, made.etag);
    assert.deepEqual(second.attestation, made.attestation);
    assert.deepEqual((await put('"*"')).attestation, made.attestation);
    const read = body(await client.getIndividualEnrollment(id));
    assert.deepEqual(read.attestation, { type: 'symmetricKey' });
    assert.ok(read.etag);
    assert.deepEqual(body(await client.getIndividualEnrollmentAttestationMechanism(id)), made.attestation);
    await refused(client.deleteIndividualEnrollment(id, `"${made.etag}"`), 'InvalidEtagError', 412, 412001);
    await client.deleteIndividualEnrollment(id, '*');
    await refused(client.getIndividualEnrollment(id), 'Error', 404, 404201);

    const ids = [0, 1, 2].map((nth) => `${prefix}-page-${nth}`);
    for (const each of ids) await client.createOrUpdateIndividualEnrollment({ registrationId: each, attestation: byKey({}) });
    const text = `select * from enrollments where startswith(registrationId, '${prefix}-page-')`;
    const query = client.createIndividualEnrollmentQuery({ query: text }, 2);
    const lengths = [];
    while (query.hasMoreResults) {
      const { httpResponse, responseBody } = await next(query);
      lengths.push(responseBody.length);
      assert.equal(httpResponse.headers['x-ms-item-type'], 'Enrollment');
      assert.equal('x-ms-continuation' in httpResponse.headers, query.hasMoreResults);
    }
    assert.deepEqual(lengths, [2, 1]);
    const enrollments = [`${prefix}-new`, ids[0]].map((registrationId) => ({ registrationId, attestation: byKey({}) }));
    const errors = [{ registrationId: ids[0], errorCode: 409201, errorStatus: 'Enrollment already exists' }];
    assert.deepEqual(await bulk(client, 'create', enrollments), { isSuccessful: false, errors });
  },

  async 'bearer-tokens'(_, { host, tokens }) {
    const expiresOnTimestamp = Date.now() + 3_600_000;
    const asked = [];
    const as = (token) =>
      ProvisioningServiceClient.fromTokenCredential(host, {
        getToken: async (scope) => {
          asked.push(scope);
          return { token, expiresOnTimestamp };
        },
      });
    const entry = { registrationId: 'errand-bearer', attestation: byKey({}) };
    const contributor = as(tokens.contributor);
    const made = body(await contributor.createOrUpdateIndividualEnrollment(entry));
    assert.equal(keysOf(made.attestation).length, 2);
    const reader = as(tokens.reader);
    assert.deepEqual(body(await reader.getIndividualEnrollment('errand-bearer')).attestation, { type: 'symmetricKey' });
    const query = reader.createIndividualEnrollmentQuery({ query: "SELECT * FROM enrollments WHERE registrationId = 'errand-bearer'" });
    assert.equal(body(await next(query)).length, 1);
    for (const call of [
      () => reader.createOrUpdateIndividualEnrollment({ ...entry, etag: made.etag }),
      () => reader.getIndividualEnrollmentAttestationMechanism('errand-bearer'),
      () => reader.deleteIndividualEnrollment('errand-bearer'),
      ...['nobody', 'expired', 'foreign', 'forged'].map((name) => () => as(tokens[name]).getIndividualEnrollment('errand-bearer')),
    ]) {
      await refused(call(), 'UnauthorizedError', 401, 401000);
    }
    await contributor.deleteIndividualEnrollment('errand-bearer', made.etag);
    await refused(reader.getIndividualEnrollment('errand-bearer'), 'Error', 404, 404201);
    // What the audience of usual tokens comes from.
    assert.deepEqual([...new Set(asked)], ['https://azure-devices-provisioning.net/.default']);
  },

  async refusals(client, { host, policies }) {
    const entry = { registrationId: 'errand-refused', attestation: byKey({}) };
    const as = (name, key) => ProvisioningServiceClient.fromConnectionString(`HostName=${host};SharedAccessKeyName=${name};SharedAccessKey=${key}`);
    const other = Buffer.alloc(64, 7).toString('base64');
    for (const stranger of [as('owner', other), as('nobody', policies.owner)]) {
      for (const call of [
        () => stranger.getIndividualEnrollment('errand-refused'),
        () => stranger.createOrUpdateIndividualEnrollment(entry),
        () => stranger.createIndividualEnrollmentQuery({ query: '*' }).next(),
      ]) {
        await refused(call(), 'UnauthorizedError', 401, 401000);
      }
    }
    const reading = as('reader', policies.reader);
    await refused(reading.getIndividualEnrollment('errand-refused'), 'Error', 404, 404201);
    await refused(reading.createOrUpdateIndividualEnrollment(entry), 'UnauthorizedError', 401, 401000);
    await refused(reading.getIndividualEnrollmentAttestationMechanism('errand-refused'), 'UnauthorizedError', 401, 401000);
    await refused(client.getIndividualEnrollment('no/id'), 'ArgumentError', 400, 400004);
    await refused(client.createOrUpdateIndividualEnrollment({ ...entry, attestation: {} }), 'ArgumentError', 400, 400004);
  },
};

report(async () => {
  const errand = await order();
  const { host, policies } = errand;
  const connection = `HostName=${host};SharedAccessKeyName=owner;SharedAccessKey=${policies.owner}`;
  await ERRANDS[errand.errand](ProvisioningServiceClient.fromConnectionString(connection), errand);
  return { done: true };
});
