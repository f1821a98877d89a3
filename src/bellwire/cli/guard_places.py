"""The relay that `bellwire guard` follows."""

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from bellwire.guard.following import Follower
    from bellwire.guard.scope import Scope

_FINGERPRINT = re.compile(r"[0-9a-fA-F]{64}")


class AskedPlaces(NamedTuple):
    """What the command line says of a relay that is followed."""

    source: str | None
    relay_id: str | None
    grace_s: float


def follower_of(asked: AskedPlaces, base: "Scope", folder: "Path") -> "Follower | None":
    """Who follows the relay; None if none is to be followed.

    Raises:
        PlacesUnusable: an option without the other, or one that cannot be used.
        PathUnusable, PathExposed: the folder cannot be used.
    """
    from bellwire.base.clock import system_clock
    from bellwire.guard.errors import PlacesUnusable
    from bellwire.guard.following import Follower
    from bellwire.guard.notices import source_of

    if asked.source is None:
        if asked.relay_id is not None:
            raise PlacesUnusable("expected --places with --relay-id: where its notices are")
        return None
    if asked.relay_id is None or not _FINGERPRINT.fullmatch(asked.relay_id):
        got = "none" if asked.relay_id is None else repr(asked.relay_id[:80])
        raise PlacesUnusable(
            f"--relay-id: expected 64 hexadecimal digits, got {got}",
            hint="`bellwire relay` says them as `accounts` in its first line.",
        )
    return Follower(
        base,
        bytes.fromhex(asked.relay_id),
        folder,
        source_of(asked.source),
        grace_s=asked.grace_s,
        clock=system_clock,
    )
