"""Fuzz the classical channel for as long as you like: `python tools/fuzz_classical.py --cases 1e6`.

Spoils bodies, planes, parities, whole blocks and frames at random, also under a right MAC. Prints
the seed of each round and stops at the first thing that neither parses nor raises a documented
error, or that leaves two sides with different accepted keys.
"""

import asyncio
import random
import sys
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.distill.test_hostile_peer import SPOILS, honest, spoilt, steps
from tests.distill.test_line import FRAMES, connect
from tests.distill.test_messages import EXAMPLES
from tests.node.rogue import deaf
from tests.simulators.blocks import opening, replacing, session
from tools.fuzz_rounds import Targets, fuzz

from bellwire.base.bits import Bits, PackedBits
from bellwire.base.detections import Protocol, Side
from bellwire.base.limits import MAX_IN_FLIGHT
from bellwire.distill import contact_frames
from bellwire.distill.announcements import decode_plane, encode_plane
from bellwire.distill.cascade import Cascade
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.layout import layout
from bellwire.distill.ldpc import Ldpc
from bellwire.distill.ldpc_frames import MOST_REQUESTS
from bellwire.distill.line import Ended, Frame, Step, Sync
from bellwire.distill.messages import Answered, Supply, decode, encode
from bellwire.distill.verdict import Reason
from bellwire.link.timetags import messages as timetags
from bellwire.node.classical import MAX_WAITING, SESSIONS_IN_FLIGHT
from bellwire.node.material import read_opening

BODIES = [
    *EXAMPLES,
    Answered(7),
    Supply(1, 5, False, 256, ["first", "second"]),
    Supply(1, 5, True, 0, []),
]
TIMES = np.cumsum(np.arange(1, 300, dtype=np.int64))
MATCHING: list[timetags.Hello | timetags.Told | timetags.Found] = [
    timetags.Hello(1, Protocol.BBM92, True, 1_000, 0.0),
    timetags.tell(TIMES),
    timetags.tell(TIMES << 40),
    timetags.Found(np.arange(0, 60, 3, dtype="<u4").tobytes(), more=True),
]
NUMBERS = [0, 1, 2, 7, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 62, (1 << 63) - 1, 1 << 63, -1]


def bodies(rng: random.Random) -> None:
    """A spoilt body decodes, or is malformed."""
    message = rng.choice(BODIES)
    body = rng.choice(SPOILS)(encode(message), rng)
    if isinstance(message, Supply):
        read_opening(body)
    else:
        decode(body, type(message))


