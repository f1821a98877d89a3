"""Who is registered: names, keys, and how it stands with each, in one SQLite file.

Each call is one transaction with one sync: what it reports as done is on the disk. A name that was
ever admitted stays taken, by itself and for all that look like it, though its keys are revoked: who
takes a name over would be taken for who had it.

Nothing of a newcomer's connection is kept: no address, no times; the verdict and its reasons are.
Several processes may use the file: the server, and the operator's commands beside it.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from bellwire.admission import recording
from bellwire.admission.assessment import Assessment, Verdict
from bellwire.admission.errors import (
    HandleTaken,
    NotAdmitted,
    RegisterUnusable,
    RegistrationUnknown,
    TokenUnusable,
    TooManyWait,
)
from bellwire.base.errors import BellwireError
from bellwire.base.handles import skeleton
from bellwire.base.private import own_file, own_folder
from bellwire.database.cursor import Cursor
from bellwire.ledger.outbox import outbox

APPLICATION_ID: Final = 0x62776731
"""Marks the file as that of registrations ('bwg1')."""

MAX_WAITING: Final = 10_000
MAX_WAITING_S: Final = 30 * 86_400
"""Whom no operator admits in so long gives the name free again."""

MAX_TOKENS: Final = 10_000
MAX_LABEL: Final = 80
TOKEN_BYTES: Final = 20
MAX_TOKEN_S: Final = 90 * 86_400

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
)
_SCHEMAS: Final = (
    """
