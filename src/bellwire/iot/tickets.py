"""A device's ticket: a file of its owner's, gone before the ticket is used.

Who copies it could resume the session once in the device's place, as whoever copies the identity
key could shake hands; what was sent before stays closed. A file that is spoilt is no ticket. It has
the secret (32 bytes), the handle (16), and a line of JSON about them.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.private import read_own_file, sync_folder, unusable, write_whole
from bellwire.base.secret import Secret
from bellwire.channel.handshake import Suite, Ticket
from bellwire.channel.messages import HANDLE_BYTES
from bellwire.channel.protections import Protections
from bellwire.channel.resumption import TICKET_LIFE_S
from bellwire.channel.symmetric import SECRET_BYTES

MAX_FILE: Final = 1024
_CUT: Final = SECRET_BYTES + HANDLE_BYTES


class _About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    peer: Annotated[bytes, Meta(min_length=32, max_length=32)]
    suite: Suite
    qkd_source: Annotated[str, Meta(max_length=40)] | None
    qkd_keys: Annotated[int, Meta(ge=0)]
    resumed: Annotated[int, Meta(ge=0)]
    expires: float


_decoder = msgspec.json.Decoder(_About)


class TicketFile:
    """The ticket of a device's last session.

    Args:
        path: Its file, in the device's folder.
        clock: Seconds since the epoch.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def keep(self, ticket: Ticket) -> None:
        """Keep a ticket in the place of what was there.

        Raises:
            PathUnusable: it cannot be written.
        """
        done = ticket.protections
        about = _About(
            ticket.peer,
            ticket.suite,
            done.qkd_source,
            done.qkd_keys,
            done.resumed,
            self._clock() + TICKET_LIFE_S,
        )
        secret = ticket.psk.reveal() + ticket.handle
        write_whole(self._path, secret + msgspec.json.encode(about) + b"\n", replace=True)

    def take(self, peer: bytes, suite: Suite) -> Ticket | None:
        """The ticket for this cloud and suite, if there is one; it is there no longer.

        Raises:
            PathUnusable: it cannot be read or removed.
            PathExposed: others may read it.
        """
        data = read_own_file(self._path, MAX_FILE)
        if data is None:
            return None
        try:
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
        except OSError as error:
            raise unusable(self._path, error) from error
        try:
            kept = _decoder.decode(data[_CUT:])
        except UNDECODABLE:
            return None
        left = kept.expires - self._clock()
        if kept.peer != peer or kept.suite is not suite or not 0 < left <= TICKET_LIFE_S:
            return None
        protections = Protections(
            kept.qkd_source, kept.suite, qkd_keys=kept.qkd_keys, resumed=kept.resumed
        )
        return Ticket(data[SECRET_BYTES:_CUT], Secret(data[:SECRET_BYTES]), kept.peer, protections)
