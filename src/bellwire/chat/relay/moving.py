"""A relay moves out of an attacker's way, and back: port, address, interface, lockdown.

A move opens the new doors first. Then the notice is made durable, all connections get it, and it is
put into its file; after a stated time the old doors are shut with whoever came in by them. A
lockdown shuts all doors at once. Each level can be taken from each other, so that each step can be
taken back.

Source: spec/places.md; spec/relay.md.
"""

import asyncio
import contextlib
import secrets
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from bellwire.base.errors import BellwireError
from bellwire.base.private import write_whole
from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.places import MAX_PLACES, Level, Notice, Place, sign
from bellwire.chat.errors import MoveRefused
from bellwire.chat.relay.doors import Door
from bellwire.chat.relay.ladder import Ladder, Whereabouts, addresses, interfaces, is_port
from bellwire.chat.relay.operator import Condition
from bellwire.chat.relay.server import Relay
from bellwire.chat.relay.standing import MAX_OLD, Spot, Standing, keep_standing, read_standing
from bellwire.crypto import ed25519, signatures
from bellwire.crypto.composite import CompositeKey

NOTICE_LIFE_S: Final = 7 * 86_400
RENEW_EVERY_S: Final = 86_400.0
TRIES: Final = 64
"""Ports of a range that are tried before the move is given up."""

_ANY: Final = {"0.0.0.0", "::"}  # noqa: S104 - such a place is refused

log = structlog.get_logger("relay")


