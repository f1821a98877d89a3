"""The relay of a console's site, as its operator: where it is, and that it moves."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bellwire.base.local import NotAnswered
from bellwire.channel.places import Level
from bellwire.chat.errors import MoveRefused
from bellwire.chat.relay.ladder import Whereabouts
from bellwire.chat.relay.operator import RelayOperator
from bellwire.web.errors import RequestRefused

LevelName = Literal["home", "port", "address", "interface", "lockdown"]

_NAMES: dict[Level, LevelName] = {
    Level.HOME: "home",
    Level.PORT: "port",
    Level.ADDRESS: "address",
    Level.INTERFACE: "interface",
    Level.LOCKDOWN: "lockdown",
}


class RelayPlaces(msgspec.Struct, frozen=True):
    """Where a relay is.

    Attributes:
        level: How far it has moved out of an attacker's way.
        places: Its addresses, none in a lockdown.
        sequence: Number of its last notice; 0 while it never moved.
        until: How long that counts, seconds since the epoch; null while it never moved.
    """

    level: LevelName
    places: tuple[str, ...]
    sequence: int
    until: float | None


class RelayView(msgspec.Struct, frozen=True):
    """The site's relay; null where none answers in its state folder."""

    relay: RelayPlaces | None


class MoveRelay(msgspec.Struct, frozen=True):
    """How far the relay shall move, and where; without places, where it was prepared to."""

    level: LevelName
    places: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=600)], ...], Meta(max_length=16)
    ] = ()


class SiteRelay:
    """The relay in a state folder.

    Args:
        state: The folder.
    """

    def __init__(self, state: Path) -> None:
        self._relay = RelayOperator(state / "relay")

    async def look(self) -> RelayView:
        """Where it is."""
        try:
            return RelayView(_shown(await self._relay.look()))
        except NotAnswered:
            return RelayView(None)

    async def move(self, asked: MoveRelay) -> RelayPlaces:
        """Have it move; on return, those who are connected were told.

        Raises:
            RequestRefused: 400, it cannot move there; 503, no relay answers.
        """
        return _shown(await _done(self._relay.move(Level[asked.level.upper()], asked.places)))


async def _done(moving: Awaitable[Whereabouts]) -> Whereabouts:
    try:
        return await moving
    except MoveRefused as error:
        raise RequestRefused(400, str(error)) from error
    except NotAnswered as error:
        why = "no relay runs at this site"
        raise RequestRefused(503, why, headers=[("retry-after", "5")]) from error


def _shown(there: Whereabouts) -> RelayPlaces:
    return RelayPlaces(_NAMES[there.level], there.places, there.sequence, there.until)
