"""The device channel as spec/channel.md says it, from the primitives alone, both ends at once.

Nothing of the product is used. `play` computes every message of a handshake and its first records
from what a `Script` fixes; what the KEM drew when the script was made is a part of it, since the
library takes no coins.

    python -m tests.reference.channel > vectors/channel/handshakes.json
"""

import hashlib
import hmac
import json
import os
import sys
from dataclasses import asdict, dataclass, fields
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from tests.reference.first_contact import Ephemeral, encapsulate, hkdf

NAMES = {2: b"BW_pqIKpsk2_XWing_AESGCM_SHA256", 3: b"BW_pqIKpsk2_XWing_ChaChaPoly_SHA256"}
CIPHERS: dict[int, type[AESGCM | ChaCha20Poly1305]] = {2: AESGCM, 3: ChaCha20Poly1305}


@dataclass
class Script:
    """What a handshake is made of; byte strings."""

    suite: int
    name: bytes
    responder_seed: bytes
    initiator_seed: bytes
    ephemeral_seed: bytes
    ct_s: bytes
    ct_e: bytes
    ct_c: bytes
    policy: int
    key_id: bytes
    qkd_key: bytes
    qkd_used: int
    counter: int
    session_id: bytes
    cookie: bytes

    def encode(self) -> dict[str, Any]:
        return {k: v.hex() if isinstance(v, bytes) else v for k, v in asdict(self).items()}

    @classmethod
    def decode(cls, document: dict[str, Any]) -> "Script":
        texts = {field.name for field in fields(cls) if field.type is bytes}
        plain: dict[str, Any] = {
            k: bytes.fromhex(v) if k in texts else v for k, v in document.items()
        }
        return cls(**plain)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Noise:
    """h, ck, k, n."""

    def __init__(self, suite: int, name: bytes) -> None:
        self.aead = CIPHERS[suite]
        self.h = self.ck = sha256(name)
        self.k, self.n = b"", 0

    def mix_hash(self, data: bytes) -> None:
        self.h = sha256(self.h + data)

    def mix_key(self, secret: bytes) -> None:
        okm = hkdf(secret, self.ck, b"", 64)
        self.ck, self.k, self.n = okm[:32], okm[32:], 0

    def mix_key_and_hash(self, secret: bytes) -> None:
        okm = hkdf(secret, self.ck, b"", 96)
        self.ck, self.k, self.n = okm[:32], okm[64:], 0
        self.mix_hash(okm[32:64])

    def seal(self, text: bytes) -> bytes:
        sealed = self.aead(self.k).encrypt(bytes(4) + self.n.to_bytes(8, "big"), text, self.h)
        self.n += 1
        self.mix_hash(sealed)
        return sealed


def header(kind: int, second: int, length: int) -> bytes:
    return bytes([kind, second]) + length.to_bytes(2, "big")


def mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")[:16]


def play(script: Script) -> dict[str, str]:
    """Every message of the handshake, and what lies between them, in hexadecimal."""
    suite = script.suite
    responder = Ephemeral(script.responder_seed)
    initiator = Ephemeral(script.initiator_seed)
    ephemeral = Ephemeral(script.ephemeral_seed)
    out: dict[str, bytes] = {}
    noise = Noise(suite, NAMES[suite])
    noise.mix_hash(
        b"bellwire-ch" + bytes([suite, 1, len(script.name)]) + script.name + responder.public
    )
    out["h_prologue"] = noise.h

    head = header(1, suite, 2441)
    noise.mix_hash(head)
    noise.mix_hash(script.ct_s)
    out["ss_s"] = responder.open(script.ct_s)
    noise.mix_key(out["ss_s"])
    out["ck_s"] = noise.ck
    out["alert_key"] = hkdf(noise.ck, b"", b"bellwire channel alert", 32)
    noise.mix_hash(ephemeral.public)
    offer = sha256(initiator.public) + bytes([script.policy]) + script.key_id
    sealed = noise.seal(offer + script.counter.to_bytes(8, "big"))
    noise.mix_hash(initiator.public)
    core = head + script.ct_s + ephemeral.public + sealed
    mac_key = sha256(b"bellwire channel mac1" + responder.public)
    mac1 = mac(mac_key, core)
    out["hello"] = core + mac1 + bytes(16)
    retry = header(5, suite, 32) + script.cookie
    out["retry"] = retry + mac(mac_key, retry[:4] + mac1 + script.cookie)
    out["hello_again"] = core + mac1 + mac(script.cookie, core + mac1)
    out["h_hello"] = noise.h
    alert = header(4, suite, 29)
    nonce = bytes(range(12))
    sealed = CIPHERS[suite](out["alert_key"]).encrypt(nonce, b"\0", alert + sha256(core))
    out["alert_with_nonce_0_to_11"] = alert + nonce + sealed

    head = header(2, suite, 2289)
    noise.mix_hash(head)
    noise.mix_hash(script.ct_e)
    out["ss_e"] = ephemeral.open(script.ct_e)
    noise.mix_key(out["ss_e"])
    out["ck_e"] = noise.ck
    grant = noise.seal(script.ct_c + bytes([script.qkd_used]))
    out["ss_c"] = initiator.open(script.ct_c)
    noise.mix_key(out["ss_c"])
    out["ck_c"] = noise.ck
    noise.mix_key_and_hash(script.qkd_key if script.qkd_used else bytes(32))
    out["ck_qkd"] = noise.ck
    out["answer"] = head + script.ct_e + grant + noise.seal(script.session_id)
    out["h_answer"] = noise.h

    head = header(3, suite, 16)
    noise.mix_hash(head)
    out["confirm"] = head + noise.seal(b"")
    out["h"] = noise.h
    okm = hkdf(noise.h, noise.ck, b"bellwire channel split" + noise.h, 128)
    out["up"], out["down"], out["root"], out["resume"] = (
        okm[at : at + 32] for at in range(0, 128, 32)
    )
    out |= refresh(script, out["root"])
    out |= resume(script, responder, initiator, out["resume"])
    for direction, name in enumerate(("up", "down")):
        secret = out[name]
        for epoch in range(3):
            records = RECORDS + CLOSE * (epoch == 2)
            for number, (kind, text) in enumerate(records):
                record = seal_record(script, direction, secret, epoch, number, kind, text)
                out[f"{name}_epoch_{epoch}_record_{number}"] = record
            info = b"bellwire channel next" + len(records).to_bytes(8, "big")
            secret = out[f"{name}_{epoch + 1}"] = hkdf(secret, b"", info, 32)
    return {name: value.hex() for name, value in out.items()}


