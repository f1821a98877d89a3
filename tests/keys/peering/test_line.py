"""The line of the peering: without the link's key nothing is said, heard or altered on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.links import MAC_KEY

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys.errors import PeeringBroken
from bellwire.keys.peering.line import HELLO, MAX_FRAME, Line, is_hello
from bellwire.keys.peering.messages import (
    LADDER,
    MAX_MESSAGE,
    MAX_RANGES,
    Agreed,
    Issued,
    Propose,
    Ready,
    Saes,
    Sync,
    decode,
    encode,
)


def lines(of_bob: Secret = MAC_KEY) -> tuple[Line, Line]:
    alice, bob = Line(Side.ALICE, MAC_KEY), Line(Side.BOB, of_bob)
    alice.receive_hello(bob.hello())
    bob.receive_hello(alice.hello())
    return alice, bob


def test_what_one_side_seals_the_other_opens_in_order_in_both_directions() -> None:
    alice, bob = lines()
    for message in (b"", b"one", bytes(MAX_MESSAGE)):
        sealed = alice.seal(message)
        assert len(sealed) <= MAX_FRAME
        assert bob.open(sealed) == message
        assert alice.open(bob.seal(message)) == message


@pytest.mark.parametrize("bit", [0, 7, 30 * 8, -1])
def test_a_frame_that_was_altered_is_not_opened(bit: int) -> None:
    alice, bob = lines()
    sealed = bytearray(alice.seal(b"a message of the peering"))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PeeringBroken):
        bob.open(bytes(sealed))


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 39])
def test_a_frame_that_was_cut_is_not_opened(cut: int) -> None:
    alice, bob = lines()
    with pytest.raises(PeeringBroken):
        bob.open(alice.seal(b"a message of the peering")[:cut])


def test_a_frame_that_was_dropped_repeated_or_turned_back_is_not_opened() -> None:
    alice, bob = lines()
    first, second = alice.seal(b"first"), alice.seal(b"second")
    with pytest.raises(PeeringBroken):
        bob.open(second)
    alice, bob = lines()
    first = alice.seal(b"first")
    bob.open(first)
    with pytest.raises(PeeringBroken):
        bob.open(first)
    with pytest.raises(PeeringBroken):
        alice.open(first)


def test_a_frame_of_another_connection_or_link_is_not_opened() -> None:
    (alice, _), (_, bob) = lines(), lines()
    with pytest.raises(PeeringBroken):
        bob.open(alice.seal(b"hello"))
    alice, stranger = lines(of_bob=Secret(bytes(32)))
    for sender, receiver in ((alice, stranger), (stranger, alice)):
        with pytest.raises(PeeringBroken):
            receiver.open(sender.seal(b"hello"))


@given(frame=st.binary(max_size=2 * HELLO))
def test_only_a_hello_of_this_version_begins_a_line(frame: bytes) -> None:
    with pytest.raises(PeeringBroken, match="version 1"):
        Line(Side.ALICE, MAC_KEY).receive_hello(frame)
    hello = Line(Side.BOB, MAC_KEY).hello()
    assert is_hello(hello)
    assert is_hello(hello.replace(b" 1\n", b" 2\n"))
    assert len(hello) == HELLO


def test_a_line_shows_no_key() -> None:
    assert MAC_KEY.reveal().hex() not in repr(lines()[0].__dict__)


@given(body=st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_decoding_error(body: bytes) -> None:
    try:
        message = decode(body)
    except UNDECODABLE:
        return
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        Ready(-1, 0),
        Ready(2**62 + 1, 0),
        Saes([""]),
        Saes(["x" * 257]),
        Propose(1, "m", ()),
        Propose(1, "m", tuple("s" * 65)),
        Issued(1, [(0, 1)] * (MAX_RANGES + 1), 0, 0),
        Sync(1, "k", 0, 0, 0, 0, [(1, 1)] * (LADDER + 1), False),
        Sync(1, "", 0, 0, 0, 0, [], False),
    ],
)
def test_what_is_out_of_bounds_is_no_message(message: Ready) -> None:
    with pytest.raises(UNDECODABLE):
        decode(encode(message))
    assert decode(encode(Agreed(7))) == Agreed(7)
