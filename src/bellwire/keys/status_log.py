"""The history of a link's status, kept over restarts in the node's store, and thinned with age.

A record is made at every change of the status or its staleness, and once a minute otherwise. Of
each stretch of time only two records stay: the worst (RED before stale before YELLOW before GREEN,
of equals the first) and the last. The stretches grow with age: 5 s in the last hour, 5 min in the
last day, an hour in the last 30 days, a day in the last year; what is older goes. So an alarm stays
to be seen, and there are never many more than 4,200 records, whatever the link does.

Where a log is told of the link, each change that becomes durable is an entry for it, and so is each
block that was rejected: in the transaction in which the status that it led to becomes durable.

No secret is in it. Times are in seconds since the epoch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from bellwire.database.cursor import Cursor
from bellwire.keys.database.interface import Database
from bellwire.keys.recording import Recording, Rejection
from bellwire.keys.status import Status, StatusView

HOUR_S, DAY_S = 3600.0, 86_400.0

STRETCHES = ((HOUR_S, 5.0), (DAY_S, 300.0), (30 * DAY_S, HOUR_S), (365 * DAY_S, DAY_S))
"""(up to this age, one record in so many seconds)."""

EVERY_S = 60.0
"""A record is made so often though nothing changed."""

THINNED_EVERY = 16
"""Writes between two thinnings."""

MAX_WAITING = 256
"""Records that wait for a disk which fails; then the oldest goes."""

MAX_REJECTED = 4096
"""Rejected blocks that wait for it; then no more are recorded, and the process's log says so."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StatusRecord:
    """The status from a moment on.

    Attributes:
        at: Seconds since the epoch.
        status: GREEN, YELLOW or RED.
        stale: Whether nothing recent was decided about the link.
        qber: Mean of the last accepted blocks; None if there are none.
        reason: In words.
    """

    at: float
    status: Status
    stale: bool
    qber: float | None
    reason: str

    @property
    def gravity(self) -> int:
        """What stays of several: the higher."""
        if self.status is Status.RED:
            return 3
        return 2 if self.stale else int(self.status is Status.YELLOW)


def thinned(records: Sequence[StatusRecord], now: float) -> list[StatusRecord]:
    """Those that stay, in the order of time."""
    worst: dict[tuple[float, float], StatusRecord] = {}
    last: dict[tuple[float, float], StatusRecord] = {}
    for record in sorted(records, key=lambda each: each.at):
        age = max(0.0, now - record.at)
        stretch = next((length for limit, length in STRETCHES if age <= limit), None)
        if stretch is None:
            continue
        cell = stretch, record.at // stretch
        last[cell] = record
        if cell not in worst or record.gravity > worst[cell].gravity:
            worst[cell] = record
    kept = {id(each): each for each in (*worst.values(), *last.values())}
    return sorted(kept.values(), key=lambda each: each.at)


class StatusLog:
    """The records of one store; not to be called from two threads at once, but for `note`.

    Args:
        database: Of the store.
        recording: Makes entries for a log; None where no log is told.
    """

    def __init__(self, database: Database, recording: Recording | None = None) -> None:
        self._database = database
        self._recording = recording
        self._rejected: list[Rejection] = []
        self._probe_rejected = False
        self._last: StatusRecord | None = None
        self._waiting: list[StatusRecord] = []
        self._writes = 0

    def note(self, view: StatusView, now: float) -> None:
        """Make a record if there is something new; `flush` keeps it."""
        last = self._last
        same = last is not None and (last.status, last.stale) == (view.status, view.stale)
        if last is not None and same and 0.0 <= now - last.at < EVERY_S:
            return
        self._last = StatusRecord(now, view.status, view.stale, view.qber, view.reason)
        self._waiting.append(self._last)
        del self._waiting[:-MAX_WAITING]

    def note_accepted(self) -> None:
        """A block or a probe was accepted: the next probe that is rejected is news again."""
        self._probe_rejected = False

    def note_rejected(self, rejection: Rejection) -> None:
        """A block gave no key, for the log; of probes that fail in a row, the first.

        Each block counts. Probes are run every second while nothing else is, and all that the
        others of a row could tell is that it goes on.
        """
        if self._recording is None or (rejection.block is None and self._probe_rejected):
            return
        self._probe_rejected |= rejection.block is None
        if len(self._rejected) >= MAX_REJECTED:
            log.warning("a rejected block is not recorded", error="the store has failed for long")
            return
        self._rejected.append(rejection)

    def flush(self) -> None:
        """Make what was noted durable.

        Raises:
            StoreError: it waits for the next time.
        """
        waiting, rejected = list(self._waiting), list(self._rejected)
        if not waiting and not rejected:
            return
        with self._database.transaction() as cursor:
            if self._recording is not None:
                self._recording.rejected(cursor, rejected)
                self._record_changes(cursor, waiting, self._recording)
            (last,) = cursor.execute("SELECT COALESCE(MAX(number), 0) FROM status_log").fetchone()
            cursor.executemany(
                "INSERT INTO status_log VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (number, each.at, each.status.value, int(each.stale), each.qber, each.reason)
                    for number, each in enumerate(waiting, last + 1)
                ],
            )
            if waiting and self._writes % THINNED_EVERY == 0:
                numbered = _read(cursor.execute(_SELECT + " ORDER BY number").fetchall())
                stay = {id(each) for each in thinned([r for _, r in numbered], waiting[-1].at)}
                cursor.executemany(
                    "DELETE FROM status_log WHERE number = ?",
                    [(number,) for number, each in numbered if id(each) not in stay],
                )
        self._writes += 1
        del self._waiting[: len(waiting)]
        del self._rejected[: len(rejected)]

    @staticmethod
    def _record_changes(
        cursor: Cursor, waiting: Iterable[StatusRecord], recording: Recording
    ) -> None:
        """Entries of those records that differ from the one before, on the disk or here."""
        row = cursor.execute(_SELECT + " ORDER BY number DESC LIMIT 1").fetchone()
        before = None if row is None else _read([row])[0][1]
        for each in waiting:
            if before is None or (before.status, before.stale) != (each.status, each.stale):
                recording.status(
                    cursor,
                    at=each.at,
                    status=each.status,
                    stale=each.stale,
                    reason=each.reason,
                    qber=each.qber,
                )
            before = each

    def read(self, since: float, most: int) -> list[StatusRecord]:
        """The latest records from a time on, at most so many, ascending.

        Raises:
            StoreError: they cannot be read.
        """
        with self._database.transaction() as cursor:
            rows = cursor.execute(
                _SELECT + " WHERE at >= ? ORDER BY number DESC LIMIT ?", (since, most)
            ).fetchall()
        return [record for _, record in reversed(_read(rows))]


_SELECT = "SELECT number, at, status, stale, qber, reason FROM status_log"


def _read(rows: Iterable[tuple[int, float, str, int, float | None, str]]) -> list[tuple[int, StatusRecord]]:  # fmt: skip # noqa: E501
    return [
        (number, StatusRecord(at, Status(status), bool(stale), qber, reason))
        for number, at, status, stale, qber, reason in rows
    ]
