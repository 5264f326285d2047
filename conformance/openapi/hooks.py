"""What schemathesis has to know beyond the documents: who asks, what certificates are, and what depends on what."""

import base64
import collections
import hashlib
import hmac
import os
import pathlib
import re
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
CERTIFICATES = [pathlib.Path(path).read_text() for path in os.environ["DPS_CERTIFICATES"].split(":")]
TPM_KEYS = os.environ["DPS_TPM_KEYS"].split(":")

# Continuation tokens by the path of their list.
tokens = collections.defaultdict(list)


def in_every_encoding(pem):
    lines = [line for line in pem.splitlines() if not line.startswith("-")]
    return [pem, "".join(lines), base64.b64encode(pem.encode()).decode()]


schemathesis.openapi.format(
    "x509-certificate", strategies.sampled_from([text for pem in CERTIFICATES for text in in_every_encoding(pem)])
)
schemathesis.openapi.format("tpm-public-key", strategies.sampled_from(TPM_KEYS))


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
            return token(os.environ["DPS_HOST"], "owner", os.environ["DPS_POLICY_KEY"])
        parameters = case.path_parameters or {}
        scope, name = (urllib.parse.unquote(str(parameters.get(key, ""))) for key in ("idScope", "registrationId"))
        return sign(scope, name)

    def set(self, case, data, context):
        case.headers["Authorization"] = data


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
    """What no schema can say: the id of a body is that of its path, and each is in a bulk operation once."""
    if not isinstance(case.body, dict) or not is_good(case, ParameterLocation.BODY):
        return
    base, _, rest = case.path[1:].partition("/")
    name = ENTRIES.get(f"/{base}")
    if name and rest == "{id}":
        named = urllib.parse.unquote(str(case.path_parameters.get("id", "")))
        if ID.fullmatch(named):
            case.body[name] = named
    elif name and not rest:
        items = case.body.get(base)
        if isinstance(items, list) and all(isinstance(item, dict) and isinstance(item.get(name), str) for item in items):
            once = {item[name].lower(): item for item in items}
            items[:] = once.values()
    elif case.path == "/instance/disableLocalAuth" and case.body.get("disableLocalAuth") is True:
        # It would shut out whoever asks: by a token of a shared access policy.
        case.body["disableLocalAuth"] = False
    elif case.path == "/instance/publicNetworkAccess" and isinstance(case.body.get("publicNetworkAccess"), str):
        # The same: it comes by the public network.
        case.body["publicNetworkAccess"] = "Enabled"
    elif case.path == "/instance/tokenIssuers" and isinstance(case.body.get("tokenIssuers"), list):
        issuers = once(case.body["tokenIssuers"], "issuer")
        for issuer in issuers:
            if isinstance(issuer.get("roles"), list):
                issuer["roles"] = once(issuer["roles"], "role")
        case.body["tokenIssuers"] = issuers
    elif case.path.startswith("/{idScope}") and isinstance(case.body.get("registrationId"), str):
        case.body["registrationId"] = urllib.parse.unquote(str(case.path_parameters.get("registrationId", "")))


def once(items, name):
    return list({item[name]: item for item in items}.values())


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
        put(f"{base}/there", token(os.environ["DPS_HOST"], "owner", os.environ["DPS_POLICY_KEY"]), entry)


def meet_device(case):
    """Every other device is one of the two that are known, and asks after an operation of its own."""
    parameters = case.path_parameters
    length = len(str(parameters["registrationId"]))
    if length % 2 == 1:
        return
    parameters.update(idScope=SCOPE, registrationId=DEVICES[length // 2 % 2])
    if "operationId" in parameters:
        parameters["operationId"] = register(parameters["registrationId"]).json()["operationId"]
    if "Authorization" in case.headers:
        case.headers["Authorization"] = sign(SCOPE, parameters["registrationId"])


def sign(scope, name):
    return token(f"{scope}/registrations/{name}", "registration", os.environ["DPS_DEVICE_KEY"])


def register(name):
    answer = put(f"{SCOPE}/registrations/{name}/register", sign(SCOPE, name), {})
    answer.raise_for_status()
    return answer


def put(path, signed, document):
    url = f"{os.environ['DPS_URL']}/{path}?api-version=2021-10-01"
    headers = {"Authorization": signed}
    return requests.put(url, headers=headers, json=document, verify=os.environ["DPS_CA"], timeout=10)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """The lists of entries and registrations are at what is the path of an entry called "query", too."""
    is_list = case.path.endswith("/query") and "{" not in case.path
    return not (is_list and isinstance(failure, (AllowHeaderMismatch, UnsupportedMethodResponse)))


@schemathesis.hook
def after_call(context, case, response):
    for found in response.headers.get(CONTINUATION, []):
        tokens[case.formatted_path.lower()].append(found)
