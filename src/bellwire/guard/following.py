"""A guard follows a relay that moves, by what the relay has signed.

What always holds:

- Only a notice that counts (`channel.places`) changes what is guarded, and it is in the guard's
  folder before it is followed. Whoever lies, repeats, holds back or hangs changes nothing, and what
  is known goes on to hold, also when the notice that said it has expired.
- What a relay has left passes for `grace_s` more, with the lease that all has, and is then fenced,
  until the relay is at home again. A lockdown has no grace, and nothing passes in it.

`now` is in seconds since the epoch.

Source: spec/places.md, 3.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta

from bellwire.base.clock import Clock
from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import BellwireError
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.channel import places
from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.places import MAX_PLACES, Level, Notice, Place
from bellwire.guard.errors import PlacesUnusable
from bellwire.guard.notices import Source
from bellwire.guard.scope import Scope, Spot, Spots

MAX_LEFT: Final = 96
"""Places that stay fenced at most; whichever was left longest ago is forgotten first."""

_MAX_FILE: Final = 1 << 16

log = structlog.get_logger("guard")

_Url = Annotated[str, Meta(max_length=300)]


class Followed(msgspec.Struct, frozen=True):
    """Where a guard knows the relay to be, and whether it hears of it.

    Attributes:
        level: How far the relay has moved, by name; None while no notice was read.
        places: Where it is, as its clients are told.
        sequence: Of its last notice; 0: there was none.
        problem: Why nothing newer is known, in words; empty if nothing is wrong.
    """

    level: str | None
    places: tuple[str, ...]
    sequence: int
    problem: str

    @property
    def is_locked(self) -> bool:
        """Whether the relay wants nothing to pass."""
        return self.level == Level.LOCKDOWN.name.lower()


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a relay; places are URLs.

    Attributes:
        sequence: Of its last notice.
        level: How far it has moved.
        places: Where it is.
        expires_at: Of the notice, seconds since the epoch.
        moved_at: When the guard read of the last move, seconds since the epoch.
        leaving: Where it was before that, for the grace.
        leaving_home: Whether that is what was configured, too.
        left: Where it was since it was at home, latest first.
    """

    sequence: Annotated[int, Meta(ge=1)]
    level: Level
    places: Annotated[tuple[_Url, ...], Meta(max_length=MAX_PLACES)]
    expires_at: int
    moved_at: float
    leaving: Annotated[tuple[_Url, ...], Meta(max_length=3 * MAX_PLACES)]
    leaving_home: bool
    left: Annotated[tuple[_Url, ...], Meta(max_length=MAX_LEFT)]


def after(kept: Kept | None, notice: Notice, *, now: float, grace_s: float) -> Kept:
    """What is kept once a notice was read that counts.

    Args:
        kept: Before.
        notice: It.
        now: Seconds since the epoch.
        grace_s: How long after a move the places before it still pass.
    """
    found = tuple(each.url for each in notice.places)
    if kept is not None and (kept.level, kept.places) == (notice.level, found):
        return msgspec.structs.replace(kept, sequence=notice.sequence, expires_at=notice.expires_at)
    leaving, leaving_home = (kept.places, kept.level is Level.HOME) if kept else ((), True)
    if kept is not None and _in_grace(kept, now, grace_s):
        leaving, leaving_home = (*leaving, *kept.leaving), leaving_home or kept.leaving_home
    before = _without(found, (*leaving, *(kept.left if kept else ())))
    if notice.level is Level.LOCKDOWN:
        leaving, leaving_home = (), False
    return Kept(
        sequence=notice.sequence,
        level=notice.level,
        places=found,
        expires_at=notice.expires_at,
        moved_at=now,
        leaving=_without(found, leaving)[: 3 * MAX_PLACES],
        leaving_home=leaving_home,
        left=() if notice.level is Level.HOME else before[:MAX_LEFT],
    )


def spots(kept: Kept | None, *, now: float, grace_s: float) -> Spots:
    """What is open and what is fenced, as far as the relay is concerned."""
    if kept is None:
        return Spots()
    in_grace = _in_grace(kept, now, grace_s)
    there = _spots((*kept.places, *(kept.leaving if in_grace else ())))
    at_home = kept.level is Level.HOME or (kept.leaving_home and in_grace)
    return Spots(there, _spots(kept.left) - there, at_home)


