"""What draws random bytes, and the one that everybody has: the operating system's generator."""

import os
from typing import Protocol as Interface

from bellwire.crypto.errors import LengthError

MAX_DRAW_BYTES = 1 << 16
"""Most bytes of one draw: one request of SP 800-90A. What needs more stretches a seed."""


class RandomSource(Interface):
    """A source of random bytes; any thread may draw."""

    @property
    def name(self) -> str:
        """As the setting writes it: `os`, `device:PATH`."""

    @property
    def assumption(self) -> str | None:
        """What a report adds to what its claims rest on; None where there is nothing to add."""

    @property
    def failure(self) -> str | None:
        """Why it gives nothing more, in words without secrets; None while it does."""

    def draw(self, count: int) -> bytes:
        """`count` fresh bytes, secret until the caller says them.

        Raises:
            LengthError: count is negative, or above `MAX_DRAW_BYTES`.
            RandomnessFailed: it gives no more, now and until it is opened anew.
        """

    def close(self) -> None:
        """Let go of what it holds open."""


class OperatingSystem:
    """The operating system's generator; it waits for its first seed and never fails."""

    name = "os"
    assumption = None
    failure = None

    def draw(self, count: int) -> bytes:
        """`count` bytes of `os.urandom`; LengthError."""
        require_count(count)
        return os.urandom(count)

    def close(self) -> None:
        """Nothing is held open."""


def require_count(count: int) -> None:
    """LengthError unless so many bytes may be drawn at once."""
    if not 0 <= count <= MAX_DRAW_BYTES:
        raise LengthError("a draw", f"0 to {MAX_DRAW_BYTES} bytes", count)
