"""A relay that moves, told at the door's `/status` to routers that cannot verify a notice.

What always holds: only a notice that counts (`channel.places`) changes what is told, and it is in
the site's folder before. A router believes it as it believes the link's status: its own site, now.
"""

from pathlib import Path

from bellwire.base.clock import system_clock
from bellwire.base.errors import UsageError
from bellwire.guard.following import Follower
from bellwire.guard.notices import source_of
from bellwire.guard.scope import Scope, Spot, Spots
from bellwire.node.settings_kme import KmeSettings
from bellwire.web.push import Document

FOLDER = "relay-places"


def open_places(settings: KmeSettings, folder: Path) -> Follower:
    """Who follows the relay of the settings.

    Args:
        settings: Which relay, and where its notices are.
        folder: The site's own.

    Raises:
        UsageError: one of the settings without the other, or one that cannot be used.
        PathUnusable, PathExposed: what was kept of it cannot be used.
    """
    if not settings.relay_places or not settings.relay_id:
        raise UsageError("expected kme.relay_places together with kme.relay_id")
    return Follower(
        Scope(),
        bytes.fromhex(settings.relay_id),
        folder / FOLDER,
        source_of(settings.relay_places, "kme.relay_places"),
        grace_s=settings.relay_grace_s,
        clock=system_clock,
    )


def told_places(follower: Follower) -> Document:
    """What is open and what is fenced now, as JSON has it; an address of null is any."""
    followed, spots = follower.followed(), follower.scope().spots or Spots()
    return {
        "level": followed.level,
        "places": followed.places,
        "sequence": followed.sequence,
        "problem": followed.problem,
        "at_home": spots.at_home,
        "open": _several(spots.open),
        "fenced": _several(spots.fenced),
    }


def _several(spots: frozenset[Spot]) -> list[Document]:
    named = [(None if each.address is None else str(each.address), each.port) for each in spots]
    found = sorted(named, key=lambda each: (each[0] or "", each[1]))
    return [{"address": address, "port": port} for address, port in found]
