from pathlib import Path

import pytest

from bellwire.pki.authority import Authority, authority_folder


class Now:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.5

    def __call__(self) -> float:
        return self.time

    def days(self, days: float) -> None:
        self.time += 86_400 * days


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def authority(tmp_path: Path, now: Now) -> Authority:
    """An authority of site a, at a time of its own."""
    made = Authority(authority_folder(tmp_path, "a"), "a", now)
    assert made.create()
    return made
