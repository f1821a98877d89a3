"""A pair of doors that most tests share: each test takes keys of its own."""

from collections.abc import Iterator

import pytest
from tests.web.doors import Pair, doors


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with doors(tmp_path_factory.mktemp("doors")) as found:
        yield found
