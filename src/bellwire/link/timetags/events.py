"""A site's events: tags with their delays taken off, those of one window merged into one.

Two detectors of a site that click within a window have seen one event, or light of two pairs:
nobody can tell. The event counts, and one of its tags, drawn at random with the site's own seed,
says setting and outcome. To leave such events out would let Eve choose, by sending much light,
which events count; a random outcome costs her errors (squashing, as at the simulated detectors).
Events of a site are therefore further apart than the window, and a coincidence is never ambiguous.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bellwire.base.detections import Outcomes, Settings
from bellwire.crypto.stream import KeyStream
from bellwire.link.kernels.tags import Times, group
from bellwire.link.timetags.reader import BEGINNING, CHUNK_RECORDS, Place, Tags, read_tags
from bellwire.link.timetags.recording import About, Recording


@dataclass(frozen=True, slots=True)
class Position:
    """How far a recording has been used: for good, so that no tag serves twice.

    Attributes:
        place: A record; all before it are used.
        after_ps: Events up to this time, delays taken off, are used as well.
    """

    place: Place = BEGINNING
    after_ps: int = -(1 << 62)


class Events(NamedTuple):
    """Consecutive events of a site.

    Attributes:
        times: (n,) int64, ps of the site's clock; they rise by more than the window.
        settings: (n,) uint8.
        outcomes: (n,) uint8 of 0/1. Secret.
        bytes: (n,) int64, where the record of the first tag begins.
        records: (n,) int64, records before it.
    """

    times: Times
    settings: Settings
    outcomes: Outcomes
    bytes: Times
    records: Times

    def __repr__(self) -> str:
        return f"Events({self.times.size} events)"

    @classmethod
    def none(cls) -> "Events":
        """No events."""
        number, small = np.zeros(0, np.int64), np.zeros(0, np.uint8)
        return cls(number, small, small, number, number)

    @classmethod
    def joined(cls, parts: list["Events"]) -> "Events":
        """Parts in order, as one."""
        return cls(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def cut(self, start: int, end: int | None = None) -> "Events":
        """Those from `start` to before `end`."""
        piece = slice(start, end)
        return Events(
            self.times[piece],
            self.settings[piece],
            self.outcomes[piece],
            self.bytes[piece],
            self.records[piece],
        )

    def pick(self, numbers: Times) -> "Events":
        """Those with the given numbers."""
        return Events(
            self.times[numbers],
            self.settings[numbers],
            self.outcomes[numbers],
            self.bytes[numbers],
            self.records[numbers],
        )

    def used_through(self, i: int, about: About) -> Position:
        """The position once event i is used.

        With delays a later record may hold an earlier time: the place then is that of an event so
        much earlier that all records before it are of used events. Nothing that begins within the
        window of event i is an event of its own, so none of its tags comes again.
        """
        safe = i
        if about.spread_ps:
            safe = int(np.searchsorted(self.times, self.times[i] - about.spread_ps, "right")) - 1
        # None so early among these: reading from the beginning is slow, and right.
        place = Place(int(self.bytes[safe]), int(self.records[safe])) if safe >= 0 else BEGINNING
        return Position(place, int(self.times[i]) + about.window_ps)


def read_events(
    recording: Recording, position: Position, seed: bytes, chunk: int = CHUNK_RECORDS
) -> Iterator[Events]:
    """A recording's events from a position on.

    Args:
        recording: The folder.
        position: What is used already.
        seed: 32 bytes, this side's alone: chooses among the tags of an event. Secret.
        chunk: Records at a time; changes memory, never the result.

    Raises:
        TagsUnreadable: as `read_tags`.
    """
    about = recording.about
    highest = max(each.number for each in about.channels) + 1
    delays = np.zeros(highest, np.int64)
    settings, outcomes = np.zeros(highest, np.uint8), np.zeros(highest, np.uint8)
    for each in about.channels:
        delays[each.number] = each.delay_ps
        settings[each.number], outcomes[each.number] = each.setting, each.outcome
    coins = KeyStream(seed, "link timetags merge")
    number = 0
    for tags, size, starts in _grouped(recording, position.place, delays, chunk):
        picked = _picked(starts, size, coins, number)
        number += starts.size
        who = tags.channels[picked]
        events = Events(
            tags.times[starts],
            settings[who],
            outcomes[who],
            tags.bytes[starts],
            tags.records[starts],
        )
        yield events.cut(int(np.searchsorted(events.times, position.after_ps, "right")))


def _grouped(
    recording: Recording, place: Place, delays: Times, chunk: int
) -> Iterator[tuple[Tags, int, Times]]:
    """Tags by corrected time, how many of them make whole events, and where those begin."""
    window, spread = recording.about.window_ps, recording.about.spread_ps
    kept: Tags | None = None
    for raw in read_tags(recording, place, chunk):
        if not raw.times.size:
            continue
        latest = int(raw.times[-1])
        tags = raw._replace(times=raw.times - delays[raw.channels])
        if kept is not None:
            tags = Tags(*(np.concatenate(pair) for pair in zip(kept, tags, strict=True)))  # type: ignore[arg-type]
        if spread:
            order = np.argsort(tags.times, kind="stable")
            tags = Tags(
                tags.times[order], tags.channels[order], tags.bytes[order], tags.records[order]
            )
        starts = np.empty(tags.times.size, np.int64)
        starts = starts[: group(tags.times, window, starts)]
        # An event is whole when no tag to come can fall within its window.
        whole = int(np.searchsorted(tags.times[starts], latest - spread - window, "left"))
        end = int(starts[whole]) if whole < starts.size else tags.times.size
        kept = Tags(*(values[end:] for values in tags))  # type: ignore[arg-type]
        if whole:
            yield tags, end, starts[:whole]
    if kept is not None and kept.times.size:
        starts = np.empty(kept.times.size, np.int64)
        yield kept, kept.times.size, starts[: group(kept.times, window, starts)]


def _picked(starts: Times, size: int, coins: KeyStream, number: int) -> Times:
    """(events,) index of the tag that speaks for each event: its only one, or one drawn."""
    sizes = np.diff(starts, append=size)
    several = np.flatnonzero(sizes > 1)
    picked = starts.copy()
    if several.size:
        words = coins.words(number, starts.size)[several].astype(np.uint64)
        picked[several] += ((words * sizes[several].astype(np.uint64)) >> np.uint64(32)).astype(
            np.int64
        )
    return picked


class EventBuffer:
    """Events read ahead as far as they are asked for, and forgotten from the front.

    Args:
        source: Consecutive events.
    """

    def __init__(self, source: Iterator[Events]) -> None:
        self._source = source
        self._parts: list[Events] = []
        self._size = 0
        self.ended = False

    def until(self, time_ps: int) -> Events:
        """All events held, read on until one is later than `time_ps` or there are no more."""
        while not self.ended and not (self._parts and self._parts[-1].times[-1] > time_ps):
            self._more()
        return self._joined()

    def first(self, count: int) -> Events:
        """The first `count` events, fewer if there are no more."""
        while not self.ended and self._size < count:
            self._more()
        return self._joined().cut(0, count)

    def drop(self, count: int) -> None:
        """Forget the first `count` of the events held."""
        rest = self._joined().cut(count)
        self._parts = [rest] if rest.times.size else []
        self._size = rest.times.size

    def _more(self) -> None:
        part = next(self._source, None)
        if part is None:
            self.ended = True
        elif part.times.size:
            self._parts.append(part)
            self._size += part.times.size

    def _joined(self) -> Events:
        if len(self._parts) > 1:
            self._parts = [Events.joined(self._parts)]
        return self._parts[0] if self._parts else Events.none()
