"""A hop's frame: what it hides, what it proves, and what is no frame."""

import os

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.base.secret import Secret
from bellwire.network.errors import Malformed, MessageRefused, NotAuthentic
from bellwire.network.hop import (
    MAX_FRAME_BYTES,
    MAX_SHARE_BYTES,
    LinkKey,
    ShareHeader,
    key_bytes,
    read_frame,
    seal_share,
    xor,
)

HEADER = ShareHeader(b"t" * 16, 1, ("a", "m", "b"), 1)
SHARE = Secret(bytes(range(100)))


def link_key(share: Secret = SHARE) -> LinkKey:
    return LinkKey(os.urandom(32), Secret(os.urandom(key_bytes(len(share)))))


def test_a_frame_opens_with_the_links_key_alone() -> None:
    key = link_key()
    frame = read_frame(seal_share(HEADER, SHARE, key))
    assert (frame.header, frame.ids, frame.key_bytes) == (HEADER, key.ids, len(key.key))
    assert frame.open_share(key.key) == SHARE
    with pytest.raises(NotAuthentic):
        frame.open_share(link_key().key)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_frame_that_is_changed_anywhere_gives_nothing(at: float, flip: int) -> None:
    key = link_key()
    data = bytearray(seal_share(HEADER, SHARE, key))
    data[int(at * len(data))] ^= flip
    with pytest.raises(MessageRefused):
        read_frame(bytes(data)).open_share(key.key)


def test_what_crosses_is_the_share_under_the_pad_and_says_nothing_of_it() -> None:
    key = link_key()
    stream = key.key.reveal()[32:]
    assert xor(SHARE.reveal(), stream) in seal_share(HEADER, SHARE, key)
    # Every other share of the length fits the same ciphertext, under another pad.
    other = bytes(reversed(SHARE.reveal()))
    fitting = xor(xor(SHARE.reveal(), stream), other)
    assert xor(fitting, xor(SHARE.reveal(), stream)) == other


def test_the_header_of_the_next_hop_moves_on_by_one() -> None:
    assert (HEADER.sender, HEADER.receiver, HEADER.last) == ("a", "m", False)
    after = HEADER.forward()
    assert (after.sender, after.receiver, after.last) == ("m", "b", True)


def packed(told: object, **changes: object) -> bytes:
    fields: dict[str, object] = {
        "version": 1,
        "header": msgspec.msgpack.encode(told),
        "ids": bytes(16),
        "sealed": bytes(60),
        "tag": bytes(16),
    }
    return msgspec.msgpack.encode(list((fields | changes).values()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 40,
        bytes(MAX_FRAME_BYTES + 1),
        packed(HEADER, version=2),
        packed(HEADER, ids=bytes(17)),
        packed(HEADER, ids=b""),
        packed(HEADER, sealed=bytes(48)),
        packed(HEADER, sealed=bytes(MAX_SHARE_BYTES + 1)),
        packed(HEADER, tag=bytes(15)),
        packed(HEADER, header=b"\x91" * 4000),
        packed((b"t" * 15, 1, ("a", "b"), 1)),
        packed((b"t" * 16, 8, ("a", "b"), 1)),
        packed((b"t" * 16, 1, ("a", "b"), 2)),
        packed((b"t" * 16, 1, ("a", "b"), 0)),
        packed((b"t" * 16, 1, ("a",), 1)),
        packed((b"t" * 16, 1, ("a", "b", "a"), 1)),
        packed((b"t" * 16, 1, ("a", "b c"), 1)),
        packed((b"t" * 16, 1, tuple(f"n{n}" for n in range(34)), 1)),
    ],
)
def test_what_is_no_frame_of_a_loopless_route_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_frame(data)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.binary(max_size=400))
def test_noise_is_no_frame(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_frame(data)


def test_texts_of_two_lengths_have_no_sum() -> None:
    with pytest.raises(ValueError, match="of one length"):
        xor(b"a", b"ab")
