"""One device on libmosquitto, the library that mosquitto's clients are made of.

The clients themselves cannot be a device: none both subscribes with a wildcard and publishes on one connection. One
connection does it all: subscribe, register, and poll until there is a result. Reads one JSON order from standard input
and prints one JSON line.
"""

import base64
import ctypes
import hashlib
import hmac
import json
import pathlib
import sys
import tempfile
import time
import urllib.parse

PORT = 8883
MQTT_3_1_1 = 4
PROTOCOL_VERSION = 1  # MOSQ_OPT_PROTOCOL_VERSION
ANSWERS = b"$dps/registrations/res/#"
SECONDS = 20


class Message(ctypes.Structure):
    _fields_ = [
        ("mid", ctypes.c_int),
        ("topic", ctypes.c_char_p),
        ("payload", ctypes.c_void_p),
        ("payloadlen", ctypes.c_int),
        ("qos", ctypes.c_int),
        ("retain", ctypes.c_bool),
    ]


ON_CONNECT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
ON_SUBSCRIBE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)
ON_MESSAGE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(Message))

mosquitto = ctypes.CDLL("libmosquitto.so.1")
mosquitto.mosquitto_new.restype = ctypes.c_void_p
mosquitto.mosquitto_new.argtypes = [ctypes.c_char_p, ctypes.c_bool, ctypes.c_void_p]
mosquitto.mosquitto_strerror.restype = ctypes.c_char_p


class Refused(Exception):
    """The device is not believed."""


class Device:
    def __init__(self, order, directory):
        self.order = order
        self.habit = order.get("habit", {})
        self.qos = self.habit.get("qos", 1)
        self.exchanges = []
        self.connack = self.granted = None
        identity = order["registrationId"].encode()
        self.handle = ctypes.c_void_p(
            mosquitto.mosquitto_new(identity, self.habit.get("cleanSession", True), None)
        )
        self.done("mosquitto_int_option", PROTOCOL_VERSION, MQTT_3_1_1)
        self.present(directory)
        # They must live as long as the connection.
        self.callbacks = [ON_CONNECT(self.on_connect), ON_SUBSCRIBE(self.on_subscribe), ON_MESSAGE(self.on_message)]
        for event, callback in zip(("connect", "subscribe", "message"), self.callbacks):
            getattr(mosquitto, f"mosquitto_{event}_callback_set")(self.handle, callback)

    def done(self, function, *arguments):
        status = getattr(mosquitto, function)(self.handle, *arguments)
        if status != 0:
            raise RuntimeError(f"{function}: {mosquitto.mosquitto_strerror(status).decode()}")

    def present(self, directory):
        order = self.order
        user = f"{order['idScope']}/registrations/{order['registrationId']}/api-version=2019-03-31"
        password = token(order).encode() if "key" in order else None
        self.done("mosquitto_username_pw_set", user.encode(), password)
        texts = {"ca": order["ca"], **order.get("x509", {})}
        for name, text in texts.items():
            (directory / name).write_text(text)
        path = lambda name: str(directory / name).encode() if name in texts else None
        self.done("mosquitto_tls_set", path("ca"), None, path("cert"), path("key"), None)

    def on_connect(self, _handle, _object, code):
        self.connack = code

    def on_subscribe(self, _handle, _object, _mid, _count, granted):
        self.granted = granted[0]

    def on_message(self, _handle, _object, message):
        body = ctypes.string_at(message.contents.payload, message.contents.payloadlen)
        assert message.contents.qos == self.qos and not message.contents.retain
        self.exchanges.append({"topic": message.contents.topic.decode(), "body": body.decode()})

    def until(self, holds, what):
        deadline = time.monotonic() + SECONDS
        while not holds():
            self.turn()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come")

    def turn(self):
        self.done("mosquitto_loop", 100, 1)

    def register(self):
        self.done("mosquitto_connect", self.order["host"].encode(), PORT, self.habit.get("keepAliveSeconds", 60))
        self.until(lambda: self.connack is not None, "CONNACK")
        assert self.connack == 0, f"CONNACK {self.connack}"
        self.done("mosquitto_subscribe", None, ANSWERS, self.qos)
        self.until(lambda: self.granted is not None, "SUBACK")
        assert self.granted == self.qos, f"granted {self.granted}"
        idle_until = time.monotonic() + self.habit.get("idleSeconds", 0)
        while time.monotonic() < idle_until:
            self.turn()
        if "operationId" in self.habit:
            return self.poll(self.habit["operationId"])
        body = {"registrationId": self.order["registrationId"], "payload": self.order.get("payload")}
        answer = self.ask("PUT/iotdps-register/?$rid=1", json.dumps(body).encode())
        rid = 1
        while answer["status"] == "assigning":
            time.sleep(self.order["pollMilliseconds"] / 1000)
            rid += 1
            answer = self.poll(answer["operationId"], rid)
        mosquitto.mosquitto_disconnect(self.handle)
        return answer["registrationState"]

    def poll(self, operation, rid=1):
        return self.ask(f"GET/iotdps-get-operationstatus/?$rid={rid}&operationId={operation}", b"")

    def ask(self, rest, payload):
        before = len(self.exchanges)
        topic = f"$dps/registrations/{rest}".encode()
        self.done("mosquitto_publish", None, topic, len(payload), payload, self.qos, False)
        self.until(lambda: len(self.exchanges) > before, "the answer")
        answer = json.loads(self.exchanges[-1]["body"])
        if "errorCode" in answer:
            raise Refused(f"{answer['errorCode']} {answer['message']}")
        return answer


def token(order):
    resource = f"{order['idScope']}%2Fregistrations%2F{order['registrationId']}"
    expiry = int(time.time()) + 3600
    key = base64.b64decode(order["key"])
    digest = hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn=registration"


def main():
    order = json.load(sys.stdin)
    mosquitto.mosquitto_lib_init()
    with tempfile.TemporaryDirectory() as directory:
        device = Device(order, pathlib.Path(directory))
        try:
            outcome = {"state": device.register()}
        except Exception as error:
            outcome = {"error": {"name": type(error).__name__, "message": str(error)}}
    print(json.dumps({**outcome, "exchanges": device.exchanges}))


main()
