import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.base.secret import Secret
from bellwire.crypto.errors import LengthError, TagMismatch
from bellwire.crypto.one_time_mac import TAG_BYTES, forgery_bound, tag, verify_tag

TEXT = b"Cryptographic Forum Research Group"

RFC_8439 = [
    # (clause, r, s, message, tag)
    (
        "2.5.2",
        "85d6be7857556d337f4452fe42d506a8",
        "0103808afb0db2fd4abff6af4149f51b",
        TEXT.hex(),
        "a8061dc1305136c6c22b8baf0c0127a9",
    ),
    ("A.3 #1", "00" * 16, "00" * 16, "00" * 64, "00" * 16),
    ("A.3 #7", "02" + "00" * 15, "00" * 16, "ff" * 16, "03" + "00" * 15),
    ("A.3 #8", "02" + "00" * 15, "ff" * 16, "02" + "00" * 15, "03" + "00" * 15),
    (
        "A.3 #9",
        "01" + "00" * 15,
        "00" * 16,
        "ff" * 16 + "f0" + "ff" * 15 + "11" + "00" * 15,
        "05" + "00" * 15,
    ),
    (
        "A.3 #10",
        "01" + "00" * 15,
        "00" * 16,
        "ff" * 16 + "fb" + "fe" * 15 + "01" * 16,
        "00" * 16,
    ),
    ("A.3 #11", "02" + "00" * 15, "00" * 16, "fd" + "ff" * 15, "fa" + "ff" * 15),
]

keys = st.binary(min_size=16, max_size=16).map(Secret)


def slow_tag(r_bytes: bytes, s: bytes, message: bytes) -> bytes:
    """RFC 8439, 2.5.1, with Python's integers."""
    r = int.from_bytes(r_bytes, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    accumulator = 0
    for at in range(0, len(message), 16):
        block = int.from_bytes(message[at : at + 16] + b"\x01", "little")
        accumulator = (accumulator + block) * r % (2**130 - 5)
    return ((accumulator + int.from_bytes(s, "little")) % 2**128).to_bytes(16, "little")


@pytest.mark.parametrize(("clause", "r", "s", "message", "expected"), RFC_8439)
def test_rfc_8439_agrees(clause: str, r: str, s: str, message: str, expected: str) -> None:
    hash_key, pad = Secret(bytes.fromhex(r)), Secret(bytes.fromhex(s))
    assert tag(hash_key, pad, bytes.fromhex(message)).hex() == expected, clause
    verify_tag(hash_key, pad, bytes.fromhex(message), bytes.fromhex(expected))


@settings(max_examples=100, deadline=None)
@given(hash_key=keys, pad=keys, message=st.binary(max_size=200))
def test_tag_equals_its_slow_twin(hash_key: Secret, pad: Secret, message: bytes) -> None:
    assert tag(hash_key, pad, message) == slow_tag(hash_key.reveal(), pad.reveal(), message)


@settings(max_examples=100, deadline=None)
@given(message=st.binary(max_size=100), where=st.integers(min_value=0))
def test_one_flipped_bit_of_message_or_tag_is_noticed(message: bytes, where: int) -> None:
    hash_key, pad = Secret(bytes(range(16))), Secret(bytes(range(16, 32)))
    both = bytearray(message + tag(hash_key, pad, message))
    bit = where % (8 * len(both))
    both[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(TagMismatch):
        verify_tag(hash_key, pad, bytes(both[:-TAG_BYTES]), bytes(both[-TAG_BYTES:]))


@pytest.mark.parametrize("changed", [b"", TEXT[:-1], TEXT + b"\0"])
def test_another_length_is_noticed(changed: bytes) -> None:
    hash_key, pad = Secret(bytes(range(16))), Secret(bytes(range(16, 32)))
    with pytest.raises(TagMismatch):
        verify_tag(hash_key, pad, changed, tag(hash_key, pad, TEXT))


@pytest.mark.parametrize("length", [0, 15, 17])
def test_keys_and_tags_have_one_length(length: int) -> None:
    good, bad = Secret(bytes(16)), Secret(bytes(length))
    with pytest.raises(LengthError, match="hash key"):
        tag(bad, good, b"")
    with pytest.raises(LengthError, match="pad"):
        tag(good, bad, b"")
    with pytest.raises(LengthError, match="tag"):
        verify_tag(good, good, b"", bytes(length))


def test_forgery_bound_grows_with_each_16_bytes() -> None:
    assert forgery_bound(0) == forgery_bound(16) == 2.0**-103
    assert forgery_bound(17) == 2.0**-102
    assert forgery_bound(16 * 2**20) == 2.0**-83
    with pytest.raises(LengthError):
        forgery_bound(-1)


@settings(max_examples=60, deadline=None)
@given(message=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=4))
def test_a_message_in_pieces_has_the_tag_of_the_whole(message: bytes, cuts: list[int]) -> None:
    key, pad = Secret(bytes(range(16))), Secret(bytes(range(16, 32)))
    ends = [0, *sorted(cuts), len(message)]
    view = memoryview(bytearray(message))
    pieces = [view[start:end] for start, end in itertools.pairwise(ends)]
    assert tag(key, pad, pieces) == tag(key, pad, message)
    verify_tag(key, pad, pieces, tag(key, pad, message))
    with pytest.raises(TagMismatch):
        verify_tag(key, pad, [*pieces, b"x"], tag(key, pad, message))
