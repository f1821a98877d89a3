"""Where a relay may move to: what its operator has prepared, and what is named for one move.

Source: spec/places.md, 2.
"""

import contextlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.places import Level, Place
from bellwire.chat.errors import MoveRefused
from bellwire.chat.relay.standing import Spot


@dataclass(frozen=True, slots=True)
class Ladder:
    """What an operator has prepared for moves.

    Attributes:
        home: Where the relay is set up.
        ports: First and last port to move among; None: any free one.
        addresses: Where it retreats to, in order, if no address is named.
        interfaces: The same of interfaces, each NAME or NAME:PORT.
        grace_s: How long old doors stay open after a move, in seconds.
        signposts: Whether old doors then stay, and say where the relay is, and nothing else.
        notice_file: Where the notice lies for those who were away, for all to read; None: nowhere.
    """

    home: Spot
    ports: tuple[int, int] | None = None
    addresses: tuple[Spot, ...] = ()
    interfaces: tuple[str, ...] = ()
    grace_s: float = 5.0
    signposts: bool = False
    notice_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a relay is; `sequence` is 0 and `until` None while it never moved.

    Attributes:
        level: How far from home.
        places: Where it answers, as notices name them.
        sequence: Number of its newest notice.
        until: When that expires, in seconds since the epoch.
    """

    level: Level
    places: tuple[str, ...]
    sequence: int
    until: int | None


def read_spot(text: str) -> Spot:
    """HOST:PORT, or HOST:PORT=URL with what clients are told.

    Raises:
        MoveRefused: it is neither.
    """
    where, _, url = text.partition("=")
    host, _, port = where.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not is_port(port) or (url and not _is_url(url)):
        raise MoveRefused(
            f"expected HOST:PORT or HOST:PORT=URL, with ws:// or wss://, got {text[:80]!r}"
        )
    return Spot(host, int(port), url)


def is_port(text: str) -> bool:
    """Whether it is a port as people write it; 0 is a free one."""
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65535


def addresses(ladder: Ladder, named: Sequence[str], here: Sequence[Spot]) -> list[Spot]:
    """The addresses that are named; without any, the first prepared one that is not used now.

    Raises:
        MoveRefused: there is none.
    """
    if named:
        return [read_spot(each) for each in named]
    for each in ladder.addresses:
        if not any(each.listens_as(spot) for spot in here):
            return [each]
    raise MoveRefused("expected an address, got none, and no other is prepared by --address")


def interfaces(ladder: Ladder, named: Sequence[str], here: Sequence[Spot], port: int) -> list[Spot]:
    """All addresses of the interfaces that are named; without any, of the first prepared one.

    Args:
        ladder: What is prepared.
        named: NAME or NAME:PORT each.
        here: Where the relay listens now.
        port: Where no other is named.

    Raises:
        MoveRefused: there is none.
    """
    used = {spot.interface for spot in here}
    free = [each for each in ladder.interfaces if each.partition(":")[0] not in used]
    chosen = list(named) or free[:1]
    if not chosen:
        raise MoveRefused("expected an interface, got none, and no other is prepared")
    return [spot for each in chosen for spot in _of_interface(each, port)]


def _of_interface(text: str, port: int) -> list[Spot]:
    name, _, other = text.partition(":")
    if other and not is_port(other):
        raise MoveRefused(f"interface: expected NAME or NAME:PORT, got {text[:60]!r}")
    spots = []
    for each in psutil.net_if_addrs().get(name, []):
        with contextlib.suppress(ValueError):  # of a link, not of the internet protocol
            address = ipaddress.ip_address(each.address)
            if not address.is_link_local:
                spots.append(Spot(str(address), int(other or port), "", name))
    if not spots:
        raise MoveRefused(f"expected an interface with an address, got {name[:40]!r}")
    return spots


def _is_url(text: str) -> bool:
    try:
        Place.of_url(text)
    except ChannelMisuse:
        return False
    return True
