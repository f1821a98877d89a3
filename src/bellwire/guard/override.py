"""An operator's word that counts more than the link's, until a moment that it names.

It is a small file in the guard's folder, so that it also counts for a guard that starts later, and
ends by itself. Whoever may write there may change the firewall.
"""

from pathlib import Path
from typing import Literal

import msgspec

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.guard.errors import OverrideUnusable

MAX_S = 7 * 86_400
MAX_REASON = 200
_MAX_FILE = 4096
_FILE = "override.json"


class Override(msgspec.Struct, frozen=True):
    """What an operator decided.

    Attributes:
        packets: Whether guarded packets pass, whatever the link does.
        since: When it was said, seconds since the epoch.
        until: When it ends.
        reason: Why, in words.
    """

    packets: Literal["pass", "stop"]
    since: float
    until: float
    reason: str


def new_override(
    packets: Literal["pass", "stop"], *, seconds: float, reason: str, now: float
) -> Override:
    """An override for so many seconds, which does not count yet.

    Raises:
        OverrideUnusable: too long, or without a reason.
    """
    if not 0 < seconds <= MAX_S:
        raise OverrideUnusable(f"an override lasts up to {MAX_S} s, got {seconds:g}")
    if not 1 <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise OverrideUnusable(f"expected a reason of 1 to {MAX_REASON} printable characters")
    return Override(packets, now, now + seconds, reason)


def set_override(folder: Path, override: Override) -> None:
    """Let it count.

    Raises:
        PathUnusable, PathExposed: the folder cannot be used.
    """
    own_folder(folder)
    write_whole(folder / _FILE, msgspec.json.encode(override), replace=True)


def read_override(folder: Path, now: float) -> Override | None:
    """What counts `now`, in seconds since the epoch; None if nothing does.

    Raises:
        OverrideUnusable: there is a file, and it is none.
        PathUnusable, PathExposed: it cannot be used.
    """
    data = read_own_file(folder / _FILE, _MAX_FILE)
    if data is None:
        return None
    try:
        override = msgspec.json.decode(data, type=Override)
    except UNDECODABLE as error:
        raise OverrideUnusable(f"expected an override in {folder / _FILE}, got none") from error
    # A clock that was set back must not make it last longer.
    return override if override.since - 60 <= now < override.until else None


def clear_override(folder: Path) -> bool:
    """Let the link decide again; whether there was a file."""
    path = folder / _FILE
    there = path.exists()
    path.unlink(missing_ok=True)
    return there
