"""A pair of doors that most tests share: each test takes keys of its own."""

from collections.abc import Iterator

import pytest
from tests.web.doors import Pair, doors

from bellwire.web.settings import DoorLimits


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    limits = DoorLimits(linger_s=0.1)  # tests wait for the end
    with doors(tmp_path_factory.mktemp("doors"), limits=limits) as found:
        yield found
