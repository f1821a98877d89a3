"""Random devices of tests: FIFOs with as many bytes in them as a pipe holds."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

HELD = 1 << 16
"""Bytes that a pipe holds on Linux."""


class Fifo:
    """A FIFO whose writer stays until `end`, and writes no more."""

    def __init__(self, path: Path, content: bytes) -> None:
        os.mkfifo(path)
        self.path = path
        # Open for reading as well, so that what is written waits for the reader under test.
        self._writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.write(content)

    def write(self, content: bytes) -> None:
        if content:
            assert os.write(self._writer, content) == len(content)

    def drain(self) -> None:
        """Take away what nobody has read."""
        with contextlib.suppress(BlockingIOError):
            while True:
                os.read(self._writer, HELD)

    def end(self) -> None:
        """The writer goes; who has the FIFO open reads what is left, and then its end."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1


@contextmanager
def fifo(path: Path, content: bytes) -> Iterator[Fifo]:
    """A FIFO with `content` in it."""
    made = Fifo(path, content)
    try:
        yield made
    finally:
        made.end()


def good(count: int = HELD, seed: int = 1) -> bytes:
    """Bytes of a good device."""
    return np.random.default_rng(seed).bytes(count)
