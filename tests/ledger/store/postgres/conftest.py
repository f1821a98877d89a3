"""One server for all tests of a process; each test has a schema of its own."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from tests.keys.postgres.server import Server, be_patient, running

from bellwire.database.place import ServerPlace

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest.fixture
def place(server: Server) -> ServerPlace:
    return ServerPlace(server.url, f"log{next(_numbers)}")


@pytest.fixture
def sql(server: Server, place: ServerPlace) -> Callable[[str], None]:
    """Runs a statement in the schema of that place."""

    def run(statement: str) -> None:
        server.sql(f"SET search_path TO {place.schema}; {statement}", database="keys")

    return run
