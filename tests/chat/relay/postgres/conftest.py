"""One server for all tests of a process; the stores of a folder are schemas named after it."""

import hashlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chat.relay import running as relays
from tests.keys.postgres.server import Server, be_patient, running
from tests.keys.stores import IN_MEMORY
from tests.network.conftest import NatsServer, served

from bellwire.chat.relay.databases import Place
from bellwire.database.place import ServerPlace

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    with (
        tempfile.TemporaryDirectory(prefix="bw", dir=IN_MEMORY) as name,
        served(Path(name)) as server,
    ):
        yield server


@pytest.fixture
def database(server: Server) -> str:
    """The URL of a database with nothing in it: processes make their schemas in it."""
    name = f"relays{next(_numbers)}"
    server.sql(f"CREATE DATABASE {name} OWNER keys")
    return server.url.replace("/keys?", f"/{name}?")


@pytest.fixture
def places(server: Server) -> tuple[ServerPlace, ServerPlace]:
    """Where a relay and its accounts are, with nothing in it yet."""
    name = f"relay{next(_numbers)}"
    return ServerPlace(server.url, name), ServerPlace(server.url, f"{name}_accounts")


@pytest.fixture(autouse=True)
def on_the_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)

    def places(folder: Path) -> tuple[Place, Place]:
        name = f"test_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
        return ServerPlace(server.url, name), ServerPlace(server.url, f"{name}_accounts")

    monkeypatch.setattr(relays, "places", places)