class Follower:
    """Follows one relay.

    Args:
        base: What is guarded at the relay's home.
        relay_id: Fingerprint of the relay's identity, 32 bytes.
        folder: The guard's own.
        source: Where notices come from.
        grace_s: How long after a move the places before it still pass.
        clock: Seconds since the epoch.

    Raises:
        PlacesUnusable: what was kept cannot be read.
        PathUnusable, PathExposed: the folder cannot be used.
    """

    def __init__(
        self,
        base: Scope,
        relay_id: bytes,
        folder: Path,
        source: Source,
        *,
        grace_s: float,
        clock: Clock,
    ) -> None:
        self._base, self._relay_id = base, relay_id
        self._folder = folder
        self._file = folder / f"relay-{relay_id.hex()[:16]}.json"
        self._source = source
        self._grace_s, self._clock = grace_s, clock
        self._kept = _read(self._file)
        self._accepted = b""
        self._problem: tuple[type, str] | None = None
        self._wanted = asyncio.Event()

    def scope(self) -> Scope:
        """What is guarded now."""
        return replace(
            self._base, spots=spots(self._kept, now=self._clock(), grace_s=self._grace_s)
        )

    def followed(self) -> Followed:
        """Where the relay is."""
        problem = self._problem[1] if self._problem else self._expired()
        if self._kept is None:
            return Followed(None, (), 0, problem)
        level = self._kept.level.name.lower()
        return Followed(level, self._kept.places, self._kept.sequence, problem)

    def hasten(self) -> None:
        """Ask at once: somebody else may have read a newer notice."""
        self._wanted.set()

    async def run(self, asked: Callable[[], None]) -> None:
        """Ask for newer notices, for ever.

        Args:
            asked: Is called after each question.
        """
        while True:
            self._wanted.clear()
            await self.ask()
            asked()
            try:
                async with asyncio.timeout(self._source.every_s):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def ask(self, *, keep: bool = True) -> None:
        """Ask once; whatever goes wrong, what was known holds.

        Args:
            keep: Whether what is learnt is put into the folder.
        """
        problem: tuple[type, str] | None = None
        try:
            data = await self._source.ask()
            if data is None:
                if self._kept is not None:
                    problem = (type(None), "the notice that was there is gone")
            elif data != self._accepted:
                self._learn(data, keep=keep)
        except BellwireError as error:
            # Of one kind the first is told: a time in the words would make each another one.
            same = self._problem is not None and self._problem[0] is type(error)
            problem = self._problem if same else (type(error), str(error))
        if problem != self._problem:
            if problem is not None:
                log.warning("nothing new is learnt of where the relay is", error=problem[1])
            else:
                log.info("notices of where the relay is are read again")
        self._problem = problem

    def _learn(self, data: bytes, *, keep: bool) -> None:
        """Read a notice, keep it, and only then follow it.

        Raises:
            NoticeRefused: it does not count; nothing has changed.
            PathUnusable, PathExposed: it cannot be kept; nothing has changed.
        """
        now = self._clock()
        before = self._kept.sequence if self._kept else 0
        notice = places.read(data, self._relay_id, now=now, after=before)
        if notice.sequence > before:
            kept = after(self._kept, notice, now=now, grace_s=self._grace_s)
            if keep:
                own_folder(self._folder)
                write_whole(self._file, msgspec.json.encode(kept), replace=True)
            self._kept = kept
        self._accepted = data

    def _expired(self) -> str:
        if self._kept is None or self._kept.expires_at > self._clock():
            return ""
        return f"the relay's last notice counted until {self._kept.expires_at}; no newer one came"


def _read(file: Path) -> Kept | None:
    data = read_own_file(file, _MAX_FILE)
    if data is None:
        return None
    try:
        kept = msgspec.json.decode(data, type=Kept)
        _spots((*kept.places, *kept.leaving, *kept.left))
    except (*UNDECODABLE, ChannelMisuse) as error:
        raise PlacesUnusable(
            f"expected where a relay is in {file}, got something else",
            hint="Take the file away once you know where the relay is: the guard begins anew.",
        ) from error
    return kept


def _in_grace(kept: Kept, now: float, grace_s: float) -> bool:
    # A clock that was set back must not make it last longer.
    return kept.moved_at <= now < kept.moved_at + grace_s


def _without(taken: tuple[str, ...], urls: Iterable[str]) -> tuple[str, ...]:
    return tuple(each for each in dict.fromkeys(urls) if each not in taken)


def _spots(urls: Iterable[str]) -> frozenset[Spot]:
    return frozenset(_spot(Place.of_url(each)) for each in urls)


def _spot(place: Place) -> Spot:
    """A place that has a name may be at any address: who answers for names is not believed."""
    try:
        return Spot(ipaddress.ip_address(place.host), place.port)
    except ValueError:
        return Spot(None, place.port)
