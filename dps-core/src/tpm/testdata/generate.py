#!/usr/bin/env python3
"""Makes golden.ndjson: blobs on which two stacks agree byte for byte, neither of them ours.

1. libtpms, a software TPM 2.0, behind swtpm. It makes each credential (TPM2_MakeCredential) and encrypts each text
   (TPM2_EncryptDecrypt2). It duplicates each HMAC key under inner and outer wrapper (TPM2_Duplicate), and takes in
   the one in the vector (TPM2_Import, TPM2_Load, TPM2_HMAC). See README.md for why these are two.
2. This script, written from the TPM 2.0 Library Specification on hashlib and the package `cryptography`. It opens
   the seeds that the TPM has chosen, because it knows the private halves of the parents, and computes everything
   anew.

Usage: generate.py > golden.ndjson
Needs swtpm in the path (Debian: swtpm) and `cryptography`.
"""

import hashlib
import hmac
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:
    from cryptography.hazmat.primitives.ciphers.modes import CFB

VECTORS = 240


def u16(value):
    return struct.pack(">H", value)


def u32(value):
    return struct.pack(">I", value)


def b2(data):
    return u16(len(data)) + data


def take_b2(data):
    size = struct.unpack(">H", data[:2])[0]
    assert len(data) >= 2 + size
    return data[2:2 + size], data[2 + size:]


# ---- The first stack: a TPM.

OWNER, NULL, ENDORSEMENT, PASSWORD = 0x40000001, 0x40000007, 0x4000000B, 0x40000009
NO_SESSIONS, SESSIONS = 0x8001, 0x8002
DUPLICATE = 0x14B


class Tpm:
    def __init__(self, directory):
        path = os.path.join(directory, "tpm")
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={directory}",
             "--server", f"type=unixio,path={path}", "--flags", "not-need-init,startup-clear"])
        while not os.path.exists(path):
            time.sleep(0.05)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()

    def command(self, code, handles, parameters, session=None, returns_handle=False):
        body = b"".join(u32(handle) for handle in handles)
        if session is not None:
            area = u32(session) + b2(b"") + b"\0" + b2(b"")
            body += u32(len(area)) + area
        body += parameters
        tag = NO_SESSIONS if session is None else SESSIONS
        self.socket.sendall(u16(tag) + u32(10 + len(body)) + u32(code) + body)
        answer = self.receive(10)
        _, size, result = struct.unpack(">HII", answer)
        answer = self.receive(size - 10)
        if result != 0:
            raise RuntimeError(f"command {code:#x} failed with {result:#x}")
        handle = None
        if returns_handle:
            handle, answer = struct.unpack(">I", answer[:4])[0], answer[4:]
        if session is not None:
            size = struct.unpack(">I", answer[:4])[0]
            answer = answer[4:4 + size]
        return (handle, answer) if returns_handle else answer

    def receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            assert more, "the TPM has hung up"
            data += more
        return data

    def flush(self, *handles):
        for handle in handles:
            self.command(0x165, [], u32(handle))

    def create_primary(self, hierarchy, area):
        """Returns the handle, the TPM2B_PUBLIC and the name."""
        parameters = b2(b2(b"") + b2(b"")) + b2(area) + b2(b"") + u32(0)
        handle, answer = self.command(0x131, [hierarchy], parameters, PASSWORD, True)
        public, answer = take_b2(answer)
        _, answer = take_b2(answer)
        _, answer = take_b2(answer)
        _, answer = take_b2(answer[6:])
        return handle, b2(public), take_b2(answer)[0]

    def hmac_key(self, parent, area, key):
        """Has the TPM make an object of `key`; returns its handle, TPMT_PUBLIC and name."""
        answer = self.command(0x153, [parent], b2(b2(b"") + b2(key)) + b2(area) + b2(b"") + u32(0), PASSWORD)
        private, answer = take_b2(answer)
        public, _ = take_b2(answer)
        handle, answer = self.command(0x157, [parent], b2(private) + b2(public), PASSWORD, True)
        return handle, public, take_b2(answer)[0]

    def take_in(self, parent, area, duplicate, secret=b"", inner_key=b""):
        """Imports an object, loads it, and returns its handle and name."""
        symmetric = AES_128_CFB if inner_key else u16(0x10)
        parameters = b2(inner_key) + b2(area) + b2(duplicate) + b2(secret) + symmetric
        private = self.command(0x156, [parent], parameters, PASSWORD)
        handle, answer = self.command(0x157, [parent], private + b2(area), PASSWORD, True)
        return handle, take_b2(answer)[0]

    def hmac(self, handle, data):
        return take_b2(self.command(0x155, [handle], b2(data) + u16(0x0B), PASSWORD))[0]

    def load_external(self, area, sensitive=b"", hierarchy=OWNER):
        """Returns the handle and the name."""
        handle, answer = self.command(0x167, [], b2(sensitive) + b2(area) + u32(hierarchy), None, True)
        return handle, take_b2(answer)[0]

    def make_credential(self, handle, credential, name):
        answer = self.command(0x168, [handle], b2(credential) + b2(name))
        id_object, answer = take_b2(answer)
        return id_object, take_b2(answer)[0]

    def duplicate(self, handle, parent, inner_key):
        session, _ = self.command(
            0x176, [NULL, NULL], b2(bytes(16)) + b2(b"") + b"\1" + u16(0x10) + u16(0x0B), None, True)
        self.command(0x16C, [session], u32(DUPLICATE))
        answer = self.command(DUPLICATE, [handle, parent], b2(inner_key) + AES_128_CFB, session)
        out, answer = take_b2(answer)
        assert out == b""
        private, answer = take_b2(answer)
        return private, take_b2(answer)[0]

    def encrypt(self, key, data):
        seed = bytes(32)
        area = (u16(0x25) + u16(0x0B) + u32(0x00060440) + b2(b"") + AES_128_CFB
                + b2(hashlib.sha256(seed + key).digest()))
        handle, _ = self.load_external(area, u16(0x25) + b2(b"") + b2(seed) + b2(key), NULL)
        answer = self.command(0x193, [handle], b2(data) + b"\0" + u16(0x43) + b2(bytes(16)), PASSWORD)
        self.flush(handle)
        return take_b2(answer)[0]


