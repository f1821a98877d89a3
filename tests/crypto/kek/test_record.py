"""The record of a wrapped secret: one line that opens whole, or not at all."""

import json

import pytest

from bellwire.base.secret import Secret
from bellwire.crypto.kek.errors import KekRefused
from bellwire.crypto.kek.record import (
    MAX_MEMORY_KIB,
    FileKek,
    Form,
    Kek,
    KeyringKek,
    PassphraseKek,
    Record,
    Replaced,
    TokenKek,
    encode,
    unwrap,
)
from bellwire.crypto.kek.record import (
    decode as decode_as,
)
from bellwire.crypto.kek.record import (
    wrap as wrap_as,
)

KEK = Secret(bytes(range(32)))
DATA_KEY = Secret(bytes(range(100, 132)))
ID = "00112233445566778899aabbccddeeff"
KEKS: list[Kek] = [
    FileKek(ID),
    PassphraseKek(ID, 8192, 1, 1),
    KeyringKek(ID),
    TokenKek(ID, "ab" * 40),
]

FORM: Form = "bellwire wrapped data key 1"
OTHER: Form = "bellwire wrapped identity 1"


def wrap(bare: Secret, secret: Secret, kek: Kek, replaces: Replaced | None = None) -> Record:
    return wrap_as(bare, secret, kek, FORM, replaces)


def decode(content: bytes) -> Record:
    return decode_as(content, FORM)


@pytest.mark.parametrize("kek", KEKS)
@pytest.mark.parametrize("replaces", [None, Replaced("file", ID)])
def test_a_record_opens_after_it_was_written(kek: Kek, replaces: Replaced | None) -> None:
    content = encode(wrap(DATA_KEY, KEK, kek, replaces))
    record = decode(content)
    assert (record.kek, record.replaces) == (kek, replaces)
    assert unwrap(record, KEK) == DATA_KEY
    assert DATA_KEY.reveal() not in content
    assert DATA_KEY.reveal().hex().encode() not in content
    assert content.count(b"\n") == 1


@pytest.mark.parametrize("kek", KEKS)
def test_no_byte_of_a_record_can_be_changed(kek: Kek) -> None:
    content = encode(wrap(DATA_KEY, KEK, kek, Replaced("keyring", ID)))
    for at in range(len(content)):
        for other in {content[at] ^ 1, content[at] ^ 0x20, ord("0"), ord("a"), ord(" ")}:
            if other == content[at]:
                continue
            changed = content[:at] + bytes([other]) + content[at + 1 :]
            with pytest.raises(KekRefused):
                unwrap(decode(changed), KEK)


def test_no_byte_of_a_record_can_be_added_or_left_out() -> None:
    content = encode(wrap(DATA_KEY, KEK, FileKek(ID)))
    for at in range(len(content) + 1):
        for changed in (content[:at], content[:at] + b" " + content[at:], content[:at] + b"00"):
            if changed != content:
                with pytest.raises(KekRefused):
                    unwrap(decode(changed), KEK)


def test_another_key_does_not_open_it_and_is_told_the_same_as_of_a_changed_record() -> None:
    record = wrap(DATA_KEY, KEK, FileKek(ID))
    with pytest.raises(KekRefused) as wrong:
        unwrap(record, Secret(bytes(32)))
    sealed = record.sealed
    changed = encode(record).replace(
        sealed.encode(), (sealed[:-1] + ("0" if sealed[-1] != "0" else "1")).encode()
    )
    with pytest.raises(KekRefused) as spoilt:
        unwrap(decode(changed), KEK)
    assert str(wrong.value) == str(spoilt.value)
    assert wrong.value.hint == spoilt.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory_kib", 0),
        ("memory_kib", MAX_MEMORY_KIB + 1),
        ("memory_kib", 2**40),
        ("memory_kib", 8192.5),
        ("memory_kib", "8192"),
        ("iterations", 0),
        ("iterations", 2**31),
        ("iterations", -1),
        ("lanes", 0),
        ("lanes", 10**30),
        ("lanes", True),
        ("salt", ""),
        ("salt", "00" * 15),
        ("salt", "0g" * 16),
        ("salt", "AA" * 16),
        ("pepper", 1),
    ],
)
def test_parameters_out_of_bounds_are_refused_before_anything_is_computed(
    name: str, value: object
) -> None:
    document = json.loads(encode(wrap(DATA_KEY, KEK, PassphraseKek(ID, 8192, 1, 1))))
    document["kek"][name] = value
    with pytest.raises(KekRefused, match="did not write"):
        decode(json.dumps(document, separators=(",", ":")).encode() + b"\n")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"{}", b"null", b"[" * 4000, bytes(range(256)), b'{"format":1}\n', b"9" * 4000],
)
def test_what_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(KekRefused, match="did not write"):
        decode(content)


def test_a_record_of_one_form_does_not_serve_as_another() -> None:
    record = wrap(DATA_KEY, KEK, FileKek(ID))
    with pytest.raises(KekRefused, match="did not write"):
        decode_as(encode(record), OTHER)
    renamed = encode(record).replace(FORM.encode(), OTHER.encode())
    with pytest.raises(KekRefused, match="belong together"):
        unwrap(decode_as(renamed, OTHER), KEK)


@pytest.mark.parametrize("size", [32, 33, 100, 1024])
def test_a_secret_of_any_permitted_length_comes_back(size: int) -> None:
    secret = Secret(bytes(index % 251 for index in range(size)))
    record = wrap_as(secret, KEK, FileKek(ID), OTHER)
    assert unwrap(decode_as(encode(record), OTHER), KEK) == secret
