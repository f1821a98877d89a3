"""The processes that a piece of a test leaves behind."""

import contextlib
from collections.abc import Iterator

import psutil


@contextlib.contextmanager
def leaves_no_child() -> Iterator[None]:
    """The block starts no process that outlives it; what other tests keep running is theirs."""
    before = set(psutil.Process().children())
    yield
    assert set(psutil.Process().children()) <= before
