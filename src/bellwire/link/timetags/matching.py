"""Two sites agree on coincidences: Bob tells his times, Alice which of them are hers too.

Sans-I/O, one message each way a round (`bellwire.base.matching`). Alice finds Bob's clock in her
own, keeps to it, and answers with the numbers of his events that fall together with one of hers.
Slots number the coincidences of a block. What crosses are times and numbers of events: never a
setting, never an outcome. Bytes: spec/time-tags.md.

Whatever a block covers, coincident or not, it takes from the recording before its half is handed
over: `burn` is durable when it returns.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from bellwire.base.detections import Detections, Half, Side
from bellwire.base.matching import Matching, NotMatched
from bellwire.link.errors import ClocksNotAligned, TagsUsedUp
from bellwire.link.kernels.tags import Times, match
from bellwire.link.timetags.alignment import Alignment, Clock, Search, accidentals
from bellwire.link.timetags.events import EventBuffer, Events, Position
from bellwire.link.timetags.following import Follower
from bellwire.link.timetags.messages import (
    MOST_TOLD,
    VERSION,
    Found,
    Hello,
    Told,
    decode,
    encode,
    malformed,
    numbers_of,
    tell,
    told_times,
)
from bellwire.link.timetags.recording import About

LEAST_TOLD = 1 << 13
MAX_TOLD = 1 << 25
"""Bob's events in one block, whatever becomes of them."""

SEARCHES = 6
"""Messages in a row in which the clocks may fail to align: one side can be a block ahead."""

_PS = 10**12


@dataclass(frozen=True, slots=True)
class Matched:
    """What one block found; public.

    Attributes:
        coincidences: In the block.
        bob_events: Of Bob's that were told.
        alice_events: Of Alice's in the time that the block covers; None at Bob's.
        by_chance: Coincidences expected by chance; None at Bob's.
        clock: Bob's time in Alice's, at the end; None at Bob's.
        alignment: The search, if the block needed one; None at Bob's.
    """

    coincidences: int
    bob_events: int
    alice_events: int | None = None
    by_chance: float | None = None
    clock: Clock | None = None
    alignment: Alignment | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a block is to be matched from.

    Attributes:
        about: The recording.
        events: Its events that are not used.
        pulses: Coincidences of the block at most.
        burn: Takes, durably, how far the block uses the recording.
        told: Called at the end with what was found.
        failed: Called when there is nothing to be found, with the reason.
    """

    about: About
    events: EventBuffer
    pulses: int
    burn: Callable[[Position], None]
    told: Callable[[Matched], None]
    failed: Callable[[NotMatched], None]


Talk = Generator[bytes, bytes, Half]


class TagMatching(Matching):
    """A side's own run, as its recording says whose it is.

    Args:
        stretch: Of this side.
        follower: Alice's knowledge of Bob's clock.
    """

    def __init__(self, stretch: Stretch, follower: Follower) -> None:
        alice = stretch.about.side is Side.ALICE
        self._talk = _Alice(stretch, follower).talk() if alice else _bob(stretch)
        self._failed = stretch.failed
        self._next = next(self._talk)

    def message(self) -> bytes:
        """Our message of this round."""
        return self._next

    def take(self, theirs: bytes) -> Half | None:
        """Take the peer's message; our half if this was the last round."""
        try:
            self._next = self._talk.send(theirs)
        except StopIteration as stop:
            half: Half = stop.value
            return half
        except NotMatched as error:
            self._failed(error)
            raise
        return None


def _bob(stretch: Stretch) -> Talk:
    events, pulses = stretch.events, stretch.pulses
    _agree(stretch.about, (yield encode(_hello(stretch.about))))
    parts: list[Events] = []
    position: Position | None = None
    slots, sent = 0, 0
    while True:
        chunk = events.first(min(max(2 * pulses, LEAST_TOLD), MOST_TOLD, MAX_TOLD - sent))
        size = chunk.times.size
        sent += size
        if (yield encode(tell(chunk.times))):
            malformed("expected an empty message from Alice")
        found = decode((yield b""), Found)
        numbers = numbers_of(found.numbers, size)
        slots += numbers.size
        if slots > pulses:
            malformed(f"expected at most {pulses} coincidences, got more")
        parts.append(chunk.pick(numbers))
        covered = int(numbers[-1]) + 1 if slots == pulses else size
        if covered:
            position = chunk.used_through(covered - 1, stretch.about)
        if found.more and size:
            events.drop(size)
            continue
        if not slots:
            if size:
                raise NotMatched("the other site finds no coincidence, and looks no further")
            raise _used_up("this site's")
        assert position is not None
        stretch.burn(position)
        stretch.told(Matched(slots, sent))
        return _half(parts)


