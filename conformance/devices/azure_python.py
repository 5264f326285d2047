"""One device built with the Azure device SDK for Python, as its users write it.

Reads one JSON order from standard input and prints one JSON line. What it is answered is read from the log of the
MQTT library below the SDK.
"""

import json
import logging
import pathlib
import re
import sys
import tempfile

from azure.iot.device import ProvisioningDeviceClient, X509

RECEIVED = re.compile(r"^Received PUBLISH .*'(?P<topic>\$dps/[^']*)'")


class Exchanges(logging.Handler):
    """Keeps the topics of the answers."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.seen = []

    def emit(self, record):
        found = RECEIVED.match(record.getMessage())
        if found:
            self.seen.append({"topic": found["topic"]})


def client_of(order, directory):
    common = {
        "provisioning_host": order["host"],
        "registration_id": order["registrationId"],
        "id_scope": order["idScope"],
        "server_verification_cert": order["ca"],
        "websockets": order["transport"] == "mqtt-ws",
    }
    if "key" in order:
        return ProvisioningDeviceClient.create_from_symmetric_key(symmetric_key=order["key"], **common)
    files = {}
    for name in ("cert", "key"):
        files[name] = directory / f"{name}.pem"
        files[name].write_text(order["x509"][name])
    x509 = X509(cert_file=str(files["cert"]), key_file=str(files["key"]))
    return ProvisioningDeviceClient.create_from_x509_certificate(x509=x509, **common)


def state_of(result, order):
    state = result.registration_state
    told = {
        "status": result.status,
        # The SDK does not give it back.
        "registrationId": order["registrationId"],
        "assignedHub": state.assigned_hub,
        "deviceId": state.device_id,
        "substatus": state.sub_status,
    }
    payload = json.loads(state.response_payload)
    return told if payload is None else {**told, "payload": payload}


def main():
    order = json.load(sys.stdin)
    exchanges = Exchanges()
    log = logging.getLogger("paho")
    log.setLevel(logging.DEBUG)
    log.addHandler(exchanges)
    log.propagate = False
    with tempfile.TemporaryDirectory() as directory:
        client = client_of(order, pathlib.Path(directory))
        if "payload" in order:
            client.provisioning_payload = order["payload"]
        try:
            outcome = {"state": state_of(client.register(), order)}
        except Exception as error:
            cause = error.__cause__
            message = f"{error}: {cause}" if cause else str(error)
            outcome = {"error": {"name": type(error).__name__, "message": message}}
    print(json.dumps({**outcome, "exchanges": exchanges.seen}))


main()
