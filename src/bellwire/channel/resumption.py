"""Tickets: a session leaves a secret behind with which the next one begins cheaply, once.

Both ends derive the ticket from the session's handshake; nothing of it travels but its handle, in
the clear, when it is used. The responder forgets a ticket before it uses it. A resumed session has
a fresh ephemeral key, and so forward secrecy, and leaves a ticket of its own.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.messages import HANDLE_BYTES, Suite
from bellwire.channel.protections import Protections
from bellwire.channel.symmetric import SECRET_BYTES
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import CHANNEL_TICKET

TICKET_LIFE_S: Final = 86_400.0
MAX_TICKETS: Final = 20_000
"""A responder keeps one for each initiator, and of these the newest."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What both ends keep of a session to resume it.

    Attributes:
        handle: 16 bytes, random to others; travels in the clear, once.
        psk: 32 bytes.
        peer: SHA-256 of the other end's public key.
        protections: Those of the session; the next one has them too.
    """

    handle: bytes
    psk: Secret
    peer: bytes
    protections: Protections

    def __post_init__(self) -> None:
        if len(self.handle) != HANDLE_BYTES or len(self.psk) != SECRET_BYTES:
            raise ChannelMisuse(
                f"expected a ticket of {HANDLE_BYTES} and {SECRET_BYTES} bytes, "
                f"got {len(self.handle)} and {len(self.psk)}"
            )

    @property
    def suite(self) -> Suite:
        """The next session has the suite of the one before."""
        return self.protections.suite


def make_ticket(resume: Secret, peer: bytes, protections: Protections) -> Ticket:
    """The ticket of a session; the secret is wiped."""
    okm = hkdf(resume.reveal(), info=CHANNEL_TICKET, length=HANDLE_BYTES + SECRET_BYTES)
    resume.wipe()
    return Ticket(okm[:HANDLE_BYTES], Secret(okm[HANDLE_BYTES:]), peer, protections)


@dataclass(frozen=True, slots=True)
class _Kept:
    ticket: Ticket
    vouched: bytes
    expires: float


class TicketBox:
    """A responder's tickets, in memory: one for each initiator, each given out once.

    Args:
        clock: Seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_handle: OrderedDict[bytes, _Kept] = OrderedDict()
        self._of_peer: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._by_handle)

    def keep(self, ticket: Ticket, vouched: bytes = b"") -> None:
        """Keep a ticket; what its initiator had before is forgotten.

        Args:
            ticket: Of a session that stands.
            vouched: The certificate by which the initiator was admitted, if it was by one.
        """
        self._forget(self._of_peer.get(ticket.peer))
        if len(self._by_handle) >= MAX_TICKETS:
            self._forget(next(iter(self._by_handle)))
        self._by_handle[ticket.handle] = _Kept(ticket, vouched, self._clock() + TICKET_LIFE_S)
        self._of_peer[ticket.peer] = ticket.handle

    def take(self, handle: bytes) -> tuple[Ticket, bytes] | None:
        """The ticket and certificate under a handle, once; None if there is none that counts."""
        kept = self._forget(handle)
        if kept is None or self._clock() >= kept.expires:
            return None
        return kept.ticket, kept.vouched

    def _forget(self, handle: bytes | None) -> _Kept | None:
        kept = None if handle is None else self._by_handle.pop(handle, None)
        if kept is not None:
            del self._of_peer[kept.ticket.peer]
        return kept