class _Alice:
    """Alice's side of one block."""

    def __init__(self, stretch: Stretch, follower: Follower) -> None:
        self._about, self._events = stretch.about, stretch.events
        self._stretch = stretch
        self._follower = follower
        self._parts: list[Events] = []
        self._position: Position | None = None
        self._alignment: Alignment | None = None
        self._lost: ClocksNotAligned | None = None
        self._slots = self._heard = self._mine = self._failed = 0
        self._chance = 0.0

    def talk(self) -> Talk:
        theirs = _agree(self._about, (yield encode(_hello(self._about))))
        search = self._search(theirs)
        while True:
            times = told_times(decode((yield b""), Told))
            numbers = self._hear(times, search)
            ended = self._events.ended and not self._events.until(0).times.size
            enough = self._slots == self._stretch.pulses or self._heard >= MAX_TOLD
            more = times.size > 0 and not ended and not enough
            if (yield encode(Found(numbers.astype("<u4").tobytes(), more))):
                malformed("expected an empty message from Bob")
            if more:
                continue
            if not self._slots:
                raise self._lost or _used_up("this site's" if ended else "the other site's")
            assert self._position is not None
            self._stretch.burn(self._position)
            self._stretch.told(
                Matched(
                    self._slots,
                    self._heard,
                    self._mine,
                    self._chance,
                    self._follower.clock,
                    self._alignment,
                )
            )
            return _half(self._parts)

    def _search(self, theirs: Hello) -> Search:
        about, ahead = self._about, 0.0
        if about.clock_zero_s and theirs.clock_zero_s:
            # The clock that was started later shows less.
            ahead = theirs.clock_zero_s - about.clock_zero_s
        reach = round(about.search_s * _PS)
        return Search(round(ahead * _PS), reach, about.max_drift_ppm * 1e-6, about.window_ps)

    def _hear(self, times: Times, search: Search) -> Times:
        """Numbers of Bob's events that coincide with one of ours; ours are taken up."""
        self._heard += times.size
        nothing = np.zeros(0, np.int64)
        if not times.size:
            return nothing
        try:
            placed, alignment = self._follower.place(self._events, times, search)
        except ClocksNotAligned as error:
            self._failed += 1
            if self._failed == SEARCHES:
                raise
            self._lost = error
            return nothing
        self._failed, self._lost = 0, None
        self._alignment = alignment or self._alignment
        window_ps, most = search.window_ps, self._stretch.pulses - self._slots
        near = self._events.until(int(placed[-1]) + window_ps)
        first, numbers = np.empty(times.size, np.int64), np.empty(times.size, np.int64)
        found = min(match(near.times, placed, window_ps // 2, first, numbers), most)
        first, numbers = first[:found], numbers[:found]
        self._slots += found
        self._parts.append(near.pick(first))
        end = int(placed[-1]) + window_ps // 2
        if found == most:
            end = int(near.times[first[-1]])
            placed = placed[: int(numbers[-1]) + 1]
        self._chance += accidentals(near.times, placed, window_ps)
        passed = int(np.searchsorted(near.times, end, "right"))
        if passed:
            self._position = near.used_through(passed - 1, self._about)
        self._mine += passed
        self._events.drop(passed)
        return numbers


def _used_up(whose: str) -> TagsUsedUp:
    return TagsUsedUp(f"{whose} recording has no tags left that were not used")


def _half(parts: list[Events]) -> Detections:
    held = Events.joined(parts)
    return Detections(np.arange(held.times.size, dtype=np.int64), held.settings, held.outcomes)


def _hello(about: About) -> Hello:
    return Hello(VERSION, about.protocol, about.generated, about.window_ps, about.clock_zero_s)


def _agree(about: About, body: bytes) -> Hello:
    """The peer's HELLO, if its recording goes with ours."""
    theirs, ours = decode(body, Hello), _hello(about)
    for name in ("version", "protocol", "generated", "window_ps"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        if mine != other:
            raise NotMatched(f"the two recordings do not go together: {name} {mine} and {other}")
    return theirs