CREATE TABLE registrations (
    handle TEXT PRIMARY KEY, skeleton TEXT NOT NULL UNIQUE, keys BLOB NOT NULL,
    state TEXT NOT NULL, verdict TEXT NOT NULL, reasons BLOB NOT NULL, assessor TEXT NOT NULL,
    since INTEGER NOT NULL, changed INTEGER NOT NULL, by TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (
    hash BLOB PRIMARY KEY, label TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
""",
    ";".join(outbox.SCHEMA),
    "ALTER TABLE registrations ADD COLUMN number INTEGER",
    """
CREATE TABLE serials (
    serial BLOB PRIMARY KEY, handle TEXT NOT NULL, ends INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX serials_of ON serials (handle);
CREATE INDEX serials_end ON serials (ends);
""",
    "CREATE TABLE told (log INTEGER NOT NULL)",
)
_COLUMNS: Final = "handle, keys, state, verdict, reasons, assessor, since, changed, by"


class Standing(StrEnum):
    """How it stands with a registration."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    REFUSED = "refused"
    REVOKED = "revoked"


class Gate(StrEnum):
    """What opens the door, beside a verdict that is SECURE."""

    TOKEN = "token"  # noqa: S105 - the word, not one
    OPERATOR = "operator"
    EITHER = "either"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Registration:
    """One name.

    Attributes:
        handle: In its one form.
        keys: Public keys by kind.
        standing: Whether it is admitted.
        verdict: Of the assessor.
        reasons: What spoke against.
        assessor: Who judged.
        since: When it was first asked for, seconds since the epoch.
        changed: When its standing last changed.
        by: What changed it: `token`, `open`, `operator`, or `assessor` while nobody decided.
    """

    handle: str
    keys: Mapping[str, bytes]
    standing: Standing
    verdict: Verdict
    reasons: tuple[str, ...]
    assessor: str
    since: int
    changed: int
    by: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be registered.

    Attributes:
        handle: In its one form.
        keys: Public keys by kind, proven.
        judged: The verdict.
        gate: What lets in.
        token: Of the newcomer.
        now: Seconds since the epoch.
    """

    handle: str
    keys: Mapping[str, bytes]
    judged: Assessment
    gate: Gate
    token: str | None
    now: int

    def __repr__(self) -> str:
        return f"Entry({self.handle!r})"


class Register:
    """The file of one server's registrations.

    One thread at a time may use what writes, and one, which may be another, `find` and `number`.

    Args:
        folder: Private; made if it is not there.
        recorded: Whether a log is told who is admitted and revoked, in the same transaction. None:
            as the server said that used the file last, for who decides beside it.

    Raises:
        RegisterUnusable: the file is none of ours, or of a later version.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, folder: Path, *, recorded: bool | None = False) -> None:
        path = own_folder(folder) / "registrations.sqlite"
        own_file(path)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._reading = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._bringing = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with _translated():
                self._prepare(path)
                self._recorded = self._told(recorded)
                self._reading.execute("PRAGMA query_only = ON")
                for pragma in ("PRAGMA busy_timeout = 5000", "PRAGMA synchronous = FULL"):
                    self._bringing.execute(pragma).fetchall()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the file up; again is harmless."""
        self._bringing.close()
        self._reading.close()
        self._connection.close()

    # Registrations

    def enter(self, asked: Sequence[Entry]) -> list[Registration | BellwireError]:
        """Register names whose keys were proven, as the gate says: one transaction for all.

        Who asks again with the same keys gets what there is: an answer may have been lost. One
        that waits is let in by a token that comes later.

        Returns:
            For each, in order, its registration, or why there is none:
            HandleTaken: the name, or one that looks like it, has other keys.
            NotAdmitted: the verdict is against it, or it was revoked.
            TokenUnusable: the token is none, was used, or is over; or one is asked for.
            TooManyWait: the operator has to decide about others first.

        Raises:
            RegisterUnusable: the file cannot be written; then nothing of it counts.
        """
        found: list[Registration | BellwireError] = []
        with self._transaction():
            for each in asked:
                self._connection.execute("SAVEPOINT one")
                try:
                    found.append(self._enter(each))
                except BellwireError as error:
                    # A token that was taken for it is there again.
                    self._connection.execute("ROLLBACK TO one")
                    found.append(error)
                self._connection.execute("RELEASE one")
        return found

    def decide(self, handle: str, standing: Standing, now: int) -> Registration:
        """The operator admits or refuses who waits, or revokes who was admitted.

        Raises:
            RegistrationUnknown: nobody of that name is where that can be decided.
        """
        before = Standing.ADMITTED if standing is Standing.REVOKED else Standing.WAITING
        with self._transaction():
            found = self._find(handle)
            if found is None or found.standing is not before:
                raise RegistrationUnknown(
                    f"expected a name that is {before}, got {handle[:40]!a}",
                    hint="bellwire admission list shows them all.",
                )
            if standing is Standing.REFUSED:
                # Nobody was ever known by it: the name is free again.
                self._connection.execute("DELETE FROM registrations WHERE handle = ?", (handle,))
            else:
                self._connection.execute(
                    "UPDATE registrations SET state = ?, changed = ?, by = 'operator' "
                    "WHERE handle = ?",
                    (standing, now, handle),
                )
            decided = replace(found, standing=standing, changed=now, by="operator")
            self._record(decided)
        return decided

    def find(self, handle: str) -> Registration | None:
        """The registration of a name as it is on the disk, or None."""
        with _translated():
            return self._find(handle, self._reading)

    def look(self, handle: str) -> Registration | None:
        """As `find`, for the thread that writes."""
        with _translated():
            return self._find(handle)

    def all(self, standing: Standing | None = None) -> list[Registration]:
        """All registrations, or those of one standing, by name."""
        with _translated():
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM registrations WHERE state = ? OR ? IS NULL "  # noqa: S608 - our own columns
                "ORDER BY handle",
                (standing, standing),
            )
            return [_registration(row) for row in rows]

    def some(
        self, find: str, most: int
    ) -> tuple[dict[str, int], int, list[tuple[Registration, int | None]]]:
        """Registrations whose name has a text in it, for who looks at them often.

        Args:
            find: In the name; empty finds all.
            most: At most so many: those that wait longest, then those that changed last.

        Returns:
            How many names there are by their standing; how many were found; and the first of these,
            each with the number of the log's entry about its admission, or None.
        """
        with _translated():
            counts = self._connection.execute(
                "SELECT state, count(*) FROM registrations GROUP BY state"
            ).fetchall()
            found = self._connection.execute(
                "SELECT count(*) FROM registrations WHERE instr(handle, ?) > 0 OR ? = ''",
                (find, find),
            ).fetchone()[0]
            rows = self._connection.execute(
                f"SELECT {_COLUMNS}, number FROM registrations "  # noqa: S608 - our own columns
                "WHERE instr(handle, ?) > 0 OR ? = '' ORDER BY state != 'waiting', "
                "CASE WHEN state = 'waiting' THEN since ELSE -changed END, handle LIMIT ?",
                (find, find, most),
            )
            listed = [(_registration(row[:-1]), row[-1]) for row in rows]
        return {str(state): int(count) for state, count in counts}, int(found), listed

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """For whoever brings what waits for the log: on a connection of its own, in one thread.

        Raises:
            RegisterUnusable: the file cannot be used.
        """
        with _translated(), contextlib.closing(self._bringing.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def number(self, handle: str) -> int | None:
        """Under which number a log has the entry that tells of an admission; None: not yet.

        Raises:
            RegistrationUnknown: nobody of that name was admitted, or no log was told.
        """
        with _translated():
            row = self._reading.execute(
                "SELECT number, state = ? AND EXISTS (SELECT 1 FROM outbox) FROM registrations "
                "WHERE handle = ?",
                (Standing.ADMITTED, handle),
            ).fetchone()
        if row is not None and row[0] is not None:
            return int(row[0])
        if row is None or not row[1]:
            raise RegistrationUnknown(
                f"expected a name whose registration is in a log, got {handle[:40]!a}",
                hint="bellwire people find reads the log itself.",
            )
        return None

    def told_to_log(self) -> outbox.OutboxState | None:
        """What waits for the log; None where no log is told."""
        if not self._recorded:
            return None
        with self.transaction() as cursor:
            return outbox.read_state(cursor)

    # Certificates of the channel

    def keep_serials(self, issued: Sequence[tuple[str, bytes, int]], now: int) -> set[bytes]:
        """Remember certificates of the channel before they are given; forget those that are over.

        Args:
            issued: Handle, serial and end of each, seconds since the epoch.
            now: Seconds since the epoch.

        Returns:
            The serials of who is admitted still: no others may be given.

        Raises:
            RegisterUnusable: the file cannot be written; then none may be given.
        """
        kept = set()
        with self._transaction():
            self._connection.execute("DELETE FROM serials WHERE ends <= ?", (now,))
            for handle, serial, ends in issued:
                # Who was revoked meanwhile, by another process, has none that it did not find.
                done = self._connection.execute(
                    "INSERT INTO serials SELECT ?, handle, ? FROM registrations "
                    "WHERE handle = ? AND state = ?",
                    (serial, ends, handle, Standing.ADMITTED),
                )
                if done.rowcount == 1:
                    kept.add(serial)
        return kept

    def serials(self, handle: str, now: int) -> list[bytes]:
        """Serials of a name's certificates of the channel that are not over."""
        with _translated():
            rows = self._connection.execute(
                "SELECT serial FROM serials WHERE handle = ? AND ends > ? ORDER BY serial",
                (handle, now),
            )
            return [bytes(serial) for (serial,) in rows]

    # Tokens

    def make_token(self, label: str, lasts_s: int, now: int) -> str:
        """A token that lets one newcomer in; only its hash is kept.

        Raises:
            TokenUnusable: the label or the time is out of bounds, or there are too many.
        """
        if not (0 <= len(label) <= MAX_LABEL and label.isprintable()):
            raise TokenUnusable(f"expected a label of at most {MAX_LABEL} printable characters")
        if not 1 <= lasts_s <= MAX_TOKEN_S:
            raise TokenUnusable(f"expected a token for 1 s to 90 days, got {lasts_s} s")
        token = os.urandom(TOKEN_BYTES).hex()
        with self._transaction():
            self._connection.execute("DELETE FROM tokens WHERE expires < ?", (now,))
            count = self._connection.execute("SELECT count(*) FROM tokens").fetchone()[0]
            if count >= MAX_TOKENS:
                raise TokenUnusable(f"expected at most {MAX_TOKENS} open tokens, got another")
            self._connection.execute(
                "INSERT INTO tokens VALUES (?, ?, ?)", (_hash(token), label, now + lasts_s)
            )
        return token

    def tokens(self, now: int) -> list[tuple[str, int]]:
        """Label and end of each token that is open."""
        with _translated():
            rows = self._connection.execute(
                "SELECT label, expires FROM tokens WHERE expires >= ? ORDER BY expires, label",
                (now,),
            )
            return [(str(label), int(expires)) for label, expires in rows]

    # Within a transaction

    def _enter(self, asked: Entry) -> Registration:
        handle, judged, now = asked.handle, asked.judged, asked.now
        self._connection.execute(
            "DELETE FROM registrations WHERE state = ? AND since < ?",
            (Standing.WAITING, now - MAX_WAITING_S),
        )
        known = self._find(handle)
        if (known is not None and known.keys != asked.keys) or (
            known is None and self._alike(handle)
        ):
            raise HandleTaken(
                f"expected a name that is free, got {handle}, or one that looks like it"
            )
        if known is not None and known.standing is Standing.REVOKED:
            raise NotAdmitted("expected a registration that stands, got one that was revoked")
        if known is not None and known.standing is Standing.ADMITTED:
            return known
        if judged.verdict is not Verdict.SECURE:
            raise NotAdmitted(
                f"expected a verdict of SECURE, got INSECURE: {'; '.join(judged.reasons)}"
            )
        by = self._let_in(asked.gate, asked.token, now)
        if known is None and by is None and self._count(Standing.WAITING) >= MAX_WAITING:
            raise TooManyWait(f"expected at most {MAX_WAITING} who wait, got another")
        found = Registration(
            handle,
            dict(asked.keys),
            Standing.ADMITTED if by else Standing.WAITING,
            judged.verdict,
            judged.reasons,
            judged.assessor,
            now if known is None else known.since,
            now if by or known is None else known.changed,
            by or "assessor",
        )
        self._put(found)
        self._record(found)
        return found

    def _record(self, one: Registration) -> None:
        if not self._recorded:
            return
        with contextlib.closing(self._connection.cursor()) as cursor:
            if one.standing is Standing.ADMITTED:
                recording.admitted(cursor, one)
            elif one.standing is Standing.REVOKED:
                recording.revoked(cursor, one.handle, one.keys, one.changed)

    def _let_in(self, gate: Gate, token: str | None, now: int) -> str | None:
        """What lets somebody in now, or None: then the operator decides."""
        if gate is Gate.OPEN:
            return "open"
        if gate is not Gate.OPERATOR and token is not None:
            used = self._connection.execute(
                "DELETE FROM tokens WHERE hash = ? AND expires >= ?", (_hash(token), now)
            )
            if used.rowcount != 1:
                raise TokenUnusable("expected a token that is open, got one used, over or unknown")
            return "token"
        if gate is Gate.TOKEN:
            raise TokenUnusable("expected an enrolment token, got none")
        return None

    def _find(self, handle: str, by: sqlite3.Connection | None = None) -> Registration | None:
        row = (
            (by or self._connection)
            .execute(
                f"SELECT {_COLUMNS} FROM registrations WHERE handle = ?",  # noqa: S608 - our own columns
                (handle,),
            )
            .fetchone()
        )
        return None if row is None else _registration(row)

    def _alike(self, handle: str) -> bool:
        asked = "SELECT 1 FROM registrations WHERE skeleton = ?"
        return self._connection.execute(asked, (skeleton(handle),)).fetchone() is not None

    def _count(self, standing: Standing) -> int:
        asked = "SELECT count(*) FROM registrations WHERE state = ?"
        return int(self._connection.execute(asked, (standing,)).fetchone()[0])

    def _put(self, one: Registration) -> None:
        self._connection.execute(
            f"INSERT OR REPLACE INTO registrations ({_COLUMNS}, skeleton) "  # noqa: S608 - our own columns
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                one.handle,
                msgspec.msgpack.encode(dict(sorted(one.keys.items()))),
                one.standing,
                one.verdict,
                msgspec.msgpack.encode(one.reasons),
                one.assessor,
                one.since,
                one.changed,
                one.by,
                skeleton(one.handle),
            ),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _told(self, recorded: bool | None) -> bool:
        """Whether a log is told; what a server says of it is kept."""
        row = self._connection.execute("SELECT log FROM told").fetchone()
        kept = row is not None and bool(row[0])
        if recorded is not None and (row is None or recorded != kept):
            with self._transaction():
                self._connection.execute("DELETE FROM told")
                self._connection.execute("INSERT INTO told VALUES (?)", (recorded,))
        return kept if recorded is None else recorded

    def _prepare(self, path: Path) -> None:
        self._connection.execute("PRAGMA busy_timeout = 5000")
        mark, version, tables = (
            self._connection.execute(question).fetchone()[0]
            for question in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        if (tables and mark != APPLICATION_ID) or version > len(_SCHEMAS):
            raise RegisterUnusable(
                f"expected registrations of version {len(_SCHEMAS)} or below in {path}, got another"
            )
        for pragma in _PRAGMAS:
            self._connection.execute(pragma).fetchall()
        with self._transaction():
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            for number, schema in enumerate(_SCHEMAS[version:], version + 1):
                for statement in filter(str.strip, schema.split(";")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version={number}")


def _registration(row: tuple[object, ...]) -> Registration:
    handle, keys, state, verdict, reasons, assessor, since, changed, by = row
    assert isinstance(keys, bytes)
    assert isinstance(reasons, bytes)
    assert isinstance(since, int)
    assert isinstance(changed, int)
    return Registration(
        str(handle),
        msgspec.msgpack.decode(keys, type=dict[str, bytes]),
        Standing(str(state)),
        Verdict(str(verdict)),
        msgspec.msgpack.decode(reasons, type=tuple[str, ...]),
        str(assessor),
        since,
        changed,
        str(by),
    )


def _hash(token: str) -> bytes:
    # A token is 160 random bits: a plain hash of it tells nothing.
    return hashlib.sha256(token.encode()).digest()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise RegisterUnusable(f"the file of registrations cannot be used: {error}") from error
