"""What schemathesis has to know beyond the documents: who asks, what certificates are, and what depends on what."""

import base64
import collections
import hashlib
import hmac
import os
import pathlib
import re
import subprocess
import time
import urllib.parse

import requests
import schemathesis
from hypothesis import strategies
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import AllowHeaderMismatch, UnsupportedMethodResponse

ID = re.compile(r"[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]")
ENTRIES = {"/enrollments": "registrationId", "/enrollmentGroups": "enrollmentGroupId"}
CONTINUATION = "x-ms-continuation"
SCOPE = os.environ["DPS_ID_SCOPE"]
# One that is served, and one whose enrollment is disabled.
DEVICES = ["device-1", "device-2"]
# The first is for a certificate of the instance; the others are anybody's.
THERE, *OTHERS = map(pathlib.Path, os.environ["DPS_CERTIFICATES"].split(":"))
CERTIFICATES = [path.read_text() for path in OTHERS]
TPM_KEYS = os.environ["DPS_TPM_KEYS"].split(":")

# More of anything than is made here.
ROOM = 1_000_000
# A part of each kind, to be made where one has to be there.
PARTS = {
    "iotHubs": ("iotHubs/there.example.net", {"location": "here"}),
    "authorizationPolicies": ("authorizationPolicies/there", {"rights": "EnrollmentRead"}),
    "keys": ("authorizationPolicies/there", {"rights": "EnrollmentRead"}),
    "certificates": ("certificates/there", {"properties": {"certificate": THERE.read_text()}}),
}

# Continuation tokens by the path of their list.
tokens = collections.defaultdict(list)
# Parts of the instance by their kind, in the order in which they came.
made = collections.defaultdict(list)


def in_every_encoding(pem):
    lines = [line for line in pem.splitlines() if not line.startswith("-")]
    return [pem, "".join(lines), base64.b64encode(pem.encode()).decode()]


schemathesis.openapi.format(
    "x509-certificate", strategies.sampled_from([text for pem in CERTIFICATES for text in in_every_encoding(pem)])
)
schemathesis.openapi.format("tpm-public-key", strategies.sampled_from(TPM_KEYS))
# Long ones nearly always have something in them that has no place in a path.
schemathesis.openapi.format("certificate-name", strategies.from_regex(r"[!-.0-z]([ -.0-z]{0,20}[!-.0-z])?", fullmatch=True))
schemathesis.openapi.format(
    "ip-range",
    strategies.one_of(
        strategies.ip_addresses().map(str),
        strategies.tuples(strategies.ip_addresses(v=4), strategies.integers(0, 32)).map("{0[0]}/{0[1]}".format),
    ),
)


