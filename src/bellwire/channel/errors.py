"""What ends a handshake or a session.

BellwireError
├── UsageError
│   └── ChannelMisuse         our own call: out of order, oversized, malformed key, after the end
└── RefusedError
    ├── HandshakeFailed       the peer's message is not acceptable; `alert` is what to send it
    │   ├── HandshakeRefused  the responder said, authentically, that it refuses
    │   ├── TicketUnknown     the responder does not know our ticket: shake hands in full
    │   ├── CertificateRefused a certificate is altered, another's, expired or revoked
    │   └── TooManyHandshakes the sender's network has spent its budget of handshakes
    ├── NoticeRefused         where a service says it is does not count
    │   ├── NoticeMalformed   it is no notice
    │   ├── NoticeForged      altered, or another service's
    │   ├── NoticeExpired     its time has passed, or is far ahead
    │   └── NoticeReplayed    a later one was read
    ├── RecordDropped         a datagram is none of a session's new records: the session goes on
    └── SessionEnded          a record is not the next one that the peer sealed
        └── Truncated         the transport ended before the peer closed the session

What a peer is told is one alert, the same for every reason; the reason is in our own message, and
no message carries a byte of a key.
"""

from bellwire.base.errors import RefusedError, UsageError


class ChannelMisuse(UsageError):
    """The channel was asked for something that its state or its limits do not allow."""


class HandshakeFailed(RefusedError):
    """The handshake ended without a session; `alert` goes to the peer, if there is one to send."""

    def __init__(
        self, message: str, *, alert: bytes | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.alert = alert


class HandshakeRefused(HandshakeFailed):
    """The responder's own alert: it does not admit this initiator, or got no QKD key."""


class TicketUnknown(HandshakeFailed):
    """The responder has forgotten our ticket, or never had it; a full handshake goes on."""


class CertificateRefused(HandshakeFailed):
    """A certificate, or a list of revoked ones, is not of our authority, or does not count now."""


class TooManyHandshakes(HandshakeFailed):
    """More handshakes come from one network than the responder works on."""


class NoticeRefused(RefusedError):
    """What somebody handed us as a service's notice of its places; what we knew still holds."""


class NoticeMalformed(NoticeRefused):
    """It is not of the layout, or says what no notice may say."""


class NoticeForged(NoticeRefused):
    """The service did not sign it so."""


class NoticeExpired(NoticeRefused):
    """It does not count any more, or not yet by more than clocks differ."""


class NoticeReplayed(NoticeRefused):
    """An older one than the newest that was read."""


class RecordDropped(RefusedError):
    """A datagram came before, is too old, or is not the peer's; the session is as it was.

    Attributes:
        doubled: Whether it may have come before.
    """

    def __init__(self, message: str, *, doubled: bool = False) -> None:
        super().__init__(message)
        self.doubled = doubled


class SessionEnded(RefusedError):
    """A record was altered, repeated, left out or reordered; the session is over."""


class Truncated(SessionEnded):
    """The transport ended without the peer's close: what came last may be missing."""
