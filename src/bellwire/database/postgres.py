"""A schema on a PostgreSQL server: how it is opened, written and given up.

What always holds: a transaction begins by taking the schema's lock (an advisory lock that the
server gives back when the transaction or its connection ends), so that transactions of all
processes run one after the other, as with SQLite. `synchronous_commit` is never off: a commit that
the server confirmed is on its disk. A connection that is lost is made anew by the next transaction,
but not more than once a second. A transaction that was cut off by it counts as failed; whether its
commit arrived is then unknown, and what the database says afterwards counts.

What PostgreSQL does with deleted rows is beyond us: they stay in its files until they are vacuumed
and overwritten, and in its log and backups.
"""

import functools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from bellwire.base.errors import BellwireError, get_extra
from bellwire.database.failures import Failures
from bellwire.database.place import ServerPlace

if TYPE_CHECKING:
    import psycopg
    from psycopg import Connection

BUSY_TIMEOUT_S = 1.0
"""How long to wait for a predecessor that is just ending."""

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 10_000
STOPPED_TIMEOUT_MS = 5_000
"""How long a transaction may do nothing: a process that was stopped in one holds up all others."""

RETRY_EVERY_S = 1.0

_OPTIONS = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": "bellwire",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "client_encoding": "utf8",
}
_SESSION = {
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": str(STOPPED_TIMEOUT_MS),
    # The server, too, notices that a peer is gone: it holds the lock of a node until then.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "default_transaction_isolation": "read committed",
}

