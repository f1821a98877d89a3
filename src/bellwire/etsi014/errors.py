"""What can go wrong between us and a key server that speaks ETSI GS QKD 014.

Etsi014Error
├── KmeUnreachable       (UnreachableError) no connection, no whole answer in time
├── KmeUnavailable       (UnreachableError) 503: it has no key now, or failed
├── KmeUntrusted         (RefusedError) TLS failed: its certificate or ours was refused
├── KmeUnauthorised      (RefusedError) 401: it does not serve us, or not this key
├── KmeRejected          (UsageError) 400: it does not do what was asked
├── RequestUnusable      (UsageError) we were asked for what 014, or our limits, do not allow
├── CredentialsUnusable  (UsageError) certificate, key or authority cannot be used
├── ProfileUnusable      (UsageError) no such profile, or its file is none
├── SessionAborted       (RefusedError) a session was run for a pad, and gave none
├── SubscriberTooSlow    new keys were not taken by who asked for each of them
└── KmeMisbehaved        its answer is not what 014 says; nothing of it was used

Words of the server are repeated in messages only in print: cut to `MAX_QUOTE` characters, without
control characters. No message holds key bits.
"""

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError
from bellwire.etsi014.record import SessionRecord

MAX_QUOTE = 200


def printable(text: str) -> str:
    """Text of a server, safe for a terminal and a log: one line of at most `MAX_QUOTE`."""
    shown = "".join(c if c.isprintable() else " " for c in text[: MAX_QUOTE + 1])
    return shown if len(shown) <= MAX_QUOTE else shown[: MAX_QUOTE - 1] + "…"


class Etsi014Error(BellwireError):
    """A key server could not be asked, or did not give what it was asked for."""


class KmeUnreachable(Etsi014Error, UnreachableError):
    """There is no connection to the key server, or it did not answer whole and in time."""


class KmeUnavailable(Etsi014Error, UnreachableError):
    """The key server answered 503: it has no key now, or failed."""


class KmeUntrusted(Etsi014Error, RefusedError):
    """TLS failed: the key server is not who it should be, or it refused our certificate."""


class KmeUnauthorised(Etsi014Error, RefusedError):
    """The key server answered 401: it does not serve this SAE, or not with this key."""


class KmeRejected(Etsi014Error, UsageError):
    """The key server answered 400: it does not do what was asked."""


class RequestUnusable(Etsi014Error, UsageError):
    """A request that 014, or our own limits, do not allow; nothing was sent."""


class CredentialsUnusable(Etsi014Error, UsageError):
    """Certificate, private key or authority cannot be read, or do not belong together."""


class ProfileUnusable(Etsi014Error, UsageError):
    """A profile is not there, is one of several, or is not what a profile must be."""


class SessionAborted(Etsi014Error, RefusedError):
    """A session gave no pad: nothing is left of its bits at either node.

    Attributes:
        record: What it measured, and why it was aborted.
    """

    def __init__(self, record: SessionRecord) -> None:
        super().__init__(
            f"the session gave no pad: {printable(record.message or record.reason or 'no reason')}",
            hint="Sessions succeed again by themselves when Eve has left.",
        )
        self.record = record


class SubscriberTooSlow(Etsi014Error):
    """A subscriber to new keys did not take them, and would have missed one."""


class KmeMisbehaved(Etsi014Error):
    """The answer is not what 014 says; nothing of it was used."""
