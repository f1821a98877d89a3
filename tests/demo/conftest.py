import pytest
from tests.demo.runs import Told, full_run


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One full demo through the real command."""
    return full_run(tmp_path_factory)
