"""Where a log's store lies in the tests: in a folder."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bellwire.ledger.store.database import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return tmp_path / "log"


@pytest.fixture
def sql(place: Path) -> Callable[[str], None]:
    """Runs a statement on the store of that place, which is closed or does not look."""

    def run(statement: str) -> None:
        with closing(sqlite3.connect(place / "log.sqlite", isolation_level=None)) as file:
            file.execute(statement)

    return run
