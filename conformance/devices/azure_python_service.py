"""One operator's errand with the Azure service SDK for Python, as its users write it.

Reads one JSON order from standard input and prints one JSON line. What must be true of each answer is asserted here,
where the answer is; what went over the wire is judged by whoever started it. What was asked is known from the audit
events of the standard library, what was answered from the log of the library below the SDK.
"""

import base64
import hashlib
import hmac
import json
import logging
import re
import sys
import traceback

from azure.iot.device import ProvisioningDeviceClient
from provisioningserviceclient import ProvisioningServiceClient, ProvisioningServiceError, QuerySpecification
from provisioningserviceclient.client import (
    BULKOP_CREATE,
    BULKOP_DELETE,
    BULKOP_UPDATE,
    BULKOP_UPDATE_IF_MATCH_ETAG,
)
from provisioningserviceclient.models import (
    AttestationMechanism,
    BulkEnrollmentOperation,
    CustomAllocationDefinition,
    DeviceCapabilities,
    EnrollmentGroup,
    IndividualEnrollment,
    InitialTwin,
    ReprovisionPolicy,
    SymmetricKeyAttestation,
)

TAG = re.compile(r"[A-Za-z0-9-]+")
GUID = re.compile(r"[0-9a-f-]{36}")
ITEMS = {"registration_id": "Enrollment", "enrollment_group_id": "EnrollmentGroup"}


