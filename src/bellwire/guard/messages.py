"""What a node tells of its links' status, parsed and bounded (docs/reference/etsi014.md)."""

from typing import Literal

import msgspec

from bellwire.base.decoding import UNDECODABLE
from bellwire.guard.errors import StatusRefused

MAX_MESSAGE = 1 << 16
MAX_LINKS = 64


class LinkTold(msgspec.Struct, frozen=True):
    """The status of one link, as it was told.

    Attributes:
        status: By name.
        keys_may_flow: Whether keys leave.
        stale: Whether nothing recent was decided.
        reason: In words.
        qber: Mean of the last blocks; None if there were none.
    """

    status: Literal["GREEN", "YELLOW", "RED"]
    keys_may_flow: bool
    stale: bool
    reason: str
    qber: float | None = None

    @property
    def good(self) -> bool:
        """Whether packets may flow: all that is said must agree on it."""
        return self.status != "RED" and self.keys_may_flow and not self.stale


class Told(msgspec.Struct, frozen=True):
    """A message: the status of all links, or that it is still what it was.

    Attributes:
        at: When it was said, seconds since the epoch.
        links: By name; None in a heartbeat.
    """

    at: float
    links: dict[str, LinkTold] | None = None


def read_told(data: str | bytes) -> Told:
    """A message.

    Raises:
        StatusRefused: it is none.
    """
    try:
        told = msgspec.json.decode(data, type=Told)
    except UNDECODABLE as error:
        raise StatusRefused("expected the status of links, got something else") from error
    links = told.links
    if links is not None and not 1 <= len(links) <= MAX_LINKS:
        raise StatusRefused(f"expected the status of 1 to {MAX_LINKS} links, got {len(links)}")
    return told
