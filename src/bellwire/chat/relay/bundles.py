"""Payloads that were dropped together: one object, one delivery and one answer for all of them.

A bundle stays one while its owner listens, has all that came before it, and says that all of it is
safe: the usual case, in which it costs about as much as a single payload. Whatever else becomes of
it, it is first made into the parcels that it consists of.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bellwire.chat.relay.frames import MAX_BUNDLE, MAX_BUNDLE_BYTES, Reason
from bellwire.chat.relay.jobs import Parcel


class Sender(Protocol):
    """Who waits to hear what became of what it dropped."""

    def done(self, request: int) -> None:
        """It was done."""

    def refused(self, request: int, reason: Reason) -> None:
        """It was not."""


class Parts:
    """Who dropped a bundle, which hears of all of its parcels together, once.

    Args:
        sender: Who that is.
        count: Parcels.

    Attributes:
        why_refused: Of the first that was; None: none was.
    """

    __slots__ = ("_left", "_sender", "why_refused")

    def __init__(self, sender: Sender, count: int) -> None:
        self._sender, self._left = sender, count
        self.why_refused: Reason | None = None

    def done(self, request: int) -> None:
        """One is done."""
        self._left -= 1
        if not self._left:
            self._sender.done(request)

    def refused(self, request: int, reason: Reason) -> None:
        """One is refused, and so is the whole: who drops it again, drops nothing twice."""
        if self.why_refused is None:
            self.why_refused, self._left = reason, 0  # which no more that are done bring to 0 again
            self._sender.refused(request, reason)


@dataclass(slots=True, eq=False)
class Bundle:
    """Payloads of one size that were dropped together.

    Attributes:
        right_hash: SHA-256 of the right that was shown.
        tokens: Of each, in order.
        gone_at: Until when they are kept, in seconds since the epoch.
        payloads: Behind each other.
        size: Of each, in bytes.
        sender: Who waits for the word that all of it is done.
        request: The number of that request.
        since: When it was taken, in s of the relay's clock.
        mailbox: Where it goes, once that is known.
        account: The owner; as `mailbox`.
    """

    right_hash: bytes
    tokens: tuple[bytes, ...]
    gone_at: int
    payloads: memoryview
    size: int
    sender: Sender
    request: int
    since: float
    mailbox: bytes = b""
    account: bytes = b""

    @property
    def count(self) -> int:
        """How many payloads it has."""
        return len(self.tokens)

    def parcels(self) -> list[Parcel]:
        """Each payload by itself, as if it had been dropped so; once for each bundle."""
        parts = Parts(self.sender, len(self.tokens))
        found = []
        for number, token in enumerate(self.tokens):
            payload = bytes(self.payloads[number * self.size : (number + 1) * self.size])
            parcel = Parcel(
                self.right_hash, token, self.gone_at, payload, parts, self.request, self.since
            )
            parcel.mailbox, parcel.account = self.mailbox, self.account
            found.append(parcel)
        return found


def alike(parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
    """Parcels in their order, those behind each other together that one bundle may have."""
    some: list[Parcel] = []
    for each in parcels:
        if some:
            size = len(some[0].payload)
            same = each.mailbox == some[0].mailbox and len(each.payload) == size
            if not same or len(some) == min(MAX_BUNDLE, MAX_BUNDLE_BYTES // size):
                yield some
                some = []
        some.append(each)
    if some:
        yield some