class Exchanges(logging.Handler):
    """Everything that was asked and answered, in order: the SDK asks one thing after the other."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.seen = []
        self.begins = None

    def asked(self, event, arguments):
        if event != "http.client.send":
            return
        connection, data = arguments
        found = re.match(rb"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/1\.1\r\n", data) if isinstance(data, bytes) else None
        if found:
            method, path = found["method"].decode(), found["path"].decode()
            self.seen.append({"method": method, "path": path, "tls": connection.sock.version(), "headers": {}, "body": ""})

    def emit(self, record):
        text = record.getMessage()
        if text.startswith("Response status: "):
            self.seen[-1]["status"] = record.args[0]
        elif text in ("Response headers:", "Response content:", "Request headers:"):
            self.begins = text
        elif self.begins == "Response headers:":
            name, value = record.args
            self.seen[-1]["headers"][name.lower()] = value
        elif self.begins == "Response content:":
            self.seen[-1]["body"] = text
            self.begins = None


EXCHANGES = Exchanges()


class Errand:
    """One operator, and what he has at hand."""

    def __init__(self, order):
        self.order = order
        self.client = self.client_as("owner", order["policies"]["owner"])

    def client_as(self, name, key, host=None):
        host = host or self.order["serviceHost"]
        text = f"HostName={host};SharedAccessKeyName={name};SharedAccessKey={key}"
        client = ProvisioningServiceClient.create_from_connection_string(text)
        # Only for what is read from its log.
        client._runtime_client.config.enable_http_logger = True
        return client

    def individual_keys(self):
        made = self.life(whole("errand:keys.python", by_key(), device_id="another-name"), hidden)
        for key in keys_of(made):
            assert len(base64.b64decode(key)) == 64
        given = [base64.b64encode(bytes([byte]) * length).decode() for byte, length in ((1, 32), (2, 64))]
        made = self.life(whole("errand-keys_python-1", by_key(*given)), hidden)
        assert keys_of(made) == given

    def individual_certificates(self):
        pem, other = self.order["certificates"]
        other = base64.b64encode(other.encode()).decode()
        attestation = AttestationMechanism.create_with_x509_client_certs(pem, other)
        self.life(whole(self.order["prefix"], attestation), certified("client_certificates", 2))

    def individual_tpm(self):
        key = self.order["endorsementKey"]

        def shown(attestation):
            assert (attestation.type, attestation.tpm.endorsement_key) == ("tpm", key)

        self.life(whole("errand-tpm-python", AttestationMechanism.create_with_tpm(key)), shown)

    def group_keys(self):
        made = self.life(whole_group("Errand:Python", by_key()), hidden)
        for key in keys_of(made):
            assert len(base64.b64decode(key)) == 64

    def group_certificates(self):
        attestation = AttestationMechanism.create_with_x509_signing_certs(self.order["authority"])
        self.life(whole_group("errand-signing-python", attestation), certified("signing_certificates", 1))
        name = self.order["spare"]

        def shown(attestation):
            references = attestation.x509.ca_references
            assert (attestation.type, references.primary, references.secondary) == ("x509", name, None)

        self.life(whole_group("errand-named-python", AttestationMechanism.create_with_x509_ca_refs(name)), shown)

    def bulk(self):
        ids = [f"errand-bulk-python-{nth}" for nth in (1, 2, 3)]
        entries = [individual(name, by_key()) for name in ids]

        def run(mode, enrollments):
            return self.client.run_bulk_operation(BulkEnrollmentOperation(mode, enrollments))

        def done(result):
            assert (result.is_successful, result.errors) == (True, [])

        done(run(BULKOP_CREATE, entries[:2]))
        result = run(BULKOP_CREATE, entries[1:])
        told = [(each.registration_id, each.error_code, each.error_status) for each in result.errors]
        assert (result.is_successful, told) == (False, [(ids[1], 409201, "Enrollment already exists")])
        read = [self.client.get_individual_enrollment(name) for name in ids]
        for each in read:
            each.provisioning_status = "disabled"
        done(run(BULKOP_UPDATE_IF_MATCH_ETAG, read))
        assert self.client.get_individual_enrollment(ids[0]).provisioning_status == "disabled"
        stale = run(BULKOP_UPDATE_IF_MATCH_ETAG, read[:1])
        assert [each.error_code for each in stale.errors] == [412001]
        done(run(BULKOP_UPDATE, entries))
        done(run(BULKOP_DELETE, entries))
        assert [each.error_code for each in run(BULKOP_DELETE, entries).errors] == [404201] * 3
        refused(lambda: run("replace", entries), 400, 400004)
        eleven = [individual(f"errand-python-{nth}", by_key()) for nth in range(11)]
        refused(lambda: run(BULKOP_CREATE, eleven), 400, 400004)

    def queries(self):
        ids = [f"errand-list-python-{nth}" for nth in range(7)]
        for name in ids:
            self.client.create_or_update(individual(name, by_key()))
            self.client.create_or_update(group(name, by_key()))

        def seen(query, name):
            everything = [each for page in pages(query, 3, ITEMS[name]) for each in page]
            found = [getattr(each, name) for each in everything]
            assert [each for each in found if each.startswith("errand-list-python-")] == ids
            assert all(each.attestation.symmetric_key is None for each in everything)

        def list_individual(text):
            return self.client.create_individual_enrollment_query(QuerySpecification(text), 3)

        def list_groups(text):
            return self.client.create_enrollment_group_query(QuerySpecification(text), 3)

        seen(list_individual("SELECT * FROM enrollments"), "registration_id")
        seen(list_groups("select * from enrollmentGroups"), "enrollment_group_id")
        seen(list_individual("SELECT * WHERE STARTSWITH(registrationId, 'errand-list-python-')"), "registration_id")
        refused(list_individual("SELECT * WHERE").next, 400, 400004)
        # Where it is told to go on from, and not where it would.
        query = list_individual("*")
        query.next()
        token = query.continuation_token
        assert list_individual("*").next(token)[0].registration_id == query.next()[0].registration_id
        refused(lambda: list_individual("*").next("forged"), 400, 400000)

    def registrations(self):
        name = self.order["prefix"] + "-Device"
        made = self.client.create_or_update(individual(name, by_key()))
        refused(lambda: self.client.get_registration_state(name), 404, 404202)
        before = self.client.get_individual_enrollment(name).registration_state
        assert (before.registration_id, before.status) == (name, "unassigned")
        assigned = self.register(name, keys_of(made)[1])
        state = self.client.get_registration_state(name.lower())
        expected = (name, "assigned", assigned.registration_state.assigned_hub, assigned.registration_state.device_id)
        assert (state.registration_id, state.status, state.assigned_hub, state.device_id) == expected
        assert re.fullmatch(r'"[^"]+"', base64.b64decode(state.etag).decode())
        assert state.created_date_time_utc.tzinfo and state.last_updated_date_time_utc
        assert self.client.get_individual_enrollment(name).registration_state == state
        refused(lambda: self.client.delete_registration_state_by_param(name, "MDAwMA=="), 412, 412001)
        self.client.delete(state)
        refused(lambda: self.client.delete_registration_state_by_param(name), 404, 404202)
        self.register(name, keys_of(made)[0])
        self.client.delete_registration_state_by_param(name)
        self.client.delete(made)

        fleet = self.order["prefix"] + "-fleet"
        primary = keys_of(self.client.create_or_update(group(fleet, by_key())))[0]
        members = [f"{fleet}-{nth}" for nth in (1, 2, 3)]
        for member in members:
            digest = hmac.new(base64.b64decode(primary), member.encode(), hashlib.sha256).digest()
            self.register(member, base64.b64encode(digest).decode())
        # The wrapper of this one operation hands on its page size in the wrong place and cannot be called; what it
        # wraps can.
        list_states = self.client._runtime_client.query_device_registration_states
        found, headers = [], {"x-ms-max-item-count": "2"}
        while headers:
            answer = list_states(fleet, headers, True).response
            assert answer.headers["x-ms-item-type"] == "DeviceRegistration"
            found += [(each["registrationId"], each["status"]) for each in answer.json()]
            token = answer.headers.get("x-ms-continuation")
            headers = token and {"x-ms-max-item-count": "2", "x-ms-continuation": token}
        assert found == [(member, "assigned") for member in members]
        assert [each.registration_id for each in list_states(fleet)] == members
        self.client.delete_enrollment_group_by_param(fleet, "*")

    def refusals(self):
        entry = individual("errand-refused-python", by_key())
        policies = self.order["policies"]
        other = base64.b64encode(bytes([7]) * 64).decode()
        for stranger in (self.client_as("owner", other), self.client_as("nobody", policies["owner"])):
            refused(lambda: stranger.get_individual_enrollment("errand-refused-python"), 401, 401000)
            refused(lambda: stranger.create_or_update(entry), 401, 401000)
            refused(stranger.create_individual_enrollment_query(QuerySpecification("*")).next, 401, 401000)
        reader = self.client_as("reader", policies["reader"])
        refused(lambda: reader.get_individual_enrollment(entry.registration_id), 404, 404201)
        refused(lambda: reader.create_or_update(entry), 401, 401000)
        refused(lambda: reader.get_individual_enrollment_attestation_mechanism(entry.registration_id), 401, 401000)
        refused(lambda: self.client.get_individual_enrollment("no/id"), 400, 400004)
        wrong = individual("errand-refused-python", AttestationMechanism(type="symmetrical"))
        refused(lambda: self.client.create_or_update(wrong), 400, 400004)
        custom = individual("errand-refused-python", by_key(), allocation_policy="custom")
        refused(lambda: self.client.create_or_update(custom), 400, 400004)
        if self.order["serviceHost"] != self.order["host"]:
            # Where devices are served, operators are not.
            elsewhere = self.client_as("owner", policies["owner"], self.order["host"])
            refused(lambda: elsewhere.get_individual_enrollment("anybody"), 404, None)

    def worked_examples(self):
        name = self.order["prefix"] + "-dev-001"
        entry = individual(name, by_key("", ""))
        made = self.client.create_or_update(entry)
        assert [len(key) for key in keys_of(made)] == [88, 88]
        assert (made.capabilities.iot_edge, made.provisioning_status) == (False, "enabled")
        refused(lambda: self.client.create_or_update(entry), 409, 409201)
        entry.etag = '"e0"'
        refused(lambda: self.client.create_or_update(entry), 412, 412001)
        entry.etag = made.etag
        second = self.client.create_or_update(entry)
        assert second.etag != made.etag and keys_of(second) == keys_of(made)
        entry.etag = '"*"'
        assert keys_of(self.client.create_or_update(entry)) == keys_of(made)
        read = self.client.get_individual_enrollment(name)
        assert read.attestation.symmetric_key is None and read.etag
        told = self.client.get_individual_enrollment_attestation_mechanism(name)
        assert (told.type, keys_of_attestation(told)) == ("symmetricKey", keys_of(made))
        refused(lambda: self.client.delete_individual_enrollment_by_param(name, f'"{made.etag}"'), 412, 412001)
        self.client.delete_individual_enrollment_by_param(name, "*")
        refused(lambda: self.client.get_individual_enrollment(name), 404, 404201)

        ids = [f"{self.order['prefix']}-page-{nth}" for nth in range(3)]
        for each in ids:
            self.client.create_or_update(individual(each, by_key()))
        text = f"select * from enrollments where startswith(registrationId, '{ids[0][:-1]}')"
        query = self.client.create_individual_enrollment_query(QuerySpecification(text), 2)
        assert [len(page) for page in pages(query, 2, "Enrollment")] == [2, 1]
        mixed = [individual(f"{self.order['prefix']}-new", by_key()), individual(ids[0], by_key())]
        result = self.client.run_bulk_operation(BulkEnrollmentOperation(BULKOP_CREATE, mixed))
        [error] = result.errors
        assert not result.is_successful
        assert error.as_dict(key_transformer=lambda _, shape, value: (shape["key"], value)) == {
            "registrationId": ids[0],
            "errorCode": 409201,
            "errorStatus": "Enrollment already exists",
        }

    def life(self, entry, shown):
        """The life of an entry, with everything that can be said of it; `shown` judges its attestation as it is read."""
        client = self.client
        made = client.create_or_update(entry)
        assert said(made) == said(entry), f"{said(made)} for {said(entry)}"
        assert TAG.fullmatch(made.etag)
        assert made.created_date_time_utc.tzinfo
        refused(lambda: client.create_or_update(entry), 409, 409201 if is_individual(entry) else 409202)

        get, mechanism, remove = operations(client, entry)
        name = id_of(entry)
        read = get(name)
        shown(read.attestation)
        assert read.etag == made.etag
        # Read, changed and written back: what was not told stays.
        read.provisioning_status = "disabled"
        changed = client.create_or_update(read)
        assert changed.provisioning_status == "disabled"
        assert changed.attestation == made.attestation
        assert changed.etag != made.etag
        refused(lambda: client.create_or_update(read), 412, 412001)
        assert mechanism(name) == made.attestation

        missing = 404201 if is_individual(entry) else 404204
        refused(lambda: remove(name, made.etag), 412, 412001)
        client.delete(changed)
        refused(lambda: get(name), 404, missing)
        refused(lambda: remove(name), 404, missing)
        refused(lambda: mechanism(name), 404, missing)
        return made

    def register(self, name, key):
        order = self.order
        client = ProvisioningDeviceClient.create_from_symmetric_key(
            provisioning_host=order["host"],
            registration_id=name,
            id_scope=order["idScope"],
            symmetric_key=key,
            server_verification_cert=order["ca"],
        )
        result = client.register()
        assert result.status == "assigned", result.status
        return result


def everything():
    """Everything that can be said of an entry beside how it is attested."""
    return {
        "provisioning_status": "enabled",
        "reprovision_policy": ReprovisionPolicy(update_hub_assignment=True, migrate_device_data=False),
        "initial_twin": InitialTwin.create({"site": "Halle 3 – Süd"}, {"interval": 60, "deep": {"a": [1, None]}}),
        "allocation_policy": "static",
        "iot_hubs": ["hub-us.example.net"],
        "custom_allocation_definition": CustomAllocationDefinition(
            webhook_url="https://policy.example.net/?code=1", api_version="2019-03-31"
        ),
    }


def individual(name, attestation, **otherwise):
    return IndividualEnrollment.create(name, attestation, **otherwise)


def group(name, attestation, **otherwise):
    return EnrollmentGroup.create(name, attestation, **otherwise)


def whole(name, attestation, **otherwise):
    capabilities = DeviceCapabilities.create(True)
    return individual(name, attestation, device_capabilities=capabilities, **everything(), **otherwise)


def whole_group(name, attestation):
    return group(name, attestation, **everything())


def by_key(primary=None, secondary=None):
    return AttestationMechanism(
        type="symmetricKey", symmetric_key=SymmetricKeyAttestation(primary_key=primary, secondary_key=secondary)
    )


def keys_of_attestation(attestation):
    return [attestation.symmetric_key.primary_key, attestation.symmetric_key.secondary_key]


def keys_of(entry):
    return keys_of_attestation(entry.attestation)


def hidden(attestation):
    assert (attestation.type, attestation.symmetric_key) == ("symmetricKey", None)


def certified(slots, count):
    """Of certificates only what stands in them."""

    def shown(attestation):
        pair = getattr(attestation.x509, slots)
        there = [slot for slot in (pair.primary, pair.secondary) if slot]
        assert (attestation.type, len(there)) == ("x509", count)
        for slot in there:
            assert slot.certificate is None
            assert re.fullmatch(r"[0-9A-F]{40}", slot.info.sha1_thumbprint)
            assert re.fullmatch(r"[0-9A-F]{64}", slot.info.sha256_thumbprint)
            assert slot.info.not_before_utc.tzinfo and slot.info.not_after_utc.tzinfo
            assert slot.info.version == 3
            assert all((slot.info.subject_name, slot.info.issuer_name, slot.info.serial_number))

    return shown


def said(entry):
    """What an entry says beside how it is attested and when it was made."""
    twin = entry.initial_twin and (entry.initial_twin.tags, entry.initial_twin.desired_properties)
    device = (entry.device_id, bool(entry.capabilities and entry.capabilities.iot_edge)) if is_individual(entry) else ()
    policies = (entry.provisioning_status, entry.allocation_policy, entry.iot_hubs or None)
    return (id_of(entry), device, policies, entry.reprovision_policy, entry.custom_allocation_definition, twin)


def is_individual(entry):
    return isinstance(entry, IndividualEnrollment)


def id_of(entry):
    return entry.registration_id if is_individual(entry) else entry.enrollment_group_id


def operations(client, entry):
    if is_individual(entry):
        return (
            client.get_individual_enrollment,
            client.get_individual_enrollment_attestation_mechanism,
            client.delete_individual_enrollment_by_param,
        )
    return (
        client.get_enrollment_group,
        client.get_enrollment_group_attestation_mechanism,
        client.delete_enrollment_group_by_param,
    )


def pages(query, most, item):
    """Every page of a list, up to its end."""
    while query.has_next:
        page = query.next()
        assert len(page) <= most
        assert EXCHANGES.seen[-1]["headers"]["x-ms-item-type"] == item
        yield page


def refused(call, status, code):
    """That a call is refused with the SDK's error, and with one of the service's codes, if with one."""
    try:
        call()
    except ProvisioningServiceError as error:
        cause = error.cause
        assert cause.response.status_code == status, f"{error}: {cause}"
        assert str(error).startswith(f"Service Error {status} - "), str(error)
        if code is not None:
            assert cause.error.error_code == code, f"{cause.error.error_code} for {code}"
        assert GUID.fullmatch(cause.error.tracking_id)
        assert cause.error.timestamp_utc.tzinfo
        assert cause.error.message
        return
    raise AssertionError(f"nothing was refused with {code}")


def main():
    order = json.load(sys.stdin)
    sys.addaudithook(EXCHANGES.asked)
    log = logging.getLogger("msrest.http_logger")
    log.setLevel(logging.DEBUG)
    log.addHandler(EXCHANGES)
    log.propagate = False
    try:
        getattr(Errand(order), order["errand"].replace("-", "_"))()
        outcome = {"state": {"done": True}}
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)
        lines = " < ".join(f"{each.name}:{each.lineno}" for each in reversed(where[-4:]))
        outcome = {"error": {"name": type(error).__name__, "message": f"{error} ({lines})"}}
    print(json.dumps({**outcome, "exchanges": EXCHANGES.seen}))


main()
