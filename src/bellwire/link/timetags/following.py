"""Alice keeps to Bob's clock: aligned once, then followed, searched anew when it is lost."""

import math

import numpy as np

from bellwire.link.kernels.tags import Times, match
from bellwire.link.timetags.alignment import (
    ENOUGH,
    FALSE_ALARM,
    LEAST_CHANCE,
    Alignment,
    Clock,
    Search,
    accidentals,
    align,
    followed,
    log_tail,
)
from bellwire.link.timetags.events import EventBuffer
from bellwire.link.timetags.messages import MOST_TOLD

LEAST_SEGMENT = 1 << 12
"""Bob's events after which the clock is looked at anew, at least."""


class Follower:
    """Alice's knowledge of Bob's clock; it outlives a block.

    Attributes:
        clock: Bob's time in Alice's; None until the clocks were aligned.
    """

    def __init__(self) -> None:
        self.clock: Clock | None = None
        self._segment = LEAST_SEGMENT

    def place(
        self, events: EventBuffer, bob: Times, search: Search
    ) -> tuple[Times, Alignment | None]:
        """Bob's times in Alice's clock, and the search, if one was needed.

        Args:
            events: Alice's, from before these times on.
            bob: (n,) times of Bob's clock, n > 0.
            search: Where to look when nothing is known, or what is known finds nothing.

        Raises:
            ClocksNotAligned: nothing was found.
        """
        if self.clock is not None:
            placed, last = self._follow(events, bob, self.clock, search.window_ps)
            if _coincide(events, placed, search.window_ps):
                self.clock = last
                return placed, None
        found = align(events.until(search.needs_until(bob)).times, bob, search)
        share = (found.coincidences - found.background) / found.events
        self._segment = min(max(LEAST_SEGMENT, math.ceil(2 * ENOUGH / share)), MOST_TOLD)
        placed, self.clock = self._follow(events, bob, found.clock, search.window_ps)
        return placed, found

    def _follow(
        self, events: EventBuffer, bob: Times, clock: Clock, window_ps: int
    ) -> tuple[Times, Clock]:
        parts = []
        for start in range(0, bob.size, self._segment):
            piece = bob[start : start + self._segment]
            low, high = clock(piece[[0, -1]]) + np.array([-4, 4]) * window_ps
            near = events.until(int(high)).times
            near = near[slice(*np.searchsorted(near, [low, high]))]
            clock = followed(near, piece, clock, window_ps)
            parts.append(clock(piece))
        # Each stretch has a line of its own; where two meet, times must not fall.
        return np.maximum.accumulate(np.concatenate(parts)), clock


def _coincide(events: EventBuffer, placed: Times, window_ps: int) -> bool:
    """Whether there are more coincidences than chance makes."""
    near = events.until(int(placed[-1]) + window_ps).times
    size = min(near.size, placed.size)
    count = match(near, placed, window_ps // 2, np.empty(size, np.int64), np.empty(size, np.int64))
    mean = max(accidentals(near, placed, window_ps), LEAST_CHANCE)
    return log_tail(count, mean) < math.log(FALSE_ALARM)