def token(resource, policy, key):
    expires = int(time.time()) + 3600
    resource = urllib.parse.quote(resource, safe="")
    digest = hmac.new(base64.b64decode(key), f"{resource}\n{expires}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expires}&skn={policy}"


@schemathesis.auth(refresh_interval=None)
class Tokens:
    """An operator with every right; a device that signs for whoever it says it is, with the key of one."""

    def get(self, case, context):
        if not case.path.startswith("/{idScope}"):
            return owner()
        parameters = case.path_parameters or {}
        scope, name = (urllib.parse.unquote(str(parameters.get(key, ""))) for key in ("idScope", "registrationId"))
        return sign(scope, name)

    def set(self, case, data, context):
        case.headers["Authorization"] = data


def owner():
    return token(os.environ["DPS_HOST"], "owner", os.environ["DPS_POLICY_KEY"])


def is_good(case, location):
    """Whether that part of a request is meant to be as it is described."""
    part = case.meta and case.meta.components.get(location)
    return bool(part and part.mode.is_positive)


@schemathesis.hook
def before_call(context, case, kwargs):
    meet(case)
    agree(case)
    go_on(case)


def agree(case):
    """What no schema can say: the id of a body is that of its path, and each is in a list once."""
    if not isinstance(case.body, dict) or not is_good(case, ParameterLocation.BODY):
        return
    if case.path.startswith("/instance"):
        return agree_instance(case)
    base, _, rest = case.path[1:].partition("/")
    name = ENTRIES.get(f"/{base}")
    if name and rest == "{id}":
        named = urllib.parse.unquote(str(case.path_parameters.get("id", "")))
        if ID.fullmatch(named):
            case.body[name] = named
    elif name and not rest:
        items = case.body.get(base)
        if isinstance(items, list) and all(isinstance(item, dict) and isinstance(item.get(name), str) for item in items):
            items[:] = once(items, name)
    elif case.path.startswith("/{idScope}") and isinstance(case.body.get("registrationId"), str):
        case.body["registrationId"] = urllib.parse.unquote(str(case.path_parameters.get("registrationId", "")))


def once(items, name):
    """Of those with the same name, in any case of letters, the last."""
    return list({str(item[name]).lower(): item for item in items}.values())


def agree_instance(case):
    body = case.body
    if case.path == "/instance/iotHubs/{id}" and is_good(case, ParameterLocation.PATH):
        # A name that ends in a number may be an address, and the service calls public ones only.
        named = urllib.parse.unquote(str(case.path_parameters["id"]))
        case.path_parameters["id"] = named[:-1] + "h"
    name = next((name for name in ("name", "keyName") if isinstance(body.get(name), str)), None)
    if name:
        body[name] = urllib.parse.unquote(str(case.path_parameters["id"]))
    if "****" in str(body.get("connectionString")):
        # What a reader is shown of the one that is there, and here perhaps of another.
        del body["connectionString"]
    if isinstance(body.get("ipFilterRules"), list):
        # Who rejects himself is locked out.
        ourselves = {"filterName": "ourselves", "action": "Accept", "ipMask": "127.0.0.1"}
        body["ipFilterRules"] = once([ourselves, *body["ipFilterRules"]], "filterName")[:100]
        body["ipFilterRules"][0] = ourselves
    if isinstance(body.get("publicNetworkAccess"), str):
        # So is who closes the door that he came through.
        body["publicNetworkAccess"] = "Enabled"
    if body.get("disableLocalAuth") is True:
        # So is who comes by a shared access policy and takes no tokens of them any more.
        body["disableLocalAuth"] = False
    if isinstance(body.get("tokenIssuers"), list):
        body["tokenIssuers"] = once(body["tokenIssuers"], "issuer")
        for issuer in body["tokenIssuers"]:
            if isinstance(issuer.get("roles"), list):
                issuer["roles"] = once(issuer["roles"], "role")
    if isinstance(body.get("quotas"), dict):
        # Room for everything that is made elsewhere.
        for name, value in body["quotas"].items():
            if type(value) in (int, float):
                body["quotas"][name] = max(value, ROOM)


def go_on(case):
    """A continuation token is one that this list has handed out; as long as it has not, there is none."""
    if CONTINUATION not in (case.headers or {}) or not is_good(case, ParameterLocation.HEADER):
        return
    known = tokens[case.formatted_path.lower()]
    if case.headers[CONTINUATION] in known:
        return
    if known:
        case.headers[CONTINUATION] = known[len(str(case.headers[CONTINUATION])) % len(known)]
    else:
        del case.headers[CONTINUATION]


def meet(case):
    """Every other question is about an entry or a registration that is there."""
    if not is_good(case, ParameterLocation.PATH):
        return
    base, _, rest = case.path[1:].partition("/")
    if base == "{idScope}":
        return meet_device(case)
    if base == "instance":
        return meet_part(case)
    if case.method == "PUT":
        return
    if not rest.startswith("{id}") or len(str(case.path_parameters["id"])) % 2 == 1:
        return
    if base == "registrations":
        case.path_parameters["id"] = DEVICES[0]
        register(DEVICES[0])
    elif f"/{base}" in ENTRIES:
        case.path_parameters["id"] = "there"
        entry = {ENTRIES[f"/{base}"]: "there", "attestation": {"type": "symmetricKey"}}
        put(f"{base}/there", owner(), entry)


def meet_part(case):
    """Nothing happens to the policy that asks; every other question is about a part that is there."""
    kind, _, rest = case.path.removeprefix("/instance/").partition("/")
    if not rest.startswith("{id}"):
        return
    named = urllib.parse.unquote(str(case.path_parameters["id"]))
    if kind in ("authorizationPolicies", "keys") and named.lower() == "owner":
        named = case.path_parameters["id"] = "other"
    if case.method == "PUT":
        return make_room(kind, named)
    if len(named) % 2 == 1 and not rest.endswith("/verify"):
        return
    place, document = PARTS[kind]
    case.path_parameters["id"] = place.rpartition("/")[2]
    put(f"instance/{place}", owner(), document)
    if kind == "certificates" and "If-Match" in case.headers and is_good(case, ParameterLocation.HEADER):
        case.headers["If-Match"] = "*"
    if rest.endswith("/verify") and is_good(case, ParameterLocation.BODY):
        code = ask("POST", f"instance/{place}/generateVerificationCode", owner(), headers={"If-Match": "*"})
        case.body["certificate"] = proof(code.json()["properties"]["verificationCode"])


def proof(code):
    """A certificate whose common name is the code, signed with the key of the one that is `there`."""
    made = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(*made, "-keyout", "proof.key", "-subj", f"/CN={code}", "-out", "proof.csr")
    signed = ["x509", "-req", "-in", "proof.csr", "-CA", THERE, "-CAkey", THERE.with_suffix(".key")]
    return openssl(*signed, "-set_serial", "1", "-days", "1")


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=True)
    return done.stdout