def planes(rng: random.Random) -> None:
    """A random plane is one of its size, which says itself again, or is malformed."""
    size = rng.choice([0, 1, 9, 63, 64, 65, 100, 5_000, 1 << 20])
    if rng.random() < 0.5:
        ones = np.random.default_rng(rng.randrange(1 << 32)).random(size) < 10 ** -rng.uniform(0, 4)
        data = encode_plane(PackedBits.of(ones.astype(np.uint8)))
        if rng.random() < 0.9:
            data = rng.choice(SPOILS)(data, rng)
    else:
        data = bytes([rng.choice([0, 1, 2, 3, 255])])
        if rng.random() < 0.5:
            data += rng.choice(NUMBERS[:6]).to_bytes(4, "little") + bytes([rng.randrange(40)])
        data += rng.randbytes(rng.randrange(size // 8 + 20))
    plane = decode_plane(data, size, "plane")
    again = decode_plane(encode_plane(plane), size, "plane")
    assert plane.size == again.size == size
    assert np.array_equal(plane.words, again.words)
    assert plane.to_bytes() == PackedBits.from_bytes(plane.to_bytes(), size).to_bytes()


def matching(rng: random.Random) -> None:
    """A spoilt message of the matching of time tags gives times that rise, or is malformed."""
    message = rng.choice(MATCHING)
    body = rng.choice(SPOILS)(timetags.encode(message), rng)
    found = timetags.decode(body, cast(Any, type(message)))
    rising = np.zeros(0, np.int64)
    if isinstance(found, timetags.Told):
        rising = timetags.told_times(found)
        assert rising.size == found.count
    elif isinstance(found, timetags.Found):
        rising = timetags.numbers_of(found.numbers, TIMES.size)
        assert not rising.size or rising[-1] < TIMES.size
    assert (np.diff(rising) > 0).all()


def contact(rng: random.Random) -> None:
    """A spoilt frame of first contact has the body of its kind, or is refused."""
    kind = rng.choice(list(contact_frames.Kind))
    length = contact_frames.MAX_FRAME if kind is contact_frames.Kind.ANSWER else 64
    frame = contact_frames.header(kind) + rng.randbytes(length - contact_frames.HEADER_BYTES)
    body = contact_frames.split(rng.choice(SPOILS)(frame, rng), kind)
    assert len(body) <= contact_frames.MAX_FRAME


def envelopes(rng: random.Random) -> None:
    """What is no frame, under a right MAC, is malformed; the next frame of the peer passes."""
    lines = connect()
    body = rng.choice(SPOILS)(encode(rng.choice(FRAMES)), rng)
    frame: Frame | None = None
    try:
        frame = lines[Side.BOB].open(lines[Side.ALICE].seal(cast(Any, msgspec.Raw(body))))
    finally:
        assert frame is None or isinstance(frame, Frame)
        assert lines[Side.BOB].open(lines[Side.ALICE].seal(FRAMES[0])) == FRAMES[0]


def parities(rng: random.Random) -> None:
    """A peer whose parities are any bits is found out, or the engine ends within its budget."""
    n = rng.choice([64, 100, 640, 3_000, 70_000])
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    key = PackedBits.of(numbers.integers(0, 2, n, np.uint8))
    estimate = rng.choice([0.0, 0.001, 0.02, 0.11, 0.25, 0.5, 1.0])
    plan = layout(n, estimate)
    limit = 1 if plan is None else plan.max_rounds + 1
    engine = Cascade(
        key,
        (n // 3, n - n // 3),
        estimate,
        numbers.bytes(32),
        corrects=rng.random() < 0.5,
    )
    density = 10 ** -rng.uniform(0, 3)
    said: bytes | None = engine.first()
    while said is not None:
        theirs = bytearray(said)
        size = engine._ours.size
        for place in np.flatnonzero(numbers.random(size) < density):
            theirs[place >> 3] ^= 1 << (place & 7)
        assert engine.leaked_bits <= n
        assert engine.rounds <= limit
        said = engine.receive(bytes(theirs))
    assert engine.corrected.size == n
    assert sum(engine.errors) <= n


def codes(rng: random.Random) -> None:
    """Checks, and what is asked for, spoilt on the way: refused, or the engines end in budget."""
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    n, qber = rng.choice([(12_500, 0.11), (16_001, 0.08), (40_000, 0.02)])
    alice: Bits = numbers.integers(0, 2, n, np.uint8)
    wrong = numbers.random(n) < qber * rng.choice([0, 1, 1, 2, 9])
    bob: Bits = alice ^ np.asarray(wrong, np.uint8)
    seed = numbers.bytes(32)
    one, other = (
        Ldpc(PackedBits.of(key), (n,), qber, seed, corrects=corrects)
        for key, corrects in ((alice, False), (bob, True))
    )
    to_other, to_one = one.first(), other.first()
    while True:
        if rng.random() < 0.3:
            to_other = rng.choice(SPOILS)(to_other or b"\0", rng)
        if rng.random() < 0.3:
            to_one = rng.choice([rng.choice(SPOILS)(to_one or b"\0", rng), b"\0\xff\xff", b"\1"])
        from_one, from_other = one.receive(to_one), other.receive(to_other)
        assert max(one.leaked_bits, other.leaked_bits) <= n
        if from_one is None or from_other is None:
            break
        to_other, to_one = from_one, from_other
    assert one.rounds <= 2 + 2 * MOST_REQUESTS


def frames(rng: random.Random) -> None:
    """A spoilt frame is refused."""
    lines = connect()
    frame = lines[Side.ALICE].seal(rng.choice(FRAMES))
    instead = rng.choice(SPOILS)(frame, rng)
    if instead != frame:
        lines[Side.BOB].open(instead)
        raise AssertionError("a frame that was altered passed")


def blocks(rng: random.Random) -> None:
    """A block with one spoilt message is not accepted by who received it."""
    protocol, side = rng.choice(list(Protocol)), rng.choice(list(Side))
    at = rng.randrange(steps(protocol))
    body = honest(protocol)[side][at]
    instead = rng.choice(SPOILS)(body, rng)
    if instead == body:
        return
    outcome = spoilt(replacing(side, at, lambda _: instead), protocol)
    assert not outcome.reports[side.peer].accepted
    if len(outcome.secrets) == 2:
        assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]


def sessions(rng: random.Random) -> None:
    """A session that hears anything, in any order, asks for what it knows, or ends; once."""
    side = rng.choice(list(Side))
    said = honest(rng.choice(list(Protocol)))[side.peer]
    one = session(side, opening(), seed=1)
    one.start()
    for _ in range(8):
        body = rng.choice([*said[:6], b"", rng.randbytes(30)])
        one.receive(rng.choice([0, 1, *NUMBERS]), body)
    finished = one.finished
    assert bool(one.end(Reason.LOST, "gone")) is not finished
    assert one.finished


def floods(rng: random.Random) -> None:
    """Whatever blocks a peer speaks of, in whatever order, only so many messages wait."""
    asyncio.run(_flood(rng))


async def _flood(rng: random.Random) -> None:
    side = rng.choice(list(Side))
    channel = deaf(side)
    under_way = [(False, 7), (True, 7)]
    blocks = [
        channel._enter(session(side, opening(number=n, probe=p)), None, 0.0) for p, n in under_way
    ]
    try:
        for _ in range(rng.choice([5, 200])):
            probe, number, step = rng.random() < 0.5, rng.choice([6, 7, 8, 9]), rng.choice([0, 1])
            said: list[Frame] = [Step(probe, number, step, rng.randbytes(20))] * 40
            said += [Ended(probe, number, rng.choice(list(Reason)))] * 9
            channel._sort(rng.choice([*said, Sync(1, [])]))
    except MalformedMessage:
        pass
    most = MAX_IN_FLIGHT + SESSIONS_IN_FLIGHT if side is Side.BOB else 0
    assert channel._arrivals.qsize() <= most
    assert all(block.inbox.qsize() <= MAX_WAITING for block in blocks)


TARGETS: Targets = {
    "bodies": (bodies, 100),
    "planes": (planes, 30),
    "matching": (matching, 20),
    "contact": (contact, 20),
    "frames": (frames, 20),
    "envelopes": (envelopes, 20),
    "parities": (parities, 4),
    "codes": (codes, 1),
    "sessions": (sessions, 4),
    "floods": (floods, 1),
    "blocks": (blocks, 1),
}
"""What is fuzzed, and how often in each round: a block takes as long as a hundred bodies."""


if __name__ == "__main__":
    fuzz("Fuzz the classical channel.", TARGETS)
