"""The sealed line to a relay's accounts as spec/accounts.md says it, and what goes by it.

Nothing of the product is used. Signatures and the encapsulation draw coins, so what they gave when
the file was made is a part of it: `played` computes everything else from it again.

    python -m tests.reference.chat_account
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from tests.reference.chat import fingerprint, identity_public, prekey_text, sign
from tests.reference.chat_card import card
from tests.reference.first_contact import Ephemeral, encapsulate, hkdf

FILE = Path(__file__).parents[2] / "vectors" / "chat" / "account.json"
LABELS = {
    "offer": b"bellwire chat account offer 1",
    "line": b"bellwire chat account line 1",
    "proof": b"bellwire chat account 1",
    "claim": b"bellwire chat handle 1",
    "prekey": b"bellwire chat prekey 1",
}
HANDLE, PASSWORD, DEVICE = "zoe-b_1", "seven wörds that nobody else would draw", "a browser"
NOT_AFTER = 1_900_000_000
SIZES = (512, 4096, 16_384, 65_536)


def record(key: bytes, count: int, text: bytes) -> bytes:
    size = next(each for each in SIZES if each >= len(text) + 20)
    plain = (len(text).to_bytes(4, "big") + text).ljust(size - 16, b"\0")
    return AESGCM(key).encrypt(count.to_bytes(12, "big"), plain, b"")


def password_seed(relay_id: bytes) -> bytes:
    salt = hashlib.sha256(b"bellwire chat password 1" + relay_id + HANDLE.encode()).digest()[:16]
    how = Argon2id(salt=salt, length=64, iterations=3, lanes=1, memory_cost=65_536)
    return how.derive(PASSWORD.encode())


def proof_text(what: str, binding: bytes, verifier: bytes) -> bytes:
    return what.encode() + b"\0" + HANDLE.encode() + b"\0" + binding + verifier


def claim_text(relay_id: bytes, encoded: bytes) -> bytes:
    return relay_id + bytes([len(HANDLE)]) + HANDLE.encode() + encoded


def drawn() -> dict[str, Any]:
    """What is fixed of a line: seeds, and what was drawn with them."""
    relay, owner, offered = bytes([1]) * 64, bytes([2]) * 64, bytes([3]) * 32
    relay_id, nonce = fingerprint(identity_public(relay)), bytes(range(32, 64))
    e = Ephemeral(offered).public
    ct, _ = encapsulate(e, os.urandom(32))
    encoded = card(bytes([9]) * 32, ["wss://relay.example:8765", "chat-b", "Zoë"], b"", [])
    offer = identity_public(relay) + e + sign(relay, relay_id + e, LABELS["offer"])
    *_, binding = keys(offered, relay_id, nonce, offer, ct)
    verifier_seed = password_seed(relay_id)
    verifier = identity_public(verifier_seed)
    prekeys = []
    for kind, seed in ((1, bytes([5]) * 32), (2, bytes([6]) * 32)):
        text = prekey_text(kind, bytes([kind]) * 16, NOT_AFTER, seed)
        prekeys.append(text + sign(owner, text, LABELS["prekey"]))
    text = proof_text("sign up", binding, verifier)
    signed = {
        "identity_proof": sign(owner, text, LABELS["proof"]),
        "password_proof": sign(verifier_seed, text, LABELS["proof"]),
        "claim": sign(owner, claim_text(relay_id, encoded), LABELS["claim"]),
    }
    given = {
        "relay_seed": relay,
        "owner_seed": owner,
        "offered_seed": offered,
        "relay_id": relay_id,
        "nonce": nonce,
        "offer": offer,
        "hello": ct,
        "card": encoded,
        "lasting": prekeys[0],
        "one_time": prekeys[1],
        **signed,
    }
    return {name: each.hex() for name, each in given.items()}


def keys(
    offered: bytes, relay_id: bytes, nonce: bytes, offer: bytes, ct: bytes
) -> tuple[bytes, bytes, bytes]:
    transcript = hashlib.sha256(nonce + relay_id + offer + ct).digest()
    okm = hkdf(Ephemeral(offered).open(ct), transcript, LABELS["line"], 96)
    return okm[:32], okm[32:64], okm[64:]


def played(script: dict[str, str]) -> dict[str, Any]:
    """Everything that follows from it, in hexadecimal."""
    b = {name: bytes.fromhex(each) for name, each in script.items()}
    up, down, binding = keys(b["offered_seed"], b["relay_id"], b["nonce"], b["offer"], b["hello"])
    owner = identity_public(b["owner_seed"])
    verifier = identity_public(password_seed(b["relay_id"]))
    token, device = bytes([7]) * 32, bytes([8]) * 8
    requests: list[dict[str, Any]] = [
        {
            "do": "sign up",
            "handle": HANDLE,
            "identity": owner,
            "verifier": verifier,
            "identity_proof": b["identity_proof"],
            "password_proof": b["password_proof"],
            "device": DEVICE,
            "invitation": None,
        },
        {"do": "set visibility", "token": token, "visibility": 2},
        {
            "do": "publish",
            "token": token,
            "lasting": b["lasting"],
            "one_time": [],
            "card": b["card"],
            "claim": b["claim"],
        },
        {
            "do": "publish",
            "token": token,
            "lasting": None,
            "one_time": [b["one_time"]],
            "card": None,
            "claim": None,
        },
        {"do": "log out", "token": token, "device": None},
        {"do": "search", "prefix": "zo"},
        {"do": "take", "handle": HANDLE},
    ]
    taken = {
        "is": "taken",
        "identity": owner,
        "lasting": b["lasting"],
        "one_time": b["one_time"],
        "card": b["card"],
        "claim": b["claim"],
    }
    answers: list[dict[str, Any]] = [
        {"is": "session", "token": token, "device": device, "expires": NOT_AFTER},
        {"is": "done"},
        {"is": "stock", "ours": True, "lasting_until": NOT_AFTER, "one_time": 0},
        {"is": "stock", "ours": True, "lasting_until": NOT_AFTER, "one_time": 1},
        {"is": "refused", "reason": 8},
        {"is": "found", "handles": ["zoe", HANDLE]},
        taken,
        {**taken, "one_time": None},
    ]
    said = [msgspec.msgpack.encode(each) for each in requests]
    heard = [msgspec.msgpack.encode(each) for each in answers]
    return {
        "handle": HANDLE,
        "password": PASSWORD,
        "device": DEVICE,
        "not_after": NOT_AFTER,
        "token": token.hex(),
        "up": up.hex(),
        "down": down.hex(),
        "binding": binding.hex(),
        "relay": fingerprint(identity_public(b["relay_seed"])).hex(),
        "owner": fingerprint(owner).hex(),
        "password_seed": password_seed(b["relay_id"]).hex(),
        "requests": [each.hex() for each in said],
        "answers": [each.hex() for each in heard],
        "requests_sealed": [hashed(record(up, n, each)) for n, each in enumerate(said)],
        "answers_sealed": [hashed(record(down, n, each)) for n, each in enumerate([b"", *heard])],
    }


def hashed(data: bytes) -> dict[str, Any]:
    """Of what is long, its length and SHA-256."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


if __name__ == "__main__":
    given = drawn()
    made = {"given": given, "follows": played(given)}
    FILE.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