# ---- Public areas.

AES_128_CFB = u16(0x06) + u16(128) + u16(0x43)
EK_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
EK, SRK = (0x000300B2, EK_POLICY), (0x00030472, b"")
DUPLICATION_POLICY = bytes.fromhex("bef56b8c1cc84e11edd717528d2cd99356bd2bbf8f015209c3f84aeeaba8e8a2")


def head(kind, role):
    return u16(kind) + u16(0x0B) + u32(role[0]) + b2(role[1]) + AES_128_CFB + u16(0x10)


def rsa_area(role, modulus=b"", exponent=0):
    return head(0x01, role) + u16(2048) + u32(exponent) + b2(modulus)


def ecc_area(role, x=b"", y=b""):
    return head(0x23, role) + u16(0x03) + u16(0x10) + b2(x) + b2(y)


def identity_area(unique=b""):
    return u16(0x08) + u16(0x0B) + u32(0x00040440) + b2(DUPLICATION_POLICY) + u16(0x05) + u16(0x0B) + b2(unique)


# ---- The second stack: the specification.

def name(area):
    return u16(0x0B) + hashlib.sha256(area).digest()


def kdfa(key, label, context, bits):
    data = u32(1) + label + b"\0" + context + u32(bits)
    return hmac.new(key, data, hashlib.sha256).digest()[:bits // 8]


def kdfe(shared, label, ephemeral, fixed):
    return hashlib.sha256(u32(1) + shared + label + b"\0" + ephemeral + fixed).digest()


def cfb(key, data):
    encryptor = Cipher(algorithms.AES(key), CFB(bytes(16))).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def uncfb(key, data):
    decryptor = Cipher(algorithms.AES(key), CFB(bytes(16))).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def protect(seed, of, data):
    encrypted = cfb(kdfa(seed, b"STORAGE", of, 128), data)
    integrity = hmac.new(kdfa(seed, b"INTEGRITY", b"", 256), encrypted + of, hashlib.sha256).digest()
    return b2(integrity) + encrypted


def private_area(seed, inner_key, named, authorization, obfuscation, key):
    """What is in a TPM2B_PRIVATE with inner and outer wrapper."""
    sensitive = b2(u16(0x08) + b2(authorization) + b2(obfuscation) + b2(key))
    inner = cfb(inner_key, b2(hashlib.sha256(sensitive + named).digest()) + sensitive)
    return protect(seed, named, inner)


class Parent:
    def __init__(self, private, role):
        # The same key with attributes that let it into a TPM in which it was not made.
        movable = (0x00030440, b"")
        self.private = private
        numbers = private.public_key().public_numbers()
        if isinstance(private, rsa.RSAPrivateKey):
            modulus = numbers.n.to_bytes(256, "big")
            self.area, self.movable = rsa_area(role, modulus), rsa_area(movable, modulus)
            kind, secret = 0x01, private.private_numbers().p.to_bytes(128, "big")
        else:
            self.x, y = (value.to_bytes(32, "big") for value in (numbers.x, numbers.y))
            self.area, self.movable = ecc_area(role, self.x, y), ecc_area(movable, self.x, y)
            kind, secret = 0x23, private.private_numbers().private_value.to_bytes(32, "big")
        self.sensitive = b2(u16(kind) + b2(b"") + b2(bytes(32)) + b2(secret))

    def open(self, label, secret):
        """Returns the seed, and what it takes to come to it without the private key."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            sha = hashes.SHA256()
            seed = self.private.decrypt(secret, padding.OAEP(padding.MGF1(sha), sha, label + b"\0"))
            assert len(seed) == 32
            return seed, seed
        x, rest = take_b2(secret)
        y, rest = take_b2(rest)
        assert len(x) == len(y) == 32 and rest == b""
        point = b"\4" + x + y
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        shared = self.private.exchange(ec.ECDH(), peer)
        return kdfe(shared, label, x, self.x), point + shared

    def private_bytes(self):
        return self.private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


# ---- Vectors.

def emit(**fields):
    text = {key: value.hex() if isinstance(value, bytes) else value for key, value in fields.items()}
    print(json.dumps(text, separators=(",", ":")))


def primaries(tpm):
    """Keys that the TPM makes by the usual templates, with the names it gives them."""
    for hierarchy, role in ((ENDORSEMENT, EK), (OWNER, SRK)):
        for area in (rsa_area(role, bytes(256)), ecc_area(role, bytes(32), bytes(32))):
            handle, public, named = tpm.create_primary(hierarchy, area)
            assert named == name(public[2:])
            emit(public=public, name=named)
            tpm.flush(handle)


def parents(tpm):
    """Keys whose private half is known, with the names that the TPM gives them; two of each sort."""
    made = []
    for role in (EK, SRK):
        sort = []
        for number in range(2):
            sort.append(Parent(rsa.generate_private_key(65537, 2048), role))
            sort.append(Parent(ec.generate_private_key(ec.SECP256R1()), role))
        made.append(sort)
    # The private half of one endorsement key and one storage root key, so that a test can open what is encrypted.
    opened = made[0][0], made[1][0]
    for parent in made[0] + made[1]:
        handle, named = tpm.load_external(parent.area)
        tpm.flush(handle)
        assert named == name(parent.area)
        private = {"private": parent.private_bytes()} if parent in opened else {}
        emit(public=b2(parent.area), name=named, **private)
    return made


def main():
    choose = random.Random("golden")
    with tempfile.TemporaryDirectory() as directory:
        tpm = Tpm(directory)
        try:
            primaries(tpm)
            endorsement, storage = parents(tpm)
            own, _, _ = tpm.create_primary(OWNER, ecc_area(SRK, bytes(32), bytes(32)))
            for number in range(VECTORS):
                vector(tpm, own, choose, number, endorsement, storage)
        finally:
            tpm.close()


def vector(tpm, own, choose, number, endorsement, storage):
    # Every pair of parents, every length of a key, texts of any length and of names.
    ek, srk = number % 4, number // 4 % 4
    lengths = [32] * 128 + list(range(1, 65))
    length = lengths[(number * 67) % len(lengths)]
    key, inner_key = choose.randbytes(length), choose.randbytes(16)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
    size = 128 if number == 0 else choose.randint(1, 60)
    scope = "0ne0011AABBCCDDEEFFF" if number == 0 else f"0ne{number:08X}"
    text = f"{scope}/registrations/" + "".join(choose.choice(letters) for _ in range(size))
    if number % 24 == 23:
        text = text[:number // 24]

    # The TPM makes all of it.
    handle, public, named = tpm.hmac_key(own, identity_area(), key)
    parent, srk_name = tpm.load_external(storage[srk].area)
    duplicated, duplicate_secret = tpm.duplicate(handle, parent, inner_key)
    tpm.flush(handle, parent)
    parent, _ = tpm.load_external(endorsement[ek].area)
    id_object, credential_secret = tpm.make_credential(parent, inner_key, srk_name)
    tpm.flush(parent)
    encrypted_text = tpm.encrypt(inner_key, text.encode()) if text else b""

    # The specification comes to the same.
    credential_seed, credential = endorsement[ek].open(b"IDENTITY", credential_secret)
    duplicate_seed, duplicate = storage[srk].open(b"DUPLICATE", duplicate_secret)
    inner = uncfb(inner_key, uncfb(kdfa(duplicate_seed, b"STORAGE", named, 128), duplicated[34:]))
    obfuscation = inner[74:106]
    private = [duplicate_seed, inner_key, named]
    assert duplicated == private_area(*private, bytes(32), obfuscation, key)
    assert public == identity_area(hashlib.sha256(obfuscation + key).digest())
    assert named == name(public)
    assert id_object == protect(credential_seed, srk_name, b2(inner_key))
    assert encrypted_text == cfb(inner_key, text.encode())

    # The TPM takes in the same key without an authorization value.
    private = private_area(*private, b"", obfuscation, key)
    parent, _ = tpm.take_in(own, storage[srk].movable, storage[srk].sensitive)
    handle, taken = tpm.take_in(parent, public, private, duplicate_secret, inner_key)
    assert taken == named
    assert tpm.hmac(handle, b"test") == hmac.new(key, b"test", hashlib.sha256).digest()
    tpm.flush(handle, parent)

    # The secrets themselves take the most room: only some.
    secrets = {"secrets": [credential_secret.hex(), duplicate_secret.hex()]} if ek == srk == 0 and number < 64 else {}
    emit(ek=4 + ek, srk=8 + srk, key=key, resource=text, inner_key=inner_key, credential=credential,
         duplicate=duplicate, obfuscation=obfuscation, id_object=id_object, wrapped=private, public=public,
         text=encrypted_text, **secrets)


if __name__ == "__main__":
    main()
