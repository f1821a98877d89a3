"""Stores of the crash machine as schemas on a PostgreSQL server, and what can happen to them.

A statement is refused by the server, or the commit is, as it is when its disk is full; the
connection is ended by the server; the process dies with a transaction open, or with its commit
on the way; all processes of the server are killed. That a disk that forgets what was not synced
loses nothing that was committed is PostgreSQL's promise; that we ask for it is seen when its
processes are killed before its writer of the log comes by.
"""

import itertools
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

import psycopg
from tests.keys.faults import Crash
from tests.keys.ground import Fault, Held, held
from tests.keys.postgres.server import Server
from tests.keys.stores import KEK, PREPLACED
from tests.patience import PATIENCE_S

from bellwire.base.detections import Side
from bellwire.database.place import ServerPlace
from bellwire.keys.database.postgres import PostgresDatabase
from bellwire.keys.errors import StoreError
from bellwire.keys.store import KeyStore

Result = TypeVar("Result")

TABLES = (
    "store", "pad_sets", "blocks", "pending_bits", "marks", "segments", "issued", "grants",
    "copies", "handed",
)  # fmt: skip
"""In an order in which rows can be put in."""

FULL = "ERRCODE = 'disk_full', MESSAGE = 'could not extend file: No space left on device'"

_names = itertools.count()


class Crashes:
    """How often the server may still be killed: each time takes a while."""

    def __init__(self, left: int) -> None:
        self.left = left


class Armed:
    """The fault in force, if any."""

    schemas: "Schemas | None" = None
    fault: Fault | None = None
    left = 0

    @classmethod
    def strikes(cls) -> bool:
        if cls.fault is None:
            return False
        cls.left -= 1
        return cls.left == 0


