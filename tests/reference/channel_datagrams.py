"""The channel over datagrams as spec/channel.md says it, from the primitives alone.

It takes the keys and the hello of vectors/channel/handshakes.json, and computes knocks, retries,
fragments and records.

    python -m tests.reference.channel_datagrams > vectors/channel/datagrams.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.reference.channel import CIPHERS, header, mac, sha256
from tests.reference.first_contact import Ephemeral, hkdf

HANDSHAKES = Path(__file__).parents[2] / "vectors" / "channel" / "handshakes.json"
RECORDS = [(0, 0, 16, b"21.5"), (0, 3, 16, b""), (0, 1, 18, b"padded\x01" + bytes(121))]
RECORDS += [(1, 0, 16, b"next"), (2, 1023, 17, b"")]
"""Epoch, number, kind and text."""


def indices(session_id: bytes) -> tuple[bytes, bytes]:
    both = hkdf(session_id, b"", b"bellwire channel index", 8)
    return both[:4], both[4:]


def record(
    suite: int, secret: bytes, session_id: bytes, direction: int, place: tuple[int, int, int, bytes]
) -> bytes:
    epoch, number, kind, text = place
    for _ in range(epoch):
        secret = hkdf(secret, b"", b"bellwire channel next", 32)
    okm = hkdf(secret, b"", b"bellwire channel records", 44)
    nonce = (int.from_bytes(okm[32:], "big") ^ number).to_bytes(12, "big")
    head = header(kind, epoch % 256, len(text) + 16)
    head += indices(session_id)[direction] + number.to_bytes(8, "big")
    aad = head + session_id + bytes([direction])
    return head + CIPHERS[suite](okm[:32]).encrypt(nonce, text, aad)


def knock(hello: bytes, responder_public: bytes) -> bytes:
    key = sha256(b"bellwire channel mac1" + responder_public)
    said = header(10, hello[1], 64) + sha256(hello[:-32]) + hello[-32:-16]
    return said + mac(key, said)


def fragments(message: bytes, digest: bytes, cookie: bytes, size: int) -> list[bytes]:
    room = size - 54
    pieces = [message[at : at + room] for at in range(0, len(message), room)]
    return [
        header(11, message[1], 50 + len(piece)) + digest + cookie + bytes([at, len(pieces)]) + piece
        for at, piece in enumerate(pieces)
    ]


def play(vector: dict[str, Any]) -> dict[str, Any]:
    """What a handshake's messages and keys become over datagrams, in hexadecimal."""
    script, values = vector["script"], vector["values"]
    session_id, suite = bytes.fromhex(script["session_id"]), script["suite"]
    cookie = bytes.fromhex(script["cookie"])
    hello, again = bytes.fromhex(values["hello"]), bytes.fromhex(values["hello_again"])
    digest = sha256(hello[:-32])
    out: dict[str, Any] = {
        "indices": [index.hex() for index in indices(session_id)],
        "knock": knock(hello, Ephemeral(bytes.fromhex(script["responder_seed"])).public).hex(),
        "hello_in_datagrams_of_1232": [
            each.hex() for each in fragments(again, digest, cookie, 1232)
        ],
    }
    for direction, name in enumerate(("up", "down")):
        secret = bytes.fromhex(values[name])
        out[name] = [record(suite, secret, session_id, direction, each).hex() for each in RECORDS]
    return out


if __name__ == "__main__":
    found = [play(vector) for vector in json.loads(HANDSHAKES.read_text())[:2]]
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
