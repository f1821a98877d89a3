"""What all connections of a door share."""

import asyncio
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Protocol

from bellwire.keys.kme import KeyServer
from bellwire.web.audit import Audit
from bellwire.web.connections import Connections
from bellwire.web.figures import Figures
from bellwire.web.identity import Identities
from bellwire.web.rates import Rates
from bellwire.web.settings import DoorLimits
from bellwire.web.skip import Skip


class Pages(Protocol):
    """What else there is than keys: health, metrics, status."""

    def serves(self, path: str) -> bool:
        """Whether there is such a page."""

    def streams(self, path: str) -> bool:
        """Whether it is for WebSockets alone."""

    def permits(self, path: str, name: str | None, *, sae: bool) -> bool:
        """Whether somebody may see it.

        Args:
            path: Of the page.
            name: Whose certificate it is; None on the loopback door, which asks for none.
            sae: Whether that is an SAE of the KME.
        """

    def protocol(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        """What serves one request for a page, as if it had accepted the connection."""


def date_field() -> bytes:
    """The header field that says when it is, to the second (RFC 9110, 6.6.1)."""
    return b"date: " + formatdate(usegmt=True).encode() + b"\r\n"


@dataclass(slots=True)
class Door:
    """Shared by its connections.

    Attributes:
        server: The KME behind it.
        identities: Who certificates are.
        limits: What one client may cost.
        pages: What else there is.
        figures: What is counted.
        connections: Who is connected.
        rates: How often SAEs may ask.
        audit: Keeps a record of requests, if anybody does.
        skip: The same keys by another protocol, if it is spoken.
        closing: True from the beginning of the end: answers close their connections.
        dated: What `date` puts into answers.
    """

    server: KeyServer
    identities: Identities
    limits: DoorLimits
    pages: Pages
    figures: Figures
    connections: Connections
    rates: Rates
    audit: Audit | None = None
    skip: Skip | None = None
    closing: bool = False
    dated: bytes = field(default_factory=date_field)
