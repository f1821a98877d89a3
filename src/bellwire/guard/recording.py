"""What a guard tells a log: what it did, and what an operator decided in its place.

Who decided, and why, is personal: in the log both are commitments, whose salts are beside the
guard's journal, which has the words themselves. Times are in seconds since the epoch.
"""

from bellwire.database.cursor import Cursor
from bellwire.guard.state import Packets
from bellwire.ledger.entries.fields import one_line
from bellwire.ledger.entries.model import GuardAction, Override
from bellwire.ledger.outbox.outbox import UNNUMBERED, Salts, put


class Recording:
    """Entries of one guard; each call is within a transaction of its journal.

    Args:
        guard: Its name in the log.
    """

    def __init__(self, guard: str) -> None:
        self._guard = guard
        self._salts = Salts()

    def acted(self, cursor: Cursor, packets: Packets, why: str, *, at: float) -> None:
        """The guard did something, and packets pass now or are stopped."""
        entry = GuardAction(
            **UNNUMBERED,
            at=_milliseconds(at),
            guard=self._guard,
            packets=packets,
            reason=one_line(why),
        )
        put(cursor, [entry])

    def overridden(
        self,
        cursor: Cursor,
        who: str,
        packets: Packets | None,
        why: str,
        *,
        at: float,
        until: float | None,
    ) -> None:
        """An operator decided instead of the link, or (None) gave the decision back."""
        entry = Override(
            **UNNUMBERED,
            at=_milliseconds(at),
            guard=self._guard,
            operator=self._salts.commitment(cursor, who),
            packets=packets,
            until=None if until is None else _milliseconds(until),
            reason=self._salts.commitment(cursor, why) if why else None,
        )
        put(cursor, [entry])


def _milliseconds(at: float) -> int:
    return max(0, round(1000 * at))
