"""The crash suite on a PostgreSQL server: the machine and the model that files have."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from tests.keys.ground import Ground
from tests.keys.postgres import ground
from tests.keys.postgres.ground import Crashes, Schemas
from tests.keys.postgres.server import Server
from tests.keys.story import (
    Grounds,
    before_the_commit,
    check_seen,
    no_marks,
    other_bits,
    small_segments,
    tell_all,
)

from bellwire.database import postgres as schema
from bellwire.keys.database import postgres
from bellwire.keys.errors import StoreCorrupt

SEEDS = range(5)
SERVER_CRASHES = 4
LEAST = {
    "left to a master": 250,
    "left to a slave": 15,
    "refused": 25,
    "failed": 15,
    "put back": 2,
    "fenced": 2,
    "heard Propose": 10,
}
"""What must have happened in all stories together."""


@pytest.fixture(autouse=True)
def small_and_struck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small segments, and connections that a fault may strike."""
    small_segments(monkeypatch)
    monkeypatch.setattr(psycopg, "connect", ground.connect)
    monkeypatch.setattr(schema, "RETRY_EVERY_S", 0.0)


@pytest.fixture
def schemas(server: Server) -> Grounds:
    crashes = Crashes(SERVER_CRASHES)

    @contextmanager
    def make() -> Iterator[Ground]:
        yield Schemas(server, crashes)

    return make


def test_no_key_is_ever_delivered_twice_whatever_fails(schemas: Grounds) -> None:
    check_seen(tell_all(schemas, SEEDS), LEAST)


def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's disk is not waited for."""
    set_up = postgres.PostgresDatabase._set_up

    def hasty(self: postgres.PostgresDatabase, connection: psycopg.Connection) -> None:
        set_up(self, connection)
        connection.execute("SET synchronous_commit TO off")

    monkeypatch.setattr(postgres.PostgresDatabase, "_set_up", hasty)


SOON = [no_marks, before_the_commit, other_bits]
"""Those of `tests.keys.story` that a few stories find; the others are looked for on files."""


@pytest.mark.parametrize("fault", SOON)
def test_the_suite_finds_a_fault_that_is_put_in(
    monkeypatch: pytest.MonkeyPatch,
    schemas: Grounds,
    fault: Callable[[pytest.MonkeyPatch], None],
) -> None:
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        tell_all(schemas, SEEDS)


def test_a_disk_that_is_not_waited_for_is_found(
    monkeypatch: pytest.MonkeyPatch, schemas: Grounds
) -> None:
    no_sync(monkeypatch)
    # How much a crash undoes is a matter of time: a process that lives on may see it first.
    with pytest.raises((AssertionError, StoreCorrupt)):
        tell_all(schemas, SEEDS)
