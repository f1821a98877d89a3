"""Notices of places as spec/places.md says them, from the primitives alone.

Nothing of the product is used. `python -m tests.reference.places` writes the known answers; the
signatures of ML-DSA-65 are drawn anew each time.
"""

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

LABEL = b"bellwire places 1"
FILE = Path(__file__).parents[2] / "vectors" / "places" / "notices.json"
SEEDS = (bytes(range(32)), bytes(range(32, 64)))


def _be(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def notice(
    sequence: int, issued: int, expires: int, level: int, places: list[tuple[bool, int, str]]
) -> dict[str, str]:
    """One notice and what it is made of."""
    first = Ed25519PrivateKey.from_private_bytes(SEEDS[0])
    second = MLDSA65PrivateKey.from_seed_bytes(SEEDS[1])
    keys = first.public_key().public_bytes_raw(), second.public_key().public_bytes_raw()
    fingerprint = hashlib.sha256(b"".join(_be(len(key), 2) + key for key in keys)).digest()
    body = b"bwpl\x01" + keys[0] + keys[1]
    body += _be(sequence, 8) + _be(issued, 8) + _be(expires, 8) + _be(level, 1)
    body += _be(len(places), 1)
    for tls, port, host in places:
        body += _be(tls, 1) + _be(port, 2) + _be(len(host), 1) + host.encode()
    signature = first.sign(LABEL + fingerprint + body)
    signature += second.sign(fingerprint + body, LABEL)
    return {
        "fingerprint": fingerprint.hex(),
        "body": body.hex(),
        "notice": (body + signature).hex(),
    }


def known_answers() -> dict[str, object]:
    places = [
        (False, 8766, "192.0.2.7"),
        (True, 443, "2001:db8::7"),
        (True, 8765, "relay-2.example.org"),
    ]
    return {
        "seeds": [seed.hex() for seed in SEEDS],
        "moved": notice(7, 1_800_000_000, 1_800_086_400, 1, places),
        "lockdown": notice(8, 1_800_000_060, 1_800_086_460, 4, []),
    }


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(known_answers(), indent=1) + "\n")