class Mover:
    """Opens and shuts the doors of one relay.

    Args:
        relay: Begun, with no door.
        ladder: What is prepared.
        seed: Of the relay's identity; its fingerprint is the relay's id.
        folder: The relay's own.
        tls: For all doors; without, lines are plain.
        now: Seconds since the epoch.

    Attributes:
        trying: The address that was tried last.
    """

    def __init__(
        self,
        relay: Relay,
        ladder: Ladder,
        seed: Secret,
        folder: Path,
        tls: ssl.SSLContext | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        raw, cut = seed.reveal(), ed25519.SEED_BYTES
        self._key = CompositeKey(ed25519.Ed25519Key(raw[:cut]), signatures.SigningKey(raw[cut:]))
        self._relay, self._ladder, self._tls, self._now = relay, ladder, tls, now
        self._folder = folder
        self._home = ladder.home
        self._standing: Standing | None = None
        self._until = 0
        self._doors: list[tuple[Spot, Door]] = []
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.trying = ""

    async def begin(self, *, at_home: bool = False) -> None:
        """Listen where the relay stood when it ended; `at_home`: where it is set up.

        Raises:
            OSError: it cannot be listened on.
            StoreCorrupt, PathUnusable, PathExposed: where it stood cannot be read or kept.
        """
        kept = read_standing(self._folder)
        if kept is None or kept.level is Level.HOME or at_home:
            self._home = await self._open(self._ladder.home)
            level, here = Level.HOME, [self._home]
        else:
            level, here = kept.level, [await self._open(each) for each in kept.spots]
        if kept is not None:
            await self._stand(self._next(kept), level, tuple(here), kept.old)
            await self._put_signs()
        self._go(self._renew())

    async def close(self) -> None:
        """Move no more; the doors are the relay's."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def home(self) -> Spot:
        """Where the relay is set up, or would be, with the port that it took."""
        return self._home

    def condition(self) -> Condition:
        """How the relay is."""
        return self._relay.condition()

    def whereabouts(self) -> Whereabouts:
        """Where the relay is."""
        standing = self._standing
        if standing is None:
            return Whereabouts(Level.HOME, (self._home.url,), 0, None)
        places = tuple(each.url for each in standing.spots)
        return Whereabouts(standing.level, places, standing.sequence, self._until)

    async def move(self, level: Level, named: Sequence[str]) -> Whereabouts:
        """Move, and say so.

        Args:
            level: How far.
            named: PORT: a port. ADDRESS: each HOST:PORT or HOST:PORT=URL. INTERFACE: NAME or
                NAME:PORT. None: what is prepared.

        Raises:
            MoveRefused: it cannot be moved there; it is where it was.
        """
        async with self._turn:
            if self._relay.company is not None:
                raise MoveRefused(
                    "expected a relay with a store of its own, got one that others may share: its "
                    "notice would speak for them, too",
                    hint="Stop it and start it elsewhere: its clients find the others meanwhile.",
                )
            if self._relay.relay_id != self._key.public.fingerprint:
                raise MoveRefused(
                    "expected a relay whose id is its identity's fingerprint, "
                    "got one of an earlier version, which cannot sign where it is"
                )
            before = [(spot, door, door.only_tells) for spot, door in self._doors]
            try:
                spots = await self._take(level, named)
                sequence = self._next(self._standing)
                await self._stand(sequence, level, spots, self._older(spots))
            except BaseException as error:
                self._take_back(before)
                if isinstance(error, OSError | ChannelMisuse):
                    why = error.strerror if isinstance(error, OSError) else str(error)
                    raise MoveRefused(f"the relay cannot be there: {why}") from error
                raise
            log.info("the relay moved", to=level.name.lower(), sequence=sequence)
            if level is Level.LOCKDOWN:
                self._leave(())  # whoever is here was told, and is hung up
            else:
                self._go(self._leave_later(sequence))
            return self.whereabouts()

    # Where to

    async def _take(self, level: Level, named: Sequence[str]) -> tuple[Spot, ...]:
        if level in {Level.HOME, Level.LOCKDOWN} and named:
            raise MoveRefused(f"{level.name.lower()}: expected no place, got {len(named)}")
        if level is Level.LOCKDOWN:
            return ()
        if level is Level.PORT:
            return (await self._take_port(named),)
        if level is Level.HOME:
            self._home = await self._open(self._home)
            return (self._home,)
        here = [spot for spot, _ in self._doors]
        if level is Level.ADDRESS:
            wanted = addresses(self._ladder, named, here)
        else:
            wanted = interfaces(self._ladder, named, here, self._home.port)
        if not 1 <= len(wanted) <= MAX_PLACES:
            raise MoveRefused(f"expected 1 to {MAX_PLACES} places, got {len(wanted)}")
        return tuple([await self._open(each) for each in wanted])

    async def _take_port(self, named: Sequence[str]) -> Spot:
        if len(named) > 1 or (named and not is_port(named[0])):
            raise MoveRefused("port: expected one port of 0 to 65535, got something else")
        bounds = self._ladder.ports
        if named or bounds is None:
            return await self._open_port(int(named[0]) if named else 0)
        first, last = bounds
        here = {spot.port for spot, _ in self._doors}
        for _ in range(TRIES):
            # Whoever attacks should not know which is next.
            port = first + secrets.randbelow(last - first + 1)
            if port not in here:
                with contextlib.suppress(OSError):
                    return await self._open_port(port)
        raise MoveRefused(f"no port of {first} to {last} was found free")

    async def _open_port(self, port: int) -> Spot:
        told = Place.of_url(self._home.url).host if self._home.url else ""
        return await self._open(Spot(self._home.host, port), told)

    # Doors

    async def _open(self, wanted: Spot, told: str = "") -> Spot:
        """Have a door there, as it was taken; `told` is the host that clients hear of."""
        for at, (spot, door) in enumerate(self._doors):
            if spot.listens_as(wanted):
                door.only_tells = False
                taken = msgspec.structs.replace(spot, url=wanted.url or spot.url)
                self._doors[at] = taken, door
                return taken
        self.trying = f"{wanted.host}:{wanted.port}"
        door = await self._relay.open_door(wanted.host, wanted.port, self._tls, wanted.interface)
        url = wanted.url or Place(told or door.host, door.port, self._tls is not None).url
        taken = Spot(wanted.host, door.port, url, wanted.interface)
        self._doors.append((taken, door))
        return taken

    def _take_back(self, before: Sequence[tuple[Spot, Door, bool]]) -> None:
        """A move failed: have the doors that there were."""
        for _, door in self._doors:
            if not any(door is each for _, each, _ in before):
                self._relay.close_door(door)
        self._doors = []
        for spot, door, only_tells in before:
            door.only_tells = only_tells
            self._doors.append((spot, door))

    def _leave(self, here: Sequence[Spot]) -> None:
        """Shut all other doors; or let them be signs, where that is wanted."""
        kept = []
        for spot, door in self._doors:
            if any(spot.listens_as(each) for each in here):
                kept.append((spot, door))
            elif self._ladder.signposts and here:
                self._relay.keep_as_sign(door)
                kept.append((spot, door))
            else:
                self._relay.close_door(door)
        self._doors = kept

    async def _leave_later(self, sequence: int) -> None:
        await asyncio.sleep(self._ladder.grace_s)
        async with self._turn:
            standing = self._standing
            if standing is not None and standing.sequence == sequence:
                self._leave(standing.spots)
                await self._put_signs()

    async def _put_signs(self) -> None:
        """Old places say where the relay is, where that is wanted."""
        standing = self._standing
        if standing is None or not standing.spots or not self._ladder.signposts:
            return
        for each in standing.old:
            if not any(each.listens_as(spot) for spot, _ in self._doors):
                with contextlib.suppress(OSError):  # an address may be gone for good
                    door = await self._relay.open_door(
                        each.host, each.port, self._tls, each.interface
                    )
                    door.only_tells = True
                    self._doors.append((each, door))

    def _older(self, spots: Sequence[Spot]) -> tuple[Spot, ...]:
        standing = self._standing
        before = (self._home,) if standing is None else (*standing.spots, *standing.old)
        found: list[Spot] = []
        for each in before:
            if not any(each.listens_as(other) for other in (*spots, *found)):
                found.append(each)
        return tuple(found[:MAX_OLD])

    # What is said

    async def _stand(
        self, sequence: int, level: Level, spots: tuple[Spot, ...], old: tuple[Spot, ...]
    ) -> None:
        """Be there: durably, then for all to hear."""
        places = tuple(Place.of_url(each.url) for each in spots)
        for each in places:
            if each.host in _ANY:
                raise MoveRefused(
                    f"expected an address that clients can reach, got {each.host}",
                    hint="Name it: HOST:PORT=URL, or `bellwire relay --place URL` for its home.",
                )
        now = int(self._now())
        notice = sign(Notice(sequence, now, now + NOTICE_LIFE_S, level, places), self._key)
        standing = Standing(sequence, level, spots, old, notice)
        await asyncio.to_thread(keep_standing, self._folder, standing)
        self._standing, self._until = standing, now + NOTICE_LIFE_S
        self._relay.announce(notice)
        file = self._ladder.notice_file
        if file is not None:
            try:
                await asyncio.to_thread(_publish, file, notice)
            except (BellwireError, OSError) as error:
                log.warning("the notice could not be put into its file", error=str(error))

    def _next(self, standing: Standing | None) -> int:
        """The next sequence: also after an older copy of the folder was brought back."""
        return max(0 if standing is None else standing.sequence, int(self._now()) - 1) + 1

    async def _renew(self) -> None:
        """A notice counts for some days: there is always a fresh one."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            async with self._turn:
                standing = self._standing
                if standing is not None:
                    await self._stand(
                        self._next(standing), standing.level, standing.spots, standing.old
                    )

    def _go(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _publish(file: Path, notice: bytes) -> None:
    write_whole(file, notice, 0o644, replace=True)
    file.chmod(0o644)  # whatever the umask took away