class FaultyCursor(psycopg.Cursor[Any]):
    """Statements that a fault may strike."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        return _struck(self.connection, lambda: super(FaultyCursor, self).execute(*args, **kwargs))

    def executemany(self, *args: Any, **kwargs: Any) -> Any:
        run = super().executemany
        return _struck(self.connection, lambda: run(*args, **kwargs))


class FaultyConnection(psycopg.Connection[Any]):
    """Connections of the product; their commits, too, may be struck."""

    def commit(self) -> None:
        _struck(self, super().commit, commit=True)


def connect(url: str, **options: Any) -> FaultyConnection:
    """As `psycopg.connect`."""
    return FaultyConnection.connect(url, cursor_factory=FaultyCursor, **options)


def _struck(
    connection: psycopg.Connection[Any], run: Callable[[], Result], *, commit: bool = False
) -> Result:
    if not Armed.strikes():
        return run()
    fault, schemas = Armed.fault, Armed.schemas
    assert fault is not None
    assert schemas is not None
    if fault.kind in ("refused", "full"):
        with psycopg.Cursor(connection) as cursor:
            if commit:
                cursor.execute("SELECT set_config('test.full', 'on', true)")
            else:
                cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION USING {FULL}; END $$".encode())
        return run()
    done = run() if fault.after else None
    if fault.kind == "kill":
        raise Crash
    if fault.kind == "server":
        schemas.crash_server(connection)
    else:
        schemas.end(connection)
    if not fault.after:
        return run()  # which fails
    if commit:
        raise psycopg.OperationalError("server closed the connection unexpectedly")
    return done  # type: ignore[return-value]


class Schemas:
    """PostgreSQL; a place is a schema, which stays what it is whatever becomes of processes."""

    def __init__(self, server: Server, crashes: Crashes) -> None:
        self._server = server
        self._crashes = crashes
        self._name = f"crash{next(_names)}"
        self._open: dict[str, KeyStore] = {}
        self._connection = self._connect()
        Armed.schemas = self

    @property
    def kinds(self) -> Sequence[str]:
        """The server's end only while it may still be killed."""
        server = ["server"] if self._crashes.left else []
        return ["refused", "full", "kill", "kill", "cut", "cut", *server]

    def new(self, side: Side) -> ServerPlace:
        place = ServerPlace(self._server.url, f"{self._name}_{side.value}")
        store = KeyStore.open(place, KEK, side)
        store.install_preplaced(PREPLACED)
        store.close()
        self._run("CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ "
                  "BEGIN IF current_setting('test.full', true) = 'on' THEN "
                  f"RAISE EXCEPTION USING {FULL}; END IF; RETURN NULL; END $$", place)  # fmt: skip
        for table in ("store", "blocks", "marks", "grants"):
            self._run(
                "CREATE CONSTRAINT TRIGGER full_disk AFTER INSERT OR UPDATE OR DELETE "
                f"ON {table} DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION full_disk()",
                place,
            )
        return place

    def open(self, place: ServerPlace, side: Side) -> KeyStore:
        self._until_gone(place)
        store = self._open[place.schema] = KeyStore.open(place, KEK, side)
        return store

    def look(self, store: KeyStore, place: ServerPlace) -> Held:
        return self._look(place)

    def closed(self, store: KeyStore) -> bool:
        return False

    def arm(self, fault: Fault | None) -> None:
        Armed.fault, Armed.left = fault, fault.at if fault else 0

    def disarm(self) -> None:
        Armed.fault = None

    def failed(
        self,
        store: KeyStore,
        place: ServerPlace,
        fault: Fault,
        chance: random.Random,
        *,
        died: bool,
    ) -> ServerPlace | None:
        return place if died else None

    def crash(
        self, store: KeyStore, place: ServerPlace, chance: random.Random | None
    ) -> ServerPlace:
        if chance is not None and self._crashes.left:
            self.crash_server()
        return place

    def durable(self, place: ServerPlace, side: Side) -> Held | None:
        return self._look(place)

    def save(self, place: ServerPlace, side: Side) -> dict[str, list[Any]]:
        return {table: self._run(f"SELECT * FROM {table}", place).fetchall() for table in TABLES}

    def put_back(self, saved: dict[str, list[Any]], place: ServerPlace, side: Side) -> ServerPlace:
        self._until_gone(place)
        with self._connection.transaction():
            for table in reversed(TABLES):
                self._run(f"DELETE FROM {table}", place)
            for table, rows in saved.items():
                with self._connection.cursor() as cursor:
                    for row in rows:
                        marks = ", ".join(["%s"] * len(row))
                        cursor.execute(f"INSERT INTO {table} VALUES ({marks})".encode(), row)
        return place

    def close(self) -> None:
        self.disarm()
        for side in Side:
            schema = f"{self._name}_{side.value}"
            self._connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
        self._connection.close()
        Armed.schemas = None

    def end(self, connection: psycopg.Connection[Any]) -> None:
        """The server ends a connection of the product."""
        pid = connection.info.backend_pid
        self._connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))

    def crash_server(self, struck: psycopg.Connection[Any] | None = None) -> None:
        """All processes of the server are killed; it starts again, and nodes find it.

        Who was struck in the middle of something notices by himself.
        """
        self._crashes.left -= 1
        self._server.kill()
        self._server.start()
        self._connection.close()
        self._connection = self._connect()
        for store in self._open.values():
            if struck is None or cast(PostgresDatabase, store._database)._connection is not struck:
                with suppress(StoreError):
                    store.last_block()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.Connection.connect(self._server.url, autocommit=True)

    def _run(self, sql: str, place: ServerPlace) -> psycopg.Cursor[Any]:
        self._connection.execute(f"SET search_path TO {place.schema}".encode())
        return self._connection.execute(sql.encode())

    def _look(self, place: ServerPlace) -> Held:
        self._connection.execute(f"SET search_path TO {place.schema}".encode())
        return held(self._connection)  # type: ignore[arg-type]

    def _until_gone(self, place: ServerPlace) -> None:
        """The node's earlier process has ended, and the server knows it."""
        store = self._open.pop(place.schema, None)
        if store is not None:
            store._database.close()
        key = f"bellwire node {place.schema}"
        give_up_at = time.monotonic() + PATIENCE_S
        while True:
            row = self._connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)
            ).fetchone()
            assert row is not None
            if row[0]:
                self._connection.execute(
                    "SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (key,)
                )
                return
            assert time.monotonic() < give_up_at
            time.sleep(0.001)
