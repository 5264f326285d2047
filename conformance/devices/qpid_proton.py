"""One device on Qpid Proton, a general AMQP library, as Debian has it.

One connection, a link each way, both of the same name because that is what Proton calls them; register, poll until there
is a result, and everything closed one after the other. Reads one JSON order from standard input and prints one JSON
line.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys
import tempfile
import time
import urllib.parse

from proton import Delivery, Message, SSLDomain, symbol
from proton.reactor import AtMostOnce, LinkOption
from proton.utils import BlockingConnection, LinkDetached

SECONDS = 20


class WithVersion(LinkOption):
    def apply(self, link):
        link.properties = {symbol("com.microsoft:api-version"): "2019-03-31"}


class Device:
    def __init__(self, order, directory):
        self.order = order
        self.habit = order.get("habit", {})
        self.exchanges = []
        self.asked = 0
        self.name = f"{order['idScope']}/registrations/{order['registrationId']}"
        self.connection = BlockingConnection(
            f"amqps://{order['host']}:5671", timeout=SECONDS, ssl_domain=self.domain(directory), **self.options()
        )

    def domain(self, directory):
        texts = {"ca": self.order["ca"], **self.order.get("x509", {})}
        for name, text in texts.items():
            (directory / name).write_text(text)
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(str(directory / "ca"))
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        if "x509" in self.order:
            domain.set_credentials(str(directory / "cert"), str(directory / "key"), None)
        return domain

    def options(self):
        options = {"heartbeat": self.habit.get("idleTimeOutSeconds")}
        if "maxFrameSize" in self.habit:
            options["max_frame_size"] = self.habit["maxFrameSize"]
        if "key" in self.order:
            return {**options, "user": self.name, "password": token(self.order, self.name), "allowed_mechs": "PLAIN"}
        if "external" in self.habit:
            return {**options, "allowed_mechs": "EXTERNAL"}
        return {**options, "sasl_enabled": False}

    def register(self):
        address = {"slash": "/", "url": f"amqps://{self.order['host']}/"}.get(self.habit.get("address"), "") + self.name
        options = [WithVersion()] + ([AtMostOnce()] if "settled" in self.habit else [])
        self.receiver = self.connection.create_receiver(address, options=WithVersion())
        self.sender = self.connection.create_sender(address, options=options)
        assert self.sender.name == self.receiver.name
        idle_until = time.monotonic() + self.habit.get("idleSeconds", 0)
        self.connection.wait(lambda: time.monotonic() >= idle_until)

        if "ask" in self.habit:
            self.ask(self.habit["ask"])
        body = {"registrationId": self.order["registrationId"], "payload": self.order.get("payload")}
        answer = self.ask({"iotdps-operation-type": "iotdps-register"}, json.dumps(body).encode())
        while answer["status"] == "assigning":
            time.sleep(self.order["pollMilliseconds"] / 1000)
            answer = self.ask(
                {"iotdps-operation-type": "iotdps-get-operationstatus", "iotdps-operation-id": answer["operationId"]}
            )
        for part in (self.receiver, self.sender, self.connection):
            part.close()
        return answer["registrationState"]

    def ask(self, properties, body=None):
        self.asked += 1
        request = Message(properties=properties, correlation_id=f"request-{self.asked}", body=body, inferred=True)
        delivery = self.sender.send(request, error_states=[])
        if delivery.remote_state == Delivery.REJECTED:
            condition = delivery.remote.condition
            self.exchanges.append({"condition": condition.name, "body": condition.description})
            return None
        answer = self.receiver.receive()
        self.receiver.accept()
        assert answer.correlation_id == f"request-{self.asked}", f"the answer is to {answer.correlation_id}"
        body = bytes(answer.body).decode()
        self.exchanges.append({"properties": answer.properties or {}, "body": body})
        return json.loads(body)


def token(order, name):
    resource = urllib.parse.quote(name, safe="")
    expiry = int(time.time()) + 3600
    key = base64.b64decode(order["key"])
    digest = hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn=registration"


def main():
    order = json.load(sys.stdin)
    exchanges = []
    with tempfile.TemporaryDirectory() as directory:
        try:
            device = Device(order, pathlib.Path(directory))
            exchanges = device.exchanges
            outcome = {"state": device.register()}
        except LinkDetached as error:
            condition = error.link.remote_condition
            exchanges.append({"condition": condition.name, "body": condition.description})
            outcome = {"error": {"name": condition.name, "message": condition.description}}
        except Exception as error:
            outcome = {"error": {"name": type(error).__name__, "message": str(error)}}
    print(json.dumps({**outcome, "exchanges": exchanges}))


main()
