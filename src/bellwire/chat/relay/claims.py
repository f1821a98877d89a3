"""At which of several relays an account listens, as their store knows it.

Whoever listens claims the account; the newest claim counts, whatever relay it is at. A relay that
stores something learns by the claim which relay has somebody waiting for it. A relay whose claim is
not the newest any more is told so when it fetches. Numbers of claims come from where those of
payloads come from, so that no two are the same. `now` is in seconds since the epoch.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from bellwire.chat.relay.jobs import Claim, Claimed, Look, Outcome, Parcel, Release, Was
from bellwire.chat.relay.rows import cut, marks
from bellwire.database.cursor import Cursor

STALE_S: Final = 3600
"""After how long the claims of a relay are forgotten that does not renew them: it has ended."""


class Claims:
    """The claims of one relay, and of others beside.

    Args:
        instance: What this relay is called.
    """

    def __init__(self, instance: bytes) -> None:
        self._instance = instance

    def do(self, cursor: Cursor, job: Claim | Release | Look) -> Outcome:
        """Claim, give up, or look what there is."""
        match job:
            case Claim(account, now):
                return [self._claim(cursor, account, now)]
            case Release(account, claim):
                cursor.execute(
                    "DELETE FROM listeners WHERE account = ? AND claim = ?", (account, claim)
                )
                return Was.DONE
            case Look():
                rows = cursor.execute(
                    "SELECT account, relay, claim, last FROM listeners WHERE relay = ?",
                    (self._instance,),
                ).fetchall()
                return [Claimed(*row) for row in rows]

    def _claim(self, cursor: Cursor, account: bytes, now: int) -> Claimed:
        """The claim that is made, with the relay at which the account was until now."""
        row = cursor.execute("SELECT relay FROM listeners WHERE account = ?", (account,)).fetchone()
        (number,) = cursor.execute(
            "UPDATE relay SET numbers = numbers + 1 RETURNING numbers"
        ).fetchone()
        cursor.execute(
            "INSERT INTO listeners VALUES (?, ?, ?, 0, ?) ON CONFLICT (account) DO UPDATE SET"
            " relay = excluded.relay, claim = excluded.claim, last = 0, seen = excluded.seen",
            (account, self._instance, number, now),
        )
        return Claimed(account, b"" if row is None else bytes(row[0]), int(number), 0)

    def counts(self, cursor: Cursor, account: bytes, claim: int) -> bool:
        """Whether it is the newest of the account."""
        row = cursor.execute("SELECT claim FROM listeners WHERE account = ?", (account,)).fetchone()
        return row is not None and row[0] == claim

    def note(self, cursor: Cursor, parcels: Sequence[Parcel]) -> None:
        """Remember what was stored for whoever listens; each parcel gets to know where that is."""
        last: dict[bytes, int] = {}
        for each in parcels:
            if each.account:
                last[each.account] = max(last.get(each.account, 0), each.number)
        relays: dict[bytes, bytes] = {}
        for some in cut(list(last.items())):
            relays.update(
                cursor.execute(
                    "UPDATE listeners SET last = greatest(last, more.column2)"  # noqa: S608 - of '?' alone
                    f" FROM (VALUES {marks(len(some), 2)}) AS more"
                    " WHERE account = more.column1 RETURNING account, relay",
                    list(chain.from_iterable(some)),
                ).fetchall()
            )
        for each in parcels:
            each.listener = relays.get(each.account, b"")

    def expire(self, cursor: Cursor, now: int) -> None:
        """Renew our claims, and forget those of relays that have ended."""
        cursor.execute("UPDATE listeners SET seen = ? WHERE relay = ?", (now, self._instance))
        cursor.execute("DELETE FROM listeners WHERE seen < ?", (now - STALE_S,))
