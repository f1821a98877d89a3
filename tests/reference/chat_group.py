"""Groups of spec/chat.md, 9, written down from it alone; makes vectors/chat/group.json.

Nothing of the product is used. What signatures drew is a part of the script, since the library
takes no coins.

    python -m tests.reference.chat_group > vectors/chat/group.json
"""

import json
import os
import sys
from typing import Any

from tests.reference.chat import fingerprint, identity_public, sha256, sign

LABEL = b"bellwire chat roster 1"
WHO = ("alice", "bob", "carol")
STEPS: tuple[tuple[str, str, dict[str, int], str], ...] = (
    ("alice", "Nightshift ½", {"alice": 0, "bob": 0, "carol": 0}, "alice"),
    ("alice", "Day shift", {"alice": 0, "bob": 0}, "alice"),
    ("bob", "Day shift", {"alice": 0, "bob": 0}, "alice"),
    ("bob", "Day shift", {"alice": 0, "bob": 0, "carol": 3}, "bob"),
)
"""Admin, name, members with since, and who signs, of each roster: one is taken out, the admin hands
over, and the next one takes her in again."""


def seeds_of(script: dict[str, Any]) -> dict[str, bytes]:
    return {who: bytes.fromhex(script[who]) for who in WHO}


def names_of(script: dict[str, Any]) -> dict[str, bytes]:
    """Fingerprints."""
    return {who: fingerprint(identity_public(seed)) for who, seed in seeds_of(script).items()}


def unsigned(script: dict[str, Any], number: int, former: bytes) -> bytes:
    """9.1, all but the signature."""
    admin, name, members, _ = STEPS[number]
    whole = b"bwgr\x01" + bytes.fromhex(script["group"]) + number.to_bytes(4, "big") + former
    whole += identity_public(seeds_of(script)[admin])
    whole += bytes([len(name.encode())]) + name.encode() + bytes([len(members)])
    names = names_of(script)
    ordered = sorted(members, key=lambda who: names[who])
    return whole + b"".join(members[who].to_bytes(4, "big") + names[who] for who in ordered)


def id_of(group: bytes, author: bytes, drawn: bytes) -> bytes:
    """9.4: eight random bytes, and what binds them to who says something in which group."""
    return drawn + sha256(b"bellwire chat group id 1" + group + author + drawn)[:8]


def play(script: dict[str, Any]) -> dict[str, str]:
    """Every roster with its hash, and what is said by the last one, in hexadecimal."""
    out: dict[str, bytes] = {}
    former = bytes(32)
    for number, _ in enumerate(STEPS):
        body = unsigned(script, number, former)
        former = sha256(LABEL + body)
        out[f"roster_{number}"] = body + bytes.fromhex(script["signatures"][number])
        out[f"hash_{number}"] = former
    group, names = bytes.fromhex(script["group"]), names_of(script)
    view = (len(STEPS) - 1).to_bytes(4, "big") + former
    for who in WHO:
        content_id = id_of(group, names[who], bytes.fromhex(script["drawn"]))
        out[f"fingerprint_{who}"], out[f"id_{who}"] = names[who], content_id
        # Words in the group, which have a view; that somebody types in it has none.
        time = (1_800_000_000_000).to_bytes(8, "big")
        out[f"words_{who}"] = b"\x01\x11" + content_id + time + group + view
        out[f"types_{who}"] = b"\x12\x01" + content_id + time + group
    return {name: value.hex() for name, value in out.items()}


def draw() -> dict[str, Any]:
    """A script with everything drawn anew."""
    script: dict[str, Any] = {who: os.urandom(64).hex() for who in WHO}
    script |= {"group": os.urandom(16).hex(), "drawn": os.urandom(8).hex(), "signatures": []}
    former = bytes(32)
    for number, (_, _, _, signer) in enumerate(STEPS):
        body = unsigned(script, number, former)
        script["signatures"].append(sign(seeds_of(script)[signer], body, LABEL).hex())
        former = sha256(LABEL + body)
    return script


def main() -> None:
    """Print a new set of vectors."""
    script = draw()
    steps = [dict(zip(("admin", "name", "members", "signer"), step, strict=True)) for step in STEPS]
    made = {"steps": steps, "script": script, "values": play(script)}
    sys.stdout.write(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
