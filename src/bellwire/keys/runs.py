"""Which units a side hands out next: runs of outgoing units, in the order in which they came."""

from collections import deque
from dataclasses import dataclass
from itertools import chain

from bellwire.database.cursor import Cursor
from bellwire.keys import segments

LOADED_SEGMENTS = 64
"""Outgoing segments of which memory knows at a time: more are read when these are handed out."""

KEPT_TAILS = 64
"""Ends of runs too short for a key of the time, kept for shorter ones until the next start."""


@dataclass(slots=True)
class Run:
    """Outgoing units that follow each other, `first` to `stop`."""

    first: int
    stop: int

    @property
    def units(self) -> int:
        """How many."""
        return self.stop - self.first


def joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, with those that follow each other made one."""
    if len(spans) == 1:
        return spans
    together: list[tuple[int, int]] = []
    for first, stop in spans:
        if together and together[-1][1] == first:
            together[-1] = together[-1][0], stop
        else:
            together.append((first, stop))
    return together


class Runs:
    """Outgoing units in memory, the oldest first; the disk has the marks."""

    def __init__(self) -> None:
        self._runs: deque[Run] = deque()
        self._tails: deque[Run] = deque()
        self._loaded = 0
        self.forgotten = 0
        """Units of tails that are kept no longer."""

    def __iter__(self) -> "chain[Run]":
        return chain(self._tails, self._runs)

    @property
    def longest(self) -> int:
        """Units of the longest run that memory knows of."""
        return max((run.units for run in self), default=0)

    def choose(
        self, cursor: Cursor, number: int, units: int, stop: int
    ) -> tuple[list[tuple[int, int]], int]:
        """Ranges of whole keys, the oldest first; nothing is taken yet.

        Args:
            cursor: In a transaction, to know of more.
            number: How many keys.
            units: Of each.
            stop: Number of the unit behind the last one that may be handed out.

        Returns:
            The ranges, and how many keys are missing.
        """
        while True:
            missing, chosen = number, []
            for run in self:
                keys = min(missing, run.units // units)
                if keys:
                    chosen.append((run.first, run.first + keys * units))
                    missing -= keys
                if not missing:
                    return chosen, 0
            if not self._load(cursor, stop):
                return chosen, missing

    def give_up(self, first: int, stop: int) -> int:
        """Take a range of `choose` off the runs.

        Returns:
            Units that can be handed out no more: these, and a tail that is kept no longer.
        """
        given = stop - first
        for tail in self._tails:
            if tail.first == first:
                tail.first = stop
                if not tail.units:
                    self._tails.remove(tail)
                return given
        while self._runs[0].first != first:
            if len(self._tails) == KEPT_TAILS:
                units = self._tails.popleft().units
                self.forgotten += units
                given += units
            self._tails.append(self._runs.popleft())  # too short, or `choose` had begun with it
        self._runs[0].first = stop
        if not self._runs[0].units:
            self._runs.popleft()
        return given

    def _load(self, cursor: Cursor, stop: int) -> bool:
        """Know of more outgoing segments; False if there are none before `stop`."""
        rows = segments.to_take(cursor, self._loaded, stop, LOADED_SEGMENTS)
        for first, units, taken in rows:
            if self._runs and self._runs[-1].stop == first + taken:
                self._runs[-1].stop = first + units
            else:
                self._runs.append(Run(first + taken, first + units))
            self._loaded = first + units
        return bool(rows)
