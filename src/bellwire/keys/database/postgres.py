"""A schema on a PostgreSQL server under the key store: how it is opened, written and given up.

What always holds: a transaction begins by taking the store's lock (an advisory lock that the server
gives back when the transaction or its connection ends), so that transactions of all processes run
one after the other, as with SQLite. `synchronous_commit` is never off: a commit that the server
confirmed is on its disk. A connection that is lost is made anew by the next transaction, but not
more than once a second. A transaction that was cut off by it counts as failed; whether its commit
arrived is then unknown, and what the database says afterwards counts.

One process owns a store, the node; others may share its pool. What PostgreSQL does with deleted
rows is beyond us: they stay in its files until they are vacuumed and overwritten, and in its log
and backups. They are sealed.
"""

import functools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from bellwire.keys.database.interface import BUSY_TIMEOUT_S, SCHEMA_VERSION
from bellwire.keys.database.place import ServerPlace
from bellwire.keys.errors import StoreBusy, StoreCorrupt, StoreError, StoreRefused, StoreUnusable

if TYPE_CHECKING:
    import psycopg
    from psycopg import Connection

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


class PostgresDatabase:
    """One open schema; `transaction` is the way in.

    Args:
        place: Where it is.
        shared: Whether this is one more process beside the node, which owns the store.
    """

    def __init__(self, place: ServerPlace, *, shared: bool) -> None:
        self._place = place
        self._shared = shared
        self._lock = threading.RLock()
        self._closed = False
        self._opened = False
        self._connection: Connection[tuple[Any, ...]] | None = None
        self._tried_at: float | None = None
        self._timeline: int | None = None

    @classmethod
    def open(cls, place: ServerPlace, *, shared: bool = False) -> "PostgresDatabase":
        """Open a schema, making it where there is none; `shared` needs one that is there.

        Raises:
            StoreUnusable: no connection, no rights, or psycopg is not installed.
            StoreRefused: commits are not durable, or the schema is another program's.
            StoreBusy: another node has it.
        """
        database = cls(place, shared=shared)
        try:
            with database._lock, database._translated():
                database._connect()
                database._check_schema()
                database._opened = True
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def transaction(self) -> Iterator[PostgresCursor]:
        """All of the body, durably, or nothing of it.

        Raises:
            StoreError: PostgreSQL failed, or cannot be reached; see `errors` for the kinds.
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

    @property
    def idle(self) -> bool:
        """Whether no thread is in a transaction, and the connection was there a moment ago."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return self._connection is not None and not self._connection.broken
        finally:
            self._lock.release()

    @property
    def shareable(self) -> bool:
        """Processes may share the pool."""
        return True

    def truncate(self) -> None:
        """Nothing: what becomes of deleted rows is the server's."""

    def sync_time(self) -> float:
        """Seconds that a commit takes: the shortest of a few."""
        times = []
        for _ in range(3):
            start = time.perf_counter()
            with self.transaction() as cursor:
                cursor.execute("UPDATE store SET sequence = sequence")
            times.append(time.perf_counter() - start)
        return min(times)

    def close(self) -> None:
        """Give the connection up; again is harmless."""
        with self._lock:
            self._closed = True
            self._drop()

    # Connections

    def _connected(self) -> "Connection[tuple[Any, ...]]":
        if self._closed:
            raise StoreError(f"{self._place} is closed", hint="Restart the node.")
        if self._connection is not None and self._connection.closed:
            self._drop()
        if self._connection is None:
            now = time.monotonic()
            if self._tried_at is not None and now - self._tried_at < RETRY_EVERY_S:
                raise StoreError(
                    f"{self._place} cannot be reached", hint="It is tried again every second."
                )
            self._tried_at = now
            self._connect()
            self._tried_at = None
        assert self._connection is not None
        return self._connection

    def _connect(self) -> None:
        psycopg = _driver()
        try:
            connection = psycopg.connect(self._place.url, autocommit=True, **_OPTIONS)
        except psycopg.ProgrammingError:
            # What libpq says of a URL repeats it.
            raise StoreUnusable(
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
            (value,) = _one(connection, "SELECT current_setting(%s)", name)
            if value == "off":
                raise StoreRefused(
                    f"expected {name} on at the PostgreSQL server, got off",
                    hint="Keys could be handed out twice after a power cut. Switch it on.",
                )
            if name == "synchronous_commit":
                # Kept for this session, whatever becomes of the server's configuration.
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        for name, value in _SESSION.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        schema = self._place.schema  # letters, digits and underscores: see `ServerPlace`
        connection.execute(f"SET search_path TO {schema}".encode())
        (number,) = _one(connection, "SELECT hashtextextended(%s, 0)", f"bellwire {schema}")
        self._begin = f"BEGIN; SELECT pg_advisory_xact_lock({number})".encode()
        if not self._shared:
            self._own(connection, schema)
        (timeline,) = _one(connection, "SELECT timeline_id FROM pg_control_checkpoint()")
        if self._timeline is not None and timeline != self._timeline:
            raise StoreError(
                "the PostgreSQL server was replaced by a standby while this process ran",
                hint="Restart it. Use synchronous replication, so that no mark is lost.",
            )
        self._timeline = timeline

    def _own(self, connection: "Connection[tuple[Any, ...]]", schema: str) -> None:
        (number,) = _one(connection, "SELECT hashtextextended(%s, 0)", f"bellwire node {schema}")
        give_up_at = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            (got,) = _one(connection, "SELECT pg_try_advisory_lock(%s)", number)
            if got:
                return
            if time.monotonic() >= give_up_at:
                raise StoreBusy(
                    f"expected to be the only node on {self._place}, got another",
                    hint="Stop the other node, or choose another database.",
                )
            time.sleep(0.05)

    def _check_schema(self) -> None:
        connection = self._connection
        assert connection is not None
        connection.execute(self._begin)
        schema = self._place.schema
        (tables, versions) = _one(
            connection,
            "SELECT count(*), count(*) FILTER (WHERE c.relname = 'alembic_version') "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s",
            schema,
        )
        if tables and not versions:
            raise StoreRefused(f"expected a key store in {self._place}, got another's tables")
        found = _one(connection, "SELECT version_num FROM alembic_version") if versions else ("0",)
        text = found[0] if found else "none"
        version = int(text) if text.isdecimal() else -1
        if version not in range(SCHEMA_VERSION + 1):
            raise StoreRefused(
                f"expected schema version {SCHEMA_VERSION} in {self._place}, got {text!r:.40}",
                hint="Use the version of bellwire that wrote it.",
            )
        if version != SCHEMA_VERSION:
            if self._shared:
                raise StoreRefused(
                    f"expected schema version {SCHEMA_VERSION} in {self._place}, got {version}",
                    hint="Start the node first: it makes the schema, and brings it up to date.",
                )
            self._migrate(connection, version)
        connection.commit()

    def _migrate(self, connection: "Connection[tuple[Any, ...]]", version: int) -> None:
        from sqlalchemy import exc  # noqa: PLC0415 - slow, and seldom needed

        from bellwire.keys.database.migrate import migrate  # noqa: PLC0415

        schema = self._place.schema
        (there,) = _one(connection, "SELECT to_regnamespace(%s) IS NOT NULL", schema)
        connection.rollback()
        make = [] if there else [f"CREATE SCHEMA {schema}"]
        try:
            migrate("postgresql+psycopg", connection, version, begin=["BEGIN", *make])
        except exc.DBAPIError as error:
            if isinstance(error.orig, _driver().Error):
                raise error.orig from error
            raise

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

    @contextmanager
    def _translated(self) -> Iterator[None]:
        psycopg = _driver()
        try:
            yield
        except psycopg.Error as error:
            raise self._name(error) from error

    def _name(self, error: "psycopg.Error") -> StoreError:
        state = error.sqlstate or ""
        said = error.diag.message_primary or str(error).strip() or "no answer"
        connection = self._connection
        if connection is not None and connection.closed:
            self._drop()
        if state in _BUSY:
            return StoreBusy(f"{self._place} is locked by another program: {said}")
        if state in _CORRUPT or state.startswith("XX"):
            return StoreCorrupt(f"expected a key store in {self._place}, got: {said}")
        if state in _UNUSABLE or state.startswith("28"):
            return StoreUnusable(
                f"expected to read and write {self._place}, got: {said}",
                hint="Check store.url, the user's rights and his password (docs/how-to/"
                "use-postgresql.md).",
            )
        if connection is None and not self._opened:
            return StoreUnusable(
                f"expected to reach {self._place}, got: {said}",
                hint="Is the server running? Check store.url.",
            )
        return StoreError(f"{self._place} failed: {said}", hint="Check the PostgreSQL server.")


def is_there(place: ServerPlace) -> bool:
    """Whether a schema holds a store, before anything is opened.

    Raises:
        StoreUnusable: no connection.
    """
    database = PostgresDatabase(place, shared=True)
    try:
        with database._translated():
            database._connect()
            assert database._connection is not None
            (there,) = _one(
                database._connection,
                "SELECT to_regclass(%s) IS NOT NULL",
                f"{place.schema}.alembic_version",
            )
    finally:
        database.close()
    return bool(there)


def _one(connection: "Connection[tuple[Any, ...]]", sql: str, *parameters: object) -> Any:
    return connection.execute(sql.encode(), parameters or None).fetchone()


def _driver() -> Any:
    try:
        import psycopg  # noqa: PLC0415 - an extra, and slow
    except ImportError as error:
        raise StoreUnusable(
            "expected psycopg, to reach the PostgreSQL server; it is not installed",
            hint="Install it with: pip install 'bellwire[postgres]'",
        ) from error
    return psycopg
