"""Frames between two nodes: only the peer's next frame passes, once."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.distill.errors import FrameTampered, MalformedMessage, PeerMismatch
from bellwire.distill.line import (
    MAC_BYTES,
    MAX_PENDING,
    Declined,
    Ended,
    Frame,
    Hello,
    Line,
    Settled,
    Step,
    Sync,
    Wanted,
)
from bellwire.distill.messages import VERSION, encode
from bellwire.distill.verdict import Reason

KEY = Secret(bytes(range(32)))
FRAMES: list[Frame] = [
    Sync(7, [5, 7]),
    Settled([7]),
    Wanted(bytes(16), 8192, 7),
    Declined(bytes(16), Reason.BUSY),
    Step(False, 8, 0, b"body"),
    Step(True, 8, 1, b""),
    Ended(False, 8, Reason.QBER),
]


def nonce(side: Side, connection: int = 0) -> bytes:
    return bytes([connection]) + side.encode().ljust(31, b".")


def connect(keys: dict[Side, Secret] | None = None, connection: int = 0) -> dict[Side, Line]:
    lines = {
        side: Line(side, (keys or {}).get(side, KEY), nonce(side, connection)) for side in Side
    }
    hellos = {side: line.hello() for side, line in lines.items()}
    for side, line in lines.items():
        line.receive_hello(hellos[side.peer])
    return lines


@pytest.mark.parametrize("sender", list(Side))
def test_frames_arrive_as_they_were_sent_in_order(sender: Side) -> None:
    lines = connect()
    for frame in FRAMES:
        assert lines[sender.peer].open(lines[sender].seal(frame)) == frame


def test_a_dropped_frame_is_noticed_at_the_next() -> None:
    lines = connect()
    lines[Side.ALICE].seal(FRAMES[0])
    with pytest.raises(FrameTampered):
        lines[Side.BOB].open(lines[Side.ALICE].seal(FRAMES[1]))


def test_a_repeated_frame_is_refused() -> None:
    lines = connect()
    frame = lines[Side.ALICE].seal(FRAMES[0])
    lines[Side.BOB].open(frame)
    with pytest.raises(FrameTampered):
        lines[Side.BOB].open(frame)


def test_reordered_frames_are_refused() -> None:
    lines = connect()
    lines[Side.ALICE].seal(FRAMES[2])
    second = lines[Side.ALICE].seal(FRAMES[3])
    with pytest.raises(FrameTampered):
        lines[Side.BOB].open(second)


def test_a_reflected_frame_is_refused() -> None:
    lines = connect()
    with pytest.raises(FrameTampered):
        lines[Side.ALICE].open(lines[Side.ALICE].seal(FRAMES[0]))


def test_a_frame_of_an_earlier_connection_is_refused() -> None:
    old = connect(connection=1)[Side.ALICE].seal(FRAMES[0])
    with pytest.raises(FrameTampered):
        connect(connection=2)[Side.BOB].open(old)


def test_another_key_is_refused_at_the_first_frame() -> None:
    lines = connect({Side.ALICE: Secret(bytes(32))})
    with pytest.raises(FrameTampered):
        lines[Side.BOB].open(lines[Side.ALICE].seal(FRAMES[0]))


def test_two_of_a_kind_do_not_talk() -> None:
    alice, mirror = (Line(Side.ALICE, KEY, nonce(Side.ALICE)) for _ in range(2))
    with pytest.raises(PeerMismatch, match="bob"):
        alice.receive_hello(mirror.hello())


def test_another_version_is_named() -> None:
    line = Line(Side.ALICE, KEY, nonce(Side.ALICE))
    with pytest.raises(PeerMismatch, match=f"version {VERSION}"):
        line.receive_hello(encode(Hello(VERSION + 1, Side.BOB, nonce(Side.BOB))))


@pytest.mark.parametrize("frame", [b"", b"\x93", b"GET / HTTP/1.1", bytes(5_000)])
def test_a_first_frame_that_is_no_hello_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedMessage, match="Hello"):
        Line(Side.ALICE, KEY, nonce(Side.ALICE)).receive_hello(frame)


def test_without_hello_there_are_no_frames_and_there_is_one_hello() -> None:
    line = Line(Side.ALICE, KEY, nonce(Side.ALICE))
    with pytest.raises(RuntimeError, match="HELLO"):
        line.seal(FRAMES[0])
    with pytest.raises(RuntimeError, match="HELLO"):
        line.open(bytes(40))
    hello = Line(Side.BOB, KEY, nonce(Side.BOB)).hello()
    line.receive_hello(hello)
    with pytest.raises(RuntimeError, match="already"):
        line.receive_hello(hello)


class Anything(msgspec.Struct, array_like=True, frozen=True, tag="step"):
    """What shares a tag with a step, and nothing else."""

    what: object


@pytest.mark.parametrize(
    "message",
    [
        Anything("x"),
        Step(False, -1, 0, b""),
        Step(False, 1, 1 << 32, b""),
        Step(False, 1 << 63, 0, b""),
        Sync(0, list(range(MAX_PENDING + 1))),
        Ended(False, 1, "tired"),  # type: ignore[arg-type]  # what a peer may not send
    ],
)
def test_an_authentic_frame_that_no_peer_sends_is_malformed(message: Frame) -> None:
    lines = connect()
    with pytest.raises(MalformedMessage, match="frame"):
        lines[Side.BOB].open(lines[Side.ALICE].seal(message))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    at=st.integers(0, 10_000),
    bit=st.integers(0, 7),
    frame=st.sampled_from(FRAMES),
)
def test_a_flipped_bit_is_noticed_wherever_it_is(at: int, bit: int, frame: Frame) -> None:
    lines = connect()
    sealed = bytearray(lines[Side.ALICE].seal(frame))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(FrameTampered):
        lines[Side.BOB].open(bytes(sealed))


def test_thousands_of_random_frames_are_refused() -> None:
    rng = random.Random(3)
    lines = connect()
    for _ in range(3_000):
        with pytest.raises(FrameTampered):
            lines[Side.BOB].open(rng.randbytes(rng.choice([0, 1, MAC_BYTES, 17, 64])))


def test_the_key_does_not_show() -> None:
    assert KEY.reveal().hex() not in repr(vars(Line(Side.ALICE, KEY, bytes(32))))
