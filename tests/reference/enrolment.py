"""Enrolment by a code as spec/enrolment.md says it, from the primitives alone.

Nothing of the product is used. `python -m tests.reference.enrolment` writes the known answers.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.reference.first_contact import Ephemeral, hkdf

LABEL = b"bellwire enrolment 1 "
FILE = Path(__file__).parents[2] / "vectors" / "enrolment" / "exchange.json"


def derive(secret: bytes, salt: bytes, info: bytes, length: int = 32) -> bytes:
    return hkdf(secret, salt or bytes(32), LABEL + info, length)


def code(secret: bytes) -> str:
    check = hashlib.sha256(LABEL + b"check" + secret).digest()[:4]
    letters = base64.b32encode(secret + check).decode()
    return "-".join(letters[at : at + 4] for at in range(0, 32, 4))


def message(kind: int, prefix: bytes, key: bytes, text: bytes) -> bytes:
    """Header, what goes in clear, and the sealed rest."""
    head = bytes([kind, 1]) + (len(prefix) + len(text) + 16).to_bytes(2, "big") + prefix
    return head + AESGCM(key).encrypt(bytes(12), text, head)


def exchange(secret: bytes, device_seed: bytes, cloud_seed: bytes) -> dict[str, str]:
    """One exchange, with answer, refusals, and all between."""
    invitation, key = derive(secret, b"", b"id", 16), derive(secret, b"", b"key")
    device, cloud = Ephemeral(device_seed).public, Ephemeral(cloud_seed).public
    request_salt, answer_salt, refusal_salt = (bytes([each]) * 32 for each in (0x11, 0x22, 0x33))
    request_key = derive(key, request_salt, b"request")
    request = message(32, invitation + request_salt, request_key, device)
    digest = hashlib.sha256(request).digest()
    names = (b"Wolke", "Fühler-7".encode())
    text = cloud + b"".join(bytes([len(each)]) + each for each in names)
    answer_key = derive(key, answer_salt, b"answer" + digest)
    refusal_key = derive(key, refusal_salt, b"refusal" + digest)
    values: dict[str, bytes] = {
        "secret": secret,
        "id": invitation,
        "key": key,
        "device_seed": device_seed,
        "cloud_seed": cloud_seed,
        "device_public": device,
        "cloud_public": cloud,
        "request_salt": request_salt,
        "request_key": request_key,
        "request": request,
        "answer_salt": answer_salt,
        "answer_key": answer_key,
        "answer": message(33, answer_salt, answer_key, text),
        "refusal_salt": refusal_salt,
        "refusal_key": refusal_key,
    }
    for reason, name in enumerate(("used", "expired", "spent"), 1):
        values[name] = message(34, refusal_salt, refusal_key, bytes([reason]))
    found = {name: value.hex() for name, value in values.items()}
    return found | {"code": code(secret), "cloud": "Wolke", "device": "Fühler-7"}


def known_answer() -> dict[str, str]:
    seeds = (hmac.digest(b"enrolment", bytes([each]), "sha256") for each in (1, 2))
    return exchange(bytes(range(16)), *seeds)


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(known_answer(), indent=1, ensure_ascii=False) + "\n")
