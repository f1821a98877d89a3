"""No secret of a full demo is anywhere outside the memory of its processes.

Every process of a real demo (link, both nodes, device, cloud, and the demo itself) runs with a
recorder (`recorder/sitecustomize.py`) that writes down

- every `Secret` ever made: a block's bits as amplification gives them, tag pads and keys, keys that
  the delivery socket hands out, shared secrets, chaining and session keys;
- every output of `hkdf` and every key given to AES-GCM: session and at-rest keys, whoever holds
  them in plain bytes;
- everything that a node's store seals or opens: units of key, pads, the pre-placed key;
- seed and key of every stream: both nodes' choice seeds, the link's noise.

All key material comes into being at one of these places or is cut from what did; pieces are looked
for, not wholes: each run of 16 bytes that starts at a multiple of 16 in a secret, at any place of
any file, as raw bytes, hexadecimal, base64 or Python's repr. Left out are the secrets that are
files by design: the two key-encryption keys, the two identities and the ticket of the device's last
session, which must be nowhere else.
"""

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.demo.runs import Told

PIECE = 16
BY_DESIGN = (
    "demo/node-a/kek-*",
    "demo/node-b/kek-*",
    "demo/cloud/identity.seed",
    "demo/device/identity.seed",
    "demo/device/ticket",
)
SPELLINGS: list[Callable[[bytes], bytes]] = [
    bytes,
    lambda secret: secret.hex().encode(),
    lambda secret: secret.hex().upper().encode(),
    base64.b64encode,
    base64.urlsafe_b64encode,
    lambda secret: repr(secret).encode(),
]


def pieces(secret: bytes) -> Iterator[bytes]:
    for at in range(0, len(secret) - PIECE + 1, PIECE):
        piece = secret[at : at + PIECE]
        if len(set(piece)) > 4:  # the placeholder for "no key" is zeros
            yield piece


def forms(data: bytes) -> Iterator[bytes]:
    """The data itself, and what it says in hexadecimal, base64 and escapes."""
    yield data
    for run in re.findall(rb"[0-9a-fA-F]{32,}", data):
        for start in (0, 1):
            text = run[start:]
            yield bytes.fromhex(text[: len(text) & ~1].decode())
    for run in re.findall(rb"[A-Za-z0-9+/_-]{22,}", data):
        plain = run.translate(bytes.maketrans(b"-_", b"+/"))
        for start in range(4):
            text = plain[start:]
            text = text[:-1] if len(text) % 4 == 1 else text
            yield base64.b64decode(text + b"=" * (-len(text) % 4))
    if b"\\" in data:
        unescaped = re.sub(
            rb"\\(x[0-9a-fA-F]{2}|[\\'\"nrt])",
            lambda found: _unescape(found[1]),
            data,
        )
        yield unescaped


def _unescape(code: bytes) -> bytes:
    if code.startswith(b"x"):
        return bytes.fromhex(code[1:].decode())
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t"}.get(code, code)


def shows(data: bytes, wanted: dict[bytes, str]) -> set[str]:
    """Where the secrets were made of which `data` has a piece."""
    return {
        wanted[form[at : at + PIECE]]
        for form in forms(data)
        for at in range(len(form) - PIECE + 1)
        if form[at : at + PIECE] in wanted
    }


def homes(told: Told) -> list[Path]:
    """Where the secrets are that are files by design: one file each."""
    found = [list(told.place.state.glob(name)) for name in BY_DESIGN]
    assert [len(each) for each in found] == [1] * len(BY_DESIGN)
    return [path for each in found for path in each]


def secret_in(home: Path) -> bytes:
    """The secret of a file that is one by design: all of it, but of a ticket what is no name."""
    data = home.read_bytes()
    if home.name != "ticket":
        return data
    return data[:48]


@pytest.fixture(scope="module")
def recorded(told: Told) -> dict[bytes, str]:
    """Piece of a secret → where it was made, without what is a file by design."""
    found: dict[bytes, str] = {}
    for file in told.secrets.iterdir():
        for line in file.read_text().splitlines():
            where, _, data = line.partition(" ")
            found |= dict.fromkeys(pieces(bytes.fromhex(data)), where)
    for home in homes(told):
        for piece in pieces(secret_in(home)):
            found.pop(piece, None)
    return found


def test_the_recorder_saw_every_process_and_every_kind_of_secret(
    told: Told, recorded: dict[bytes, str]
) -> None:
    for process in told.document["processes"]:
        assert (told.secrets / str(process["pid"])).stat().st_size > 0, process
    bits = sum(stage["secret_bits"] for stage in told.document["stages"])
    kinds = Counter(recorded.values())
    assert set(kinds) == {"secret", "kdf", "aead-key", "stored", "stream-seed", "stream-key"}
    assert (kinds["secret"] + kinds["stored"]) * 8 * PIECE > bits


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_secret_that_leaks_in_any_spelling_would_be_seen(
    recorded: dict[bytes, str], spell: Callable[[bytes], bytes]
) -> None:
    piece, where = next(iter(recorded.items()))
    assert shows(b"xyz " + spell(piece) + b" or so", recorded) == {where}


def test_no_secret_is_in_any_file_of_the_state_or_report_or_in_what_was_printed(
    told: Told, recorded: dict[bytes, str]
) -> None:
    assert shows(told.out.encode() + told.err.encode(), recorded) == set()
    looked = 0
    for folder in (told.place.state, told.place.report, *told.place.outside):
        for path in folder.rglob("*"):
            if path.is_file():
                looked += 1
                assert shows(path.read_bytes(), recorded) == set(), path
    assert looked > 20


def test_secrets_that_are_files_by_design_are_in_no_other_file(told: Told) -> None:
    for home in homes(told):
        own = dict.fromkeys(pieces(secret_in(home)), home.name)
        assert own
        for path in (*told.place.state.rglob("*"), *told.place.report.rglob("*")):
            if path.is_file() and path != home:
                assert shows(path.read_bytes(), own) == set(), path
