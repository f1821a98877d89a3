"""Entries have one form each; what is not of it, or out of bounds, is refused."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference.ledger import FILE, canonical, entries, known_answers

from bellwire.ledger.entries.codec import MAX_ENTRY_BYTES, decode, encode
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.entries.fields import KEY_BYTES, PublicKey
from bellwire.ledger.entries.model import KINDS, GuardAction, Registration

KNOWN = json.loads(FILE.read_text())
NAMES = sorted(KNOWN["entries"])


def test_the_reference_still_gives_the_known_answers() -> None:
    assert known_answers() == KNOWN


def test_each_kind_has_a_known_answer() -> None:
    assert {each.__struct_config__.tag for each in KINDS} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_known_answers_are_read_and_written(name: str) -> None:
    encoded = KNOWN["entries"][name]["entry"].encode()
    entry = decode(encoded)
    assert entry.__struct_config__.tag == name
    assert encode(entry) == encoded


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_has_no_second_form(name: str) -> None:
    entry = entries()[name]
    encoded = canonical(entry)
    others = [
        json.dumps(entry).encode(),
        json.dumps(entry, sort_keys=True).encode(),
        b" " + encoded,
        encoded + b"\n",
        encoded.replace(b'"v":1,', b'"v":1.0,'),
        encoded.replace(b'"v":1,', b'"v":1,"v":1,'),
        encoded.replace(b'"writer":"site-a"', b'"writer":"site\\u002da"'),
        encoded.replace(b'{"at"', b'{"a":null,"at"'),
        encoded.replace(b'"site-a"}', b'"site-a","zz":0}'),
    ]
    for other in others:
        assert other != encoded
        with pytest.raises(EntryMalformed, match="expected"):
            decode(other)


def test_a_member_that_is_absent_is_not_null() -> None:
    entry = entries()["link-status"]
    del entry["qber"]
    decode(canonical(entry))
    with pytest.raises(EntryMalformed):
        decode(canonical(entry | {"qber": None}))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("registration", {"handle": "Ada"}),
        ("registration", {"handle": "ada\n"}),
        ("registration", {"handle": "x" * 33}),
        ("registration", {"keys": []}),
        ("registration", {"keys": [{"algorithm": "ed25519", "key": "AAAA"}]}),
        ("registration", {"keys": [{"algorithm": "rsa", "key": "AAAA"}]}),
        ("registration", {"verdict": "maybe"}),
        ("registration", {"evidence": "Ada Lovelace"}),
        ("revocation", {"keys": ["0" * 63]}),
        ("revocation", {"keys": ["1" * 64, "0" * 64]}),
        ("revocation", {"keys": ["0" * 64, "0" * 64]}),
        ("revocation", {"reason": "it was stolen by Bob"}),
        ("key-exchange", {"id": "6B1DD3C6-5D4E-4F7A-9C7C-0D5B6A1E2F30"}),
        ("key-exchange", {"parties": ["app-a"]}),
        ("key-exchange", {"parties": ["app-a", "ada@example.org"]}),
        ("key-exchange", {"parties": ["app-a", "#0123"]}),
        ("key-exchange", {"bits": 0}),
        ("key-exchange", {"source": "quantum"}),
        ("key-exchange", {"qber": 0.02}),
        ("key-exchange", {"qber": 1_000_001}),
        ("key-exchange", {"chsh": -4_000_001}),
        ("key-exchange", {"key": "c2VjcmV0"}),
        ("block-rejected", {"reason": ""}),
        ("block-rejected", {"reason": "x" * 201}),
        ("block-rejected", {"reason": "two\nlines"}),
        ("block-rejected", {"reason": "one line\n"}),
        ("link-status", {"status": "red"}),
        ("link-status", {"stale": 0}),
        ("guard-action", {"packets": "drop"}),
        ("guard-action", {"sequence": 0}),
        ("guard-action", {"sequence": 2**53}),
        ("guard-action", {"at": -1}),
        ("guard-action", {"v": 2}),
        ("guard-action", {"kind": "guard"}),
        ("guard-action", {"writer": "../x"}),
        ("guard-action", {"epoch": "00112233445566FF"}),
        ("override", {"operator": "Ada Lovelace"}),
        ("override", {"reason": "maintenance by Ada"}),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(name: str, fields: dict[str, object]) -> None:
    with pytest.raises(EntryMalformed, match="expected"):
        decode(canonical(entries()[name] | fields))


def test_an_entry_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(EntryMalformed, match=f"at most {MAX_ENTRY_BYTES} bytes, got"):
        decode(b" " * (MAX_ENTRY_BYTES + 1))


def test_the_longest_registration_fits() -> None:
    keys = sorted(
        (PublicKey(algorithm, bytes(size)) for algorithm, size in KEY_BYTES.items()),
        key=lambda each: each.algorithm.value,
    )
    longest = Registration(
        v=1,
        at=2**53 - 1,
        writer="w" * 64,
        epoch="f" * 16,
        sequence=2**53 - 1,
        handle="h" * 32,
        keys=tuple(keys),
        verdict="insecure",
        evidence="#" + "f" * 64,
    )
    assert len(encode(longest)) <= MAX_ENTRY_BYTES


def test_what_is_made_in_python_is_checked_when_it_is_written() -> None:
    entry = decode(canonical(entries()["guard-action"]))
    assert isinstance(entry, GuardAction)
    with pytest.raises(EntryMalformed):
        encode(msgspec.structs.replace(entry, reason="a\nb"))


@given(st.binary(max_size=300))
def test_bytes_are_an_entry_or_refused(encoded: bytes) -> None:
    with pytest.raises(EntryMalformed):
        decode(encoded)


@given(st.sampled_from(NAMES), st.data())
def test_a_spoilt_entry_is_another_entry_or_refused(name: str, data: st.DataObject) -> None:
    encoded = bytearray(KNOWN["entries"][name]["entry"].encode())
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        entry = decode(bytes(encoded))
    except EntryMalformed:
        return
    assert encode(entry) == encoded


@pytest.mark.parametrize("text", [b"[" * 8000, b'{"kind":' * 1800, b'"\xff"', b"NaN", b""])
def test_garbage_is_refused(text: bytes) -> None:
    with pytest.raises(EntryMalformed):
        decode(text)


def test_no_member_of_any_entry_has_room_for_a_key() -> None:
    """Public keys have their algorithm's exact length; digests and commitments are hashes."""
    for name, entry in entries().items():
        for member, value in entry.items():
            for secret in ("c2VjcmV0" * 8, "00" * 32, "00" * 16):
                if isinstance(value, str):
                    changed: object = secret
                elif isinstance(value, list):
                    changed = [secret, secret]
                else:
                    continue
                if member == "reason" and name in {"block-rejected", "link-status", "guard-action"}:
                    continue  # the words of a program: searched where they are made
                if (name, member, secret) == ("revocation", "keys", "00" * 32):
                    continue  # the digest of a public key
                if member in {"writer", "node", "link", "guard", "operator", "parties"}:
                    continue  # names, which are configured
                with pytest.raises(EntryMalformed):
                    decode(canonical(entry | {member: changed}))
