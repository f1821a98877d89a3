"""A folder of its own for each test, in memory where there is such a thing: stores sync a lot."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.keys.stores import IN_MEMORY


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bw", dir=IN_MEMORY) as name:
        yield Path(name)
