"""The key store's schema on a PostgreSQL server.

One process owns a store, the node; others may share its pool. What PostgreSQL keeps of deleted rows
is sealed.
"""

import time
from typing import TYPE_CHECKING, Any

from bellwire.database.failures import Failures
from bellwire.database.place import ServerPlace
from bellwire.database.postgres import PostgresSchema, Purpose, one_row
from bellwire.keys.database.interface import SCHEMA_VERSION
from bellwire.keys.errors import StoreBusy, StoreCorrupt, StoreError, StoreRefused, StoreUnusable

if TYPE_CHECKING:
    from psycopg import Connection


class PostgresDatabase(PostgresSchema):
    """One open key store; `open` makes one.

    Args:
        place: Where it is.
        shared: Whether this is one more process beside the node, which owns the store.
    """

    purpose = Purpose(
        what="a key store",
        owner="node",
        setting="store.url",
        guide="docs/how-to/use-postgresql.md",
        at_stake="Keys could be handed out twice after a power cut.",
        failures=Failures(StoreError, StoreBusy, StoreCorrupt, StoreUnusable, StoreRefused),
    )

    def __init__(self, place: ServerPlace, *, shared: bool) -> None:
        super().__init__(place, alone=None if shared else f"bellwire node {place.schema}")
        self._shared = shared

    @classmethod
    def open(cls, place: ServerPlace, *, shared: bool = False) -> "PostgresDatabase":
        """Open a schema, making it where there is none; `shared` needs one that is there.

        Raises:
            StoreUnusable: no connection, no rights, or psycopg is not installed.
            StoreRefused: commits are not durable, or the schema is another program's.
            StoreBusy: another node has it.
        """
        return cls(place, shared=shared)._begin_with()

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

    def _check_schema(self) -> None:
        connection = self._connection
        assert connection is not None
        connection.execute(self._begin)
        schema = self._place.schema
        (tables, versions) = one_row(
            connection,
            "SELECT count(*), count(*) FILTER (WHERE c.relname = 'alembic_version') "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s",
            schema,
        )
        if tables and not versions:
            raise StoreRefused(f"expected a key store in {self._place}, got another's tables")
        found = (
            one_row(connection, "SELECT version_num FROM alembic_version") if versions else ("0",)
        )
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
        (there,) = one_row(connection, "SELECT to_regnamespace(%s) IS NOT NULL", schema)
        connection.rollback()
        make = [] if there else [f"CREATE SCHEMA {schema}"]
        try:
            migrate("postgresql+psycopg", connection, version, begin=["BEGIN", *make])
        except exc.DBAPIError as error:
            if isinstance(error.orig, self._driver().Error):
                raise error.orig from error
            raise


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
            (there,) = one_row(
                database._connection,
                "SELECT to_regclass(%s) IS NOT NULL",
                f"{place.schema}.alembic_version",
            )
    finally:
        database.close()
    return bool(there)
