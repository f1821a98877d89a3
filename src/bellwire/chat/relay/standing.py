"""Where a relay stands: its level, its places and its notice, as its folder keeps them.

What always holds: a notice is on the disk before anybody gets it, and no sequence is used twice.
"""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.private import read_own_file, write_whole
from bellwire.channel.places import MAX_NOTICE_BYTES, MAX_PLACES, Level
from bellwire.chat.errors import StoreCorrupt

FILE: Final = "places"
MAX_OLD: Final = 8
_MAX_FILE: Final = 1 << 16


class Spot(msgspec.Struct, frozen=True, array_like=True):
    """Where a relay listens, and what clients are told of it.

    Attributes:
        host: An address of this machine.
        port: 1 to 65535; 0 in what is asked for: a free one.
        url: What clients are told; empty in what is asked for: what follows from the address.
        interface: What comes by another network interface is not heard; empty: by any.
    """

    host: Annotated[str, Meta(max_length=253)]
    port: Annotated[int, Meta(ge=0, le=65535)]
    url: Annotated[str, Meta(max_length=300)] = ""
    interface: Annotated[str, Meta(max_length=15)] = ""

    def listens_as(self, other: "Spot") -> bool:
        """Whether one listening socket serves both."""
        ours = self.host, self.port, self.interface
        return ours == (other.host, other.port, other.interface)


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """How far a relay has moved.

    Attributes:
        sequence: Of the notice.
        level: How far.
        spots: Where it listens; none in a lockdown.
        old: Where it listened before, the last first.
        notice: Signed; what clients get.
    """

    sequence: Annotated[int, Meta(ge=1, le=1 << 62)]
    level: Level
    spots: Annotated[tuple[Spot, ...], Meta(max_length=MAX_PLACES)]
    old: Annotated[tuple[Spot, ...], Meta(max_length=MAX_OLD)]
    notice: Annotated[bytes, Meta(max_length=MAX_NOTICE_BYTES)]


def read_standing(folder: Path) -> Standing | None:
    """What was kept; None of a relay that never moved.

    Raises:
        StoreCorrupt: the file is none.
        PathUnusable, PathExposed: it cannot be used, or others may read it.
    """
    data = read_own_file(folder / FILE, _MAX_FILE)
    if data is None:
        return None
    try:
        return msgspec.msgpack.decode(data, type=Standing)
    except UNDECODABLE as error:
        raise StoreCorrupt(f"expected places of a relay in {folder / FILE}, got none") from error


def keep_standing(folder: Path, standing: Standing) -> None:
    """Make it durable.

    Raises:
        PathUnusable: it cannot be written; what was kept before still is.
    """
    write_whole(folder / FILE, msgspec.msgpack.encode(standing), replace=True)
