"""Which records of an epoch have come: each counts once, in any order, and not when it is too old.

Source: RFC 6479 (a window that slides over sequence numbers); RFC 4303, 3.4.3.
"""

from dataclasses import dataclass
from typing import Final

from bellwire.channel.errors import RecordDropped

WINDOW: Final = 1024
"""How far behind the newest record another may come."""

_MASK: Final = (1 << WINDOW) - 1


class Window:
    """The newest number, and a bit for each of those behind it.

    `check` comes before a record is opened and changes nothing, `mark` after it has opened: what
    somebody made up moves no window.
    """

    __slots__ = ("_newest", "_seen")

    def __init__(self) -> None:
        self._newest = -1
        self._seen = 0

    def __repr__(self) -> str:
        return f"Window(newest {self._newest})"

    @property
    def newest(self) -> int:
        """The highest number that was marked; -1 before the first."""
        return self._newest

    def check(self, number: int) -> None:
        """Return only if `number` has not come, and is not too old to tell.

        Raises:
            RecordDropped: it is one of these.
        """
        behind = self._newest - number
        if behind >= WINDOW:
            raise RecordDropped(
                f"expected a record after {self._newest - WINDOW}, got {number}", doubled=True
            )
        if behind >= 0 and self._seen >> behind & 1:
            raise RecordDropped(f"expected record {number} once, got it again", doubled=True)

    def mark(self, number: int) -> None:
        """Remember a number that `check` let pass."""
        ahead = number - self._newest
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & _MASK if ahead < WINDOW else 1
            self._newest = number
        else:
            self._seen |= 1 << -ahead


@dataclass(slots=True)
class Dropped:
    """How many datagrams were none of the session's new records, and why."""

    doubled: int = 0
    foreign: int = 0

    def count(self, error: RecordDropped) -> None:
        """Count one."""
        if error.doubled:
            self.doubled += 1
        else:
            self.foreign += 1