_BUSY = {"55P03"}
_CORRUPT = {"42P01", "42703"}
_UNUSABLE = {"42501", "25006", "3D000"}


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a schema is for, in the words of errors.

    Attributes:
        what: Is kept there, as `a key store`.
        owner: Who opens it, as `node`.
        setting: Names the server.
        guide: Page that says how a server is set up.
        at_stake: What a server that loses commits would bring about; a sentence.
        failures: Which errors are raised.
    """

    what: str
    owner: str
    setting: str
    guide: str
    at_stake: str
    failures: Failures


class PostgresCursor:
    """A cursor that takes `?` placeholders."""

    def __init__(self, cursor: "psycopg.Cursor[tuple[Any, ...]]") -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""
        return self._cursor.rowcount

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> "PostgresCursor":
        """Run one statement."""
        self._cursor.execute(_translate(sql), parameters or None)
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> None:
        """Run one statement for each row."""
        every = list(rows)
        if len(every) == 1:
            self._cursor.execute(_translate(sql), every[0])
        elif every:
            self._cursor.executemany(_translate(sql), every)

    def fetchone(self) -> Any:
        """The next row of the answer; None behind the last."""
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """All rows of the answer."""
        return self._cursor.fetchall()


@functools.lru_cache(maxsize=256)
def _translate(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


class PostgresSchema:
    """One open schema; `transaction` is the way in.

    What is in it is its subclass's: that checks, and makes, the tables.

    Args:
        place: Where it is.
        alone: Name of what only one process may be at a time; None: any number may have it open.
    """

    purpose: Purpose

    def __init__(self, place: ServerPlace, *, alone: str | None) -> None:
        self._place = place
        self._alone = alone
        self._lock = threading.RLock()
        self._closed = False
        self._opened = False
        self._connection: Connection[tuple[Any, ...]] | None = None
        self._tried_at: float | None = None
        self._timeline: int | None = None

    def _begin_with(self) -> Self:
        """Connect, and have the tables.

        Raises:
            BellwireError: of the purpose's failures, `unusable`: no connection, no rights, or
                psycopg is not installed; `refused`: commits are not durable, or the schema is
                another program's; `busy`: another process has it.
        """
        try:
            with self._lock, self._translated():
                self._connect()
                self._check_schema()
                self._opened = True
        except BaseException:
            self.close()
            raise
        return self

    def _check_schema(self) -> None:
        """Let tables of our version pass, or make them so."""
        raise NotImplementedError

    @contextmanager
    def transaction(self) -> Iterator[PostgresCursor]:
        """All of the body, durably, or nothing of it.

        Raises:
            BellwireError: PostgreSQL failed, or cannot be reached: one of the purpose's failures.
        """
        with self._lock, self._translated():
            connection = self._connected()
            try:
                connection.execute(self._begin)
                with connection.cursor() as cursor:
                    yield PostgresCursor(cursor)
            except BaseException:
                self._roll_back()
                raise
            try:
                connection.commit()
            except BaseException:
                self._drop()
                raise

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """What the last commit says; it waits for no transaction of others.

        Raises:
            BellwireError: as `transaction`.
        """
        with self._lock, self._translated():
            return self._connected().execute(_translate(sql), parameters or None).fetchall()

    @property
    def idle(self) -> bool:
        """Whether no thread is in a transaction, and the connection was there a moment ago."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return self._connection is not None and not self._connection.broken
        finally:
            self._lock.release()

    def require_open(self) -> None:
        """Go on, unless it is closed; a server that is away does not close it.

        Raises:
            BellwireError: `failed` of the purpose's failures.
        """
        if self._closed:
            raise self._failures.failed(
                f"{self._place} is closed", hint=f"Restart the {self.purpose.owner}."
            )

    def close(self) -> None:
        """Give the connection up; again is harmless."""
        with self._lock:
            self._closed = True
            self._drop()

    # Connections

    def _connected(self) -> "Connection[tuple[Any, ...]]":
        self.require_open()
        if self._connection is not None and self._connection.closed:
            self._drop()
        if self._connection is None:
            now = time.monotonic()
            if self._tried_at is not None and now - self._tried_at < RETRY_EVERY_S:
                raise self._failures.failed(
                    f"{self._place} cannot be reached", hint="It is tried again every second."
                )
            self._tried_at = now
            self._connect()
            self._tried_at = None
        assert self._connection is not None
        return self._connection

    def _connect(self) -> None:
        psycopg = self._driver()
        try:
            connection = psycopg.connect(self._place.url, autocommit=True, **_OPTIONS)
        except psycopg.ProgrammingError:
            # What libpq says of a URL repeats it.
            raise self._failures.unusable(
                "expected a URL that libpq reads, got another",
                hint="postgresql://USER@HOST:PORT/DATABASE, with %XX for special characters.",
            ) from None
        self._connection = connection
        try:
            self._set_up(connection)
        except BaseException:
            self._drop()
            raise

    def _set_up(self, connection: "Connection[tuple[Any, ...]]") -> None:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            (value,) = one_row(connection, "SELECT current_setting(%s)", name)
            if value == "off":
                raise self._failures.refused(
                    f"expected {name} on at the PostgreSQL server, got off",
                    hint=f"{self.purpose.at_stake} Switch it on.",
                )
            if name == "synchronous_commit":
                # Kept for this session, whatever becomes of the server's configuration.
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        for name, value in _SESSION.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        schema = self._place.schema  # letters, digits and underscores: see `ServerPlace`
        connection.execute(f"SET search_path TO {schema}".encode())
        (number,) = one_row(connection, "SELECT hashtextextended(%s, 0)", f"bellwire {schema}")
        self._begin = f"BEGIN; SELECT pg_advisory_xact_lock({number})".encode()
        if self._alone is not None:
            self._own(connection, self._alone)
        (timeline,) = one_row(connection, "SELECT timeline_id FROM pg_control_checkpoint()")
        if self._timeline is not None and timeline != self._timeline:
            raise self._failures.failed(
                "the PostgreSQL server was replaced by a standby while this process ran",
                hint="Restart it. Use synchronous replication, so that no commit is lost.",
            )
        self._timeline = timeline

    def _own(self, connection: "Connection[tuple[Any, ...]]", alone: str) -> None:
        (number,) = one_row(connection, "SELECT hashtextextended(%s, 0)", alone)
        give_up_at = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            (got,) = one_row(connection, "SELECT pg_try_advisory_lock(%s)", number)
            if got:
                return
            if time.monotonic() >= give_up_at:
                owner = self.purpose.owner
                raise self._failures.busy(
                    f"expected to be the only {owner} on {self._place}, got another",
                    hint=f"Stop the other {owner}, or choose another database.",
                )
            time.sleep(0.05)

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is not None:
            try:
                connection.rollback()
            except Exception:
                self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    @property
    def _failures(self) -> Failures:
        return self.purpose.failures

    @contextmanager
    def _translated(self) -> Iterator[None]:
        psycopg = self._driver()
        try:
            yield
        except psycopg.Error as error:
            raise self._name(error) from error

    def _name(self, error: "psycopg.Error") -> BellwireError:
        purpose, failures = self.purpose, self.purpose.failures
        state = error.sqlstate or ""
        said = error.diag.message_primary or str(error).strip() or "no answer"
        connection = self._connection
        if connection is not None and connection.closed:
            self._drop()
        if state in _BUSY:
            return failures.busy(f"{self._place} is locked by another program: {said}")
        if state in _CORRUPT or state.startswith("XX"):
            return failures.corrupt(f"expected {purpose.what} in {self._place}, got: {said}")
        if state in _UNUSABLE or state.startswith("28"):
            return failures.unusable(
                f"expected to read and write {self._place}, got: {said}",
                hint=f"Check {purpose.setting}, the user's rights and his password "
                f"({purpose.guide}).",
            )
        if connection is None and not self._opened:
            if error.pgconn is not None and error.pgconn.needs_password:
                return failures.unusable(
                    f"expected a password for {self._place}, got none",
                    hint="Write HOST:PORT:DATABASE:USER:PASSWORD, with the URL's names, into a "
                    f"file of mode 0600 that PGPASSFILE names ({purpose.guide}).",
                )
            return failures.unusable(
                f"expected to reach {self._place}, got: {said}",
                hint=f"Is the server running? Check {purpose.setting}.",
            )
        return failures.failed(f"{self._place} failed: {said}", hint="Check the PostgreSQL server.")

    def _driver(self) -> Any:
        try:
            import psycopg  # noqa: PLC0415 - an extra, and slow
        except ImportError as error:
            raise self._failures.unusable(
                "expected psycopg, to reach the PostgreSQL server; it is not installed",
                hint=get_extra("postgres"),
            ) from error
        return psycopg


def one_row(connection: "Connection[tuple[Any, ...]]", sql: str, *parameters: object) -> Any:
    """The first row of an answer; `%s` are placeholders."""
    return connection.execute(sql.encode(), parameters or None).fetchone()
