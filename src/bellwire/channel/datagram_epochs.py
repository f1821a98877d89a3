"""What an end receives over datagrams: the present epoch, the one before for a while, later ones.

An epoch is entered when one of its records has opened, never on a header's word. Between two
records several epochs may have gone by; their keys come from the present one's, or, where fresh
keys are due, from those.
"""

from collections.abc import Callable
from typing import Final

from bellwire.base.secret import Secret
from bellwire.channel.datagram_chain import DatagramChain, DatagramRecord
from bellwire.channel.errors import RecordDropped

EPOCH_GRACE_S: Final = 10.0
"""How long records of the epoch before still count."""

MAX_EPOCHS_AHEAD: Final = 4
"""So many epochs may go by of which no record arrives."""


class ReceivedEpochs:
    """The receiving direction of a session.

    Args:
        chain: Of the first epoch.
        clock: Seconds, never going back.

    Attributes:
        due: The fresh secret under which the peer's next epoch may be, or None.
        newest: Whether the record that opened last is the newest so far.
        overtaken: Whether it was of the epoch before.
    """

    __slots__ = ("_before", "_chain", "_clock", "_until", "due", "newest", "overtaken")

    def __init__(self, chain: DatagramChain, clock: Callable[[], float]) -> None:
        self._chain = chain
        self._clock = clock
        self._before: DatagramChain | None = None
        self._until = 0.0
        self.due: Secret | None = None
        self.newest = self.overtaken = False

    def __repr__(self) -> str:
        return f"ReceivedEpochs(epoch {self.epoch})"

    @property
    def epoch(self) -> int:
        """The present one, from 0."""
        return self._chain.epoch

    def open(self, record: DatagramRecord) -> bytes:
        """A record's text; RecordDropped if it is not new, or not the peer's."""
        ahead = (record.epoch - self._chain.epoch) & 0xFF
        if ahead == 0:
            text = self._chain.open_at(record)
            self.newest = record.number == self._chain.window.newest
            self.overtaken = False
            return text
        if ahead <= MAX_EPOCHS_AHEAD:
            return self._open_ahead(record, ahead)
        if self._before is not None and self._clock() >= self._until:
            self._forget_before()
        if self._before is None or record.epoch != self._before.epoch & 0xFF:
            raise RecordDropped(
                f"expected a record of epoch {self.epoch} or after, got another", doubled=True
            )
        text = self._before.open_at(record)
        self.newest, self.overtaken = False, True
        return text

    def wipe(self) -> None:
        """Forget all keys."""
        self._forget_before()
        self._chain.wipe()

    def _open_ahead(self, record: DatagramRecord, ahead: int) -> bytes:
        """A record of a later epoch: under fresh secrets, if some are due, or after steps."""
        if self.due is not None:
            # Steps may have gone by before the fresh secret came, and after it.
            for before in range(ahead):
                fresh = self._chain.branch(Secret(self.due.reveal()), self.epoch + before + 1)
                later = fresh.ahead(ahead - before - 1) if before + 1 < ahead else fresh
                try:
                    text = later.open_at(record)
                except RecordDropped:
                    continue
                self.due = None
                self._enter(later)
                return text
        stepped = self._chain.ahead(ahead)
        text = stepped.open_at(record)
        self._enter(stepped)
        return text

    def _enter(self, chain: DatagramChain) -> None:
        self._forget_before()
        self._before, self._chain = self._chain, chain
        self._before.forget_secret()
        self._until = self._clock() + EPOCH_GRACE_S
        self.newest, self.overtaken = True, False

    def _forget_before(self) -> None:
        if self._before is not None:
            self._before.wipe()
            self._before = None