def refresh(script: Script, root: bytes) -> dict[str, bytes]:
    """Fresh keys, with the handshake's ephemeral key, ciphertext and QKD key for new ones."""
    ephemeral = Ephemeral(script.ephemeral_seed)
    offer = ephemeral.public + script.key_id
    answer = script.ct_e + bytes([script.qkd_used])
    mixed = ephemeral.open(script.ct_e) + (script.qkd_key if script.qkd_used else bytes(32))
    okm = hkdf(mixed, root, b"bellwire channel refresh" + offer + answer, 96)
    return {"refreshed_root": okm[:32], "refreshed_up": okm[32:64], "refreshed_down": okm[64:]}


def resume(
    script: Script, responder: Ephemeral, initiator: Ephemeral, secret: bytes
) -> dict[str, bytes]:
    """The session resumed, with the handshake's ephemeral key, ciphertext and QKD key for new."""
    suite, out = script.suite, dict[str, bytes]()
    ephemeral = Ephemeral(script.ephemeral_seed)
    okm = hkdf(secret, b"", b"bellwire channel ticket", 48)
    handle, psk = out["handle"], out["psk"] = okm[:16], okm[16:]
    noise = Noise(suite, NAMES[suite].replace(b"pqIKpsk2", b"pqNNpsk0psk2"))
    prologue = b"bellwire-ch" + bytes([suite, 1, len(script.name)]) + script.name
    noise.mix_hash(prologue + responder.public + sha256(initiator.public))

    head = header(7, suite, 1297)
    noise.mix_hash(head)
    noise.mix_hash(handle)
    noise.mix_key_and_hash(psk)
    noise.mix_hash(ephemeral.public)
    core = head + handle + ephemeral.public + noise.seal(bytes([script.policy]) + script.key_id)
    mac_key = sha256(b"bellwire channel mac1" + responder.public)
    out["resume_hello"] = core + mac(mac_key, core) + bytes(16)
    head = header(9, suite, 16)
    out["resume_unknown"] = head + mac(mac_key, head + mac(mac_key, core))

    head = header(8, suite, 1169)
    noise.mix_hash(head)
    noise.mix_hash(script.ct_e)
    noise.mix_key(ephemeral.open(script.ct_e))
    used = noise.seal(bytes([script.qkd_used]))
    noise.mix_key_and_hash(script.qkd_key if script.qkd_used else bytes(32))
    out["resume_answer"] = head + script.ct_e + used + noise.seal(script.session_id)
    head = header(3, suite, 16)
    noise.mix_hash(head)
    out["resume_confirm"] = head + noise.seal(b"")
    okm = hkdf(noise.h, noise.ck, b"bellwire channel split" + noise.h, 128)
    out["resumed_up"], out["resumed_down"] = okm[:32], okm[32:64]
    return out


RECORDS = [(16, b"21.5"), (16, b""), (18, b"padded" + b"\x01" + bytes(121))]
"""Kind and text of the records of each epoch."""
CLOSE = [(17, b"")]
"""Behind those of the last."""


def seal_record(
    script: Script, direction: int, secret: bytes, epoch: int, number: int, kind: int, text: bytes
) -> bytes:
    okm = hkdf(secret, b"", b"bellwire channel records", 44)
    nonce = (int.from_bytes(okm[32:], "big") ^ number).to_bytes(12, "big")
    head = header(kind, epoch % 256, len(text) + 16)
    aad = head + script.session_id + bytes([direction])
    return head + CIPHERS[script.suite](okm[:32]).encrypt(nonce, text, aad)


def draw(suite: int, *, policy: int, used: int) -> Script:
    """A script with everything drawn anew."""
    seeds = [os.urandom(32) for _ in range(3)]
    publics = [Ephemeral(seed).public for seed in (seeds[0], seeds[2], seeds[1])]
    ct_s, ct_e, ct_c = (encapsulate(public, os.urandom(32))[0] for public in publics)
    return Script(
        suite=suite,
        name=b"cloud.example",
        responder_seed=seeds[0],
        initiator_seed=seeds[1],
        ephemeral_seed=seeds[2],
        ct_s=ct_s,
        ct_e=ct_e,
        ct_c=ct_c,
        policy=policy,
        key_id=os.urandom(16) if policy else bytes(16),
        qkd_key=os.urandom(32) if used else bytes(32),
        qkd_used=used,
        counter=int.from_bytes(os.urandom(7), "big") + 1,
        session_id=os.urandom(16),
        cookie=os.urandom(16),
    )


def main() -> None:
    """Print a new set of vectors."""
    scripts = [
        draw(2, policy=2, used=1),
        draw(3, policy=2, used=1),
        draw(2, policy=1, used=0),
        draw(3, policy=0, used=0),
    ]
    sys.stdout.write(
        json.dumps([{"script": s.encode(), "values": play(s)} for s in scripts], indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
