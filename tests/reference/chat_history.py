"""A file of history as spec/history.md says it, made without anything of the product.

python -m tests.reference.chat_history
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.reference.chat import fingerprint, identity_public
from tests.reference.first_contact import hkdf

FILE = Path(__file__).parents[2] / "vectors" / "chat" / "history.json"
LABEL = b"bellwire chat history 1"
CODE, FILE_ID = bytes(range(3, 19)), bytes(range(100, 116))
PIECE = 65_536
MADE_MS = 1_800_000_000_000
LONG = (70_000, 65_532, 0, 262_144, 5)
"""Sizes of records of which a file has more than one piece."""


def spelt(code: bytes) -> str:
    check = hashlib.sha256(LABEL + b"check" + code).digest()[:4]
    letters = base64.b32encode(code + check).decode()
    return "-".join(letters[at : at + 4] for at in range(0, 32, 4))


def sealed(records: list[bytes]) -> bytes:
    okm = hkdf(CODE, FILE_ID, LABEL, 48)
    header = b"bwhs\x01" + FILE_ID + okm[:16]
    text = b"".join(len(each).to_bytes(4, "big") + each for each in records)
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)] or [b""]
    file = header
    for number, piece in enumerate(pieces):
        nonce = number.to_bytes(11, "big") + bytes([number == len(pieces) - 1])
        file += AESGCM(okm[16:]).encrypt(nonce, piece, header)
    return file


def session(verdict: str) -> dict[str, Any]:
    accepted = verdict == "accept"
    return {
        "session": "00112233-4455-6677-8899-aabbccddeeff",
        "master": "app-a",
        "slave": "app-b",
        "source": "simulated",
        "began_at": 1_799_999_000.25,
        "verdict": verdict,
        "reason": None if accepted else "chsh below limit",
        "message": None,
        "pairs": 150_000,
        "coincidences": 149_000,
        "sifted_bits": 33_000,
        "test_pairs": 100_000,
        "s": 2.72,
        "s_stderr": 0.011,
        "s_lower": 2.68,
        "qber": 0.02,
        "qber_stderr": 0.001,
        "leaked_bits": 7000,
        "verification_bits": 128,
        "final_bits": 1040,
        "epsilon": 1e-10 if accepted else None,
        "public_bytes": 98_000,
        "steps": [{"step": "opening", "ms": 0.5}, {"step": "storage", "ms": 2.0}],
        "total_ms": 50.5,
    }


def said(
    contact: bytes,
    number: int,
    text: str,
    *,
    ours: bool = True,
    state: int = 3,
    kind: int = 1,
    target: bytes | None = None,
    timer: tuple[int | None, int | None] = (None, None),
    pads: list[bytes] | None = None,
    size: int | None = None,
) -> list[Any]:
    ids = pads or []
    return [
        "said",
        contact,
        ours,
        bytes([number]) * 16,
        state,
        kind,
        MADE_MS - 60_000 + number,
        text,
        None,
        target,
        *timer,
        number == 2,
        "simulated" if ids else None,
        116 * len(ids),
        None,
        ids,
        size,
        [session("accept"), *(None for _ in ids[1:])] if ids else [],
    ]


def values() -> list[list[Any]]:
    """The records of one file, before MessagePack."""
    owner, bob, eve = (fingerprint(identity_public(bytes([at]) * 64)) for at in (1, 2, 3))
    people = [
        ["somebody", identity_public(bytes([2]) * 64), "Bob ½", "require", "pool", 3600, False],
        ["somebody", identity_public(bytes([3]) * 64), "Eve", "prefer", "fresh", 0, True],
    ]
    messages = [
        said(bob, 1, "good morning", pads=[bytes([9]) * 16, bytes([8]) * 16]),
        said(bob, 2, "and to you 🜁", ours=False),
        said(bob, 3, "about it", ours=False, state=0, kind=2, target=bytes([1]) * 16),
        said(bob, 4, "plan.pdf", state=2, kind=6, size=48_211),
        said(bob, 5, "raw.h5", ours=False, kind=7, size=31_457_280),
        said(owner, 6, "note to self", timer=(300, MADE_MS // 1000 + 240)),
        said(bob, 7, "for an hour", state=1, timer=(3600, None)),
        said(eve, 8, "before that", ours=False),
    ]
    end = ["end", len(people), len(messages)]
    return [["about", owner, MADE_MS], *people, *messages, end]


def played() -> dict[str, Any]:
    records = [msgspec.msgpack.encode(each) for each in values()]
    long = sealed([bytes([at]) * size for at, size in enumerate(LONG)])
    return {
        "code": CODE.hex(),
        "spelt": spelt(CODE),
        "id": FILE_ID.hex(),
        "records": [each.hex() for each in records],
        "file": sealed(records).hex(),
        "long": {
            "sizes": list(LONG),
            "bytes": len(long),
            "sha256": hashlib.sha256(long).hexdigest(),
        },
    }


def main() -> None:
    FILE.write_text(json.dumps(played(), indent=2) + "\n")


if __name__ == "__main__":
    main()
