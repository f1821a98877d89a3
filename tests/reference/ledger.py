"""Entries of the log as spec/ledger.md says them, from the standard library alone.

Nothing of the product is used. `python -m tests.reference.ledger` writes the known answers.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

FILE = Path(__file__).parents[2] / "vectors" / "ledger" / "entries.json"
SALT, VALUE = bytes(range(32)), "Ada Lovelace"


def canonical(entry: dict[str, object]) -> bytes:
    """The bytes of an entry: RFC 8785, for texts and integers alone."""
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def leaf_hash(encoded: bytes) -> bytes:
    """RFC 6962, 2.1."""
    return hashlib.sha256(b"\0" + encoded).digest()


def commitment(salt: bytes, value: str) -> str:
    label = b"bellwire ledger commitment 1\0"
    return "#" + hmac.new(salt, label + value.encode(), hashlib.sha256).hexdigest()


def _public(size: int, first: int) -> str:
    return base64.b64encode(bytes((first + i) % 256 for i in range(size))).decode()


def entries() -> dict[str, dict[str, object]]:
    def entry(kind: str, sequence: int, **fields: object) -> dict[str, object]:
        common = {"v": 1, "kind": kind, "at": 1_800_000_000_000 + sequence, "sequence": sequence}
        return {**common, "writer": "site-a", "epoch": "00112233445566ff", **fields}

    named = commitment(SALT, VALUE)
    keys: list[object] = [
        {"algorithm": "ed25519", "key": _public(32, 1)},
        {"algorithm": "ml-kem-768", "key": _public(1184, 2)},
    ]
    digests = [hashlib.sha256(bytes([each])).hexdigest() for each in (1, 2)]
    return {
        "registration": entry(
            "registration", 1, handle="ada_l", keys=keys, verdict="secure", evidence=named
        ),
        "revocation": entry(
            "revocation", 2, handle="ada_l", keys=sorted(digests), reason="superseded"
        ),
        "key-exchange": entry(
            "key-exchange",
            3,
            id="6b1dd3c6-5d4e-4f7a-9c7c-0d5b6a1e2f30",
            parties=["app-a", named],
            bits=256,
            source="simulated",
            node="site-a",
            block=17,
            qber=19_800,
            chsh=2_719_000,
        ),
        "block-rejected": entry(
            "block-rejected",
            4,
            link="a-b",
            node="site-a",
            block=18,
            protocol="e91",
            qber=140_000,
            chsh=1_362_000,
            reason='S = 1.36 ± 0.01, "RED" below 2.20 \\ rejected',
        ),
        "link-status": entry(
            "link-status",
            5,
            link="a-b",
            node="site-a",
            status="RED",
            stale=False,
            qber=20_000,
            reason="S = 1.36 in one block",
        ),
        "guard-action": entry(
            "guard-action", 6, guard="router-1", packets="stop", reason="the link is RED"
        ),
        "override": entry(
            "override",
            7,
            guard="router-1",
            operator=named,
            packets="pass",
            until=1_800_000_600_000,
            reason=commitment(SALT, "maintenance"),
        ),
    }


def known_answers() -> dict[str, object]:
    encoded = {name: canonical(each) for name, each in entries().items()}
    return {
        "commitment": {"salt": SALT.hex(), "value": VALUE, "is": commitment(SALT, VALUE)},
        "entries": {
            name: {"entry": each.decode(), "leaf_hash": leaf_hash(each).hex()}
            for name, each in encoded.items()
        },
    }


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(known_answers(), indent=1, ensure_ascii=False) + "\n")
