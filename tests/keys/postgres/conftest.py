"""One server for all tests of a process, and a schema of its own for each store."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.keys import stores
from tests.keys.postgres.server import Server, be_patient, running

from bellwire.base.detections import Side
from bellwire.database.place import ServerPlace
from bellwire.keys.database.postgres import PostgresDatabase


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def open_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., PostgresDatabase]]:
    """Stores of a folder are schemas named after it; each is closed, as a process that ends does.

    A store that is opened again was given up before, though not always closed.
    """
    be_patient(monkeypatch)
    opened: dict[ServerPlace, PostgresDatabase] = {}
    others: list[PostgresDatabase] = []
    open_it: Callable[..., PostgresDatabase] = PostgresDatabase.open

    def place(folder: Path, side: Side) -> ServerPlace:
        return place_of(server, folder, side)

    def open_tracked(where: ServerPlace, *, shared: bool = False) -> PostgresDatabase:
        if shared:
            others.append(open_it(where, shared=True))
            return others[-1]
        if where in opened:
            opened.pop(where).close()
        opened[where] = open_it(where)
        return opened[where]

    monkeypatch.setattr(stores, "place", place)
    monkeypatch.setattr(PostgresDatabase, "open", open_tracked)
    yield open_it
    for database in [*opened.values(), *others]:
        database.close()


def place_of(server: Server, folder: Path, side: Side) -> ServerPlace:
    digest = hashlib.sha256(str(folder).encode()).hexdigest()
    return ServerPlace(server.url, f"test_{digest[:16]}_{side.value}")
