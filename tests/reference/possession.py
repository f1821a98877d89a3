"""Proofs of possession, written a second time from spec/admission.md; makes the vectors.

    python -m tests.reference.possession > vectors/admission/possession.json

The transcript alone is deterministic for every kind: signatures of ML-DSA are hedged.
"""

import hashlib
import hmac
import json
import sys

LABEL = b"bellwire admission possession 1"


def transcript(
    server: str, name: str, nonce: bytes, keys: dict[str, bytes], ciphertexts: dict[str, bytes]
) -> bytes:
    """`t` of the page."""
    found = hashlib.sha512(LABEL)

    def part(data: bytes) -> None:
        found.update(len(data).to_bytes(4, "big") + data)

    part(server.encode())
    part(name.encode())
    part(nonce)
    part(bytes([len(keys)]))
    for kind in sorted(keys):
        part(kind.encode())
        part(keys[kind])
    part(bytes([len(ciphertexts)]))
    for kind in sorted(ciphertexts):
        part(kind.encode())
        part(ciphertexts[kind])
    return found.digest()


def stretched(seed: str, length: int) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(length)


def case(kinds: tuple[str, ...]) -> dict[str, object]:
    lengths = {"ed25519": 32, "p-256": 65, "ml-dsa-44": 1312, "ml-dsa-65": 1952}
    lengths |= {"ml-kem-768": 1184, "x25519": 32}
    keys = {kind: stretched(kind, lengths[kind]) for kind in kinds}
    ciphertexts = {
        kind: stretched("ciphertext", length)
        for kind, length in (("ml-kem-768", 1088), ("x25519", 32))
        if kind in kinds
    }
    nonce, secret = stretched("nonce", 32), stretched("secret", 32)
    text = transcript("admission.example", "alice", nonce, keys, ciphertexts)
    return {
        "server": "admission.example",
        "name": "alice",
        "nonce": nonce.hex(),
        "keys": {kind: key.hex() for kind, key in keys.items()},
        "ciphertexts": {kind: each.hex() for kind, each in ciphertexts.items()},
        "transcript": text.hex(),
        "secret": secret.hex(),
        "tag": hmac.new(secret, text, hashlib.sha256).hexdigest(),
    }


if __name__ == "__main__":
    CASES = [
        case(("ed25519",)),
        case(("p-256", "ml-kem-768")),
        case(("ml-kem-768", "p-256", "ml-dsa-65", "ed25519", "ml-dsa-44")),
        case(("x25519", "ed25519", "ml-kem-768")),
    ]
    json.dump(CASES, sys.stdout, indent=1)
    sys.stdout.write("\n")
