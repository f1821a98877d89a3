"""The history as it goes from one device of ours to another, and comes there."""

import msgspec

from bellwire.chat.store.history import History
from bellwire.chat.store.messages import Leaving, State


class Passing(History):
    """What of a history may leave, and how it is brought into another, within one transaction."""

    def leaving(self, after: int, until: int, limit: int) -> list[Leaving]:
        """What may go to another device, behind a place and up to one, in order.

        Neither what was not sent yet, nor what was taken back or has disappeared, nor what waits to
        be accepted, nor what was said in groups, which are of the device that is in them.
        """
        rows = self._cursor.execute(
            "SELECT number, contact, ours, content_id, state, gone_at, sealed FROM history"
            " WHERE number > ?1 AND number <= ?2 AND state >= ?3 AND state <> ?4"
            " AND group_id IS NULL"
            " AND (ours = 0 OR state >= ?5) AND contact NOT IN (SELECT contact FROM strangers)"
            " ORDER BY number LIMIT ?6",
            (after, until, State.QUEUED, State.DELETED, State.SENT, limit),
        ).fetchall()
        return [
            Leaving(
                number,
                contact,
                bool(ours),
                content_id,
                State(state),
                gone_at,
                self._open(contact, content_id, sealed, ours=bool(ours)),
            )
            for number, contact, ours, content_id, state, gone_at, sealed in rows
        ]

    def last(self) -> int:
        """The highest place that is taken; 0: none."""
        (number,) = self._cursor.execute("SELECT max(number) FROM history").fetchone()
        return int(number or 0)

    def not_sent_yet(self) -> int:
        """How much of ours has not left."""
        (count,) = self._cursor.execute(
            "SELECT count(*) FROM history WHERE ours = 1 AND state < ? AND group_id IS NULL",
            (State.SENT,),
        ).fetchone()
        return int(count)

    def bring(self, each: Leaving) -> bool:
        """Keep what another device of ours has, behind all that is here; False if it is here.

        What was said in a group is not brought: this device is not in it.
        """
        if each.kept.group is not None:
            return False
        kept = msgspec.structs.replace(each.kept, brought=True)
        self._cursor.execute(
            "INSERT OR IGNORE INTO history (contact, ours, content_id, state, gone_at, sealed)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                each.contact,
                each.ours,
                each.content_id,
                each.state,
                each.gone_at,
                self._seal(each.contact, each.content_id, kept, ours=each.ours),
            ),
        )
        return self._cursor.rowcount == 1

    def times(self, after: int, until: int, limit: int) -> list[tuple[int, int, bool]]:
        """Places behind one and up to one, when each was said by its sender's clock, and if by us.

        In milliseconds since the epoch.
        """
        rows = self._cursor.execute(
            "SELECT number, contact, ours, content_id, sealed FROM history"
            " WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
            (after, until, limit),
        ).fetchall()
        return [
            (number, self._open(contact, content_id, sealed, ours=bool(ours)).sent_ms, bool(ours))
            for number, contact, ours, content_id, sealed in rows
        ]