def make_room(kind, named):
    """As many hubs, policies and certificates as there may be are soon made."""
    names = made[kind]
    names.append(named)
    if len(names) > 15:
        gone = urllib.parse.quote(names.pop(0), safe="")
        ask("DELETE", f"instance/{kind}/{gone}", owner(), headers={"If-Match": "*"})


def meet_device(case):
    """Every other device is one of the two that are known, and asks after an operation of its own."""
    parameters = case.path_parameters
    length = len(str(parameters["registrationId"]))
    if length % 2 == 1:
        return
    name = DEVICES[length // 2 % 2]
    parameters.update(idScope=SCOPE, registrationId=name)
    if case.method != "PUT":
        operation = register(name).json()["operationId"]
        parameters.update({"operationId": operation} if "operationId" in parameters else {})
    if isinstance(case.body, dict) and is_good(case, ParameterLocation.BODY):
        # They have keys; who shows those of a TPM is asked to sign with it.
        case.body.pop("tpm", None)
    if "Authorization" in case.headers:
        case.headers["Authorization"] = sign(SCOPE, name)


def sign(scope, name):
    return token(f"{scope}/registrations/{name}", "registration", os.environ["DPS_DEVICE_KEY"])


def register(name):
    answer = put(f"{SCOPE}/registrations/{name}/register", sign(SCOPE, name), {})
    answer.raise_for_status()
    return answer


def put(path, signed, document):
    return ask("PUT", path, signed, json=document)


def ask(method, path, signed, headers=None, **more):
    url = f"{os.environ['DPS_URL']}/{path}?api-version=2021-10-01"
    headers = {"Authorization": signed, **(headers or {})}
    return requests.request(method, url, headers=headers, verify=os.environ["DPS_CA"], timeout=10, **more)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """What is no failure."""
    # The lists of entries and registrations are at what is the path of an entry called "query", too.
    is_list = case.path.endswith("/query") and "{" not in case.path
    return not (is_list and isinstance(failure, (AllowHeaderMismatch, UnsupportedMethodResponse)))


@schemathesis.hook
def after_call(context, case, response):
    for found in response.headers.get(CONTINUATION, []):
        tokens[case.formatted_path.lower()].append(found)
