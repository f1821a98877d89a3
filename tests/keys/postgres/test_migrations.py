"""A schema of each released version on a server is brought up to date with what it holds."""

from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from tests.keys import stores
from tests.keys.links import MAC_KEY
from tests.keys.postgres.conftest import place_of
from tests.keys.postgres.ground import TABLES
from tests.keys.postgres.server import Server
from tests.keys.stores import add_pending, add_ready, new_store, open_store, pool_of, serve, take

from bellwire.base.detections import Side
from bellwire.database.place import ServerPlace
from bellwire.keys.database.interface import SCHEMA_VERSION
from bellwire.keys.database.migrate import MIGRATIONS, revision
from bellwire.keys.requests import Make

RELEASED = range(5, SCHEMA_VERSION)


def begin_again(place: ServerPlace, version: int) -> dict[str, list[tuple[object, ...]]]:
    """The schema as an earlier version made it, with the rows that it has now."""
    with psycopg.Connection.connect(place.url, autocommit=True) as connection:
        connection.execute(f"SET search_path TO {place.schema}".encode())
        rows = {
            table: connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
            for table in TABLES
        }
        connection.execute(f"DROP SCHEMA {place.schema} CASCADE".encode())
        connection.execute(f"CREATE SCHEMA {place.schema}".encode())
        engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: connection,
            poolclass=StaticPool,
            pool_reset_on_return=None,
        )
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with engine.connect() as bound:
            config.attributes["connection"] = bound
            command.upgrade(config, revision(version))
        for table, found in rows.items():
            for row in found:
                marks = ", ".join(["%s"] * len(row))
                connection.execute(f"INSERT INTO {table} VALUES ({marks})".encode(), row)
    return rows


@pytest.mark.parametrize("version", RELEASED)
def test_a_store_of_every_released_version_keeps_all_that_it_had(
    server: Server, folder: Path, version: int
) -> None:
    store = new_store(folder)
    add_ready(store, 1, 4096)
    add_pending(store, 2, 4096)
    pool, grants = pool_of(store), store.grants()
    grants.load()
    grants.agree(grants.propose("a1", ("b1", "b2")).number)
    taken = take(pool)
    serve(pool, Make(1, 128, "a1", ("a2",)))
    pool.exchange.take_report(3, [(24, 28)], 1000.0)
    account, marks = pool.account(), pool.marks
    store.close()
    place = place_of(server, folder, Side.ALICE)
    rows = begin_again(place, version)
    store = open_store(folder)
    with store._database.transaction() as cursor:
        for table, found in rows.items():
            assert sorted(cursor.execute(f"SELECT * FROM {table}").fetchall()) == sorted(found)
        (there,) = cursor.execute("SELECT version_num FROM alembic_version").fetchone()
    assert there == revision(SCHEMA_VERSION)
    pool = store.pool()
    pool.load(MAC_KEY)
    assert (pool.account(), pool.marks) == (account, marks)
    pool.confirm(marks.next_unit)
    assert take(pool).ids != taken.ids
    assert store.mark_ready(2).units == 48
    log = store.status_log()
    assert log.read(0.0, 10) == []
    store.close()


def test_the_dump_of_files_and_the_schemas_here_are_of_the_same_versions() -> None:
    found = {int(path.stem.removeprefix("version_")) for path in stores.DATA.glob("version_*.sql")}
    assert found >= set(RELEASED)
