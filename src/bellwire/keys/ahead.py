"""Keys that were marked before anybody asked for them, so that whoever asks waits for no disk.

While requests that are alike come faster than a commit takes, a commit marks some more keys than
were asked for, and the next requests get those. What always holds:

- A key is here only once its mark is durable: like any other, it left as far as the disk knows.
- Keys here are the last that were marked: before any other key is, they are handed out or given
  back. So giving back is putting a mark where it was.
- There are never more than were handed out in the last `WITHIN_S`, and `MAX_AHEAD` at most. A crash
  loses them, beside what was under way; they are never handed out again.
- If nobody asks for `IDLE_S` they are given back. They go with a fence, and with a commit that
  failed.
"""

from collections import deque

from bellwire.keys.kme import Delivery
from bellwire.keys.requests import Take

MAX_AHEAD = 64
"""Keys ahead at most."""

LEAST_AHEAD = 8
"""With fewer it costs more than it spares."""

WITHIN_S = 0.005
"""So many seconds of requests are marked ahead: about what a pair of requests takes under load."""

IDLE_S = 0.05
"""How long nobody asks before keys are given back."""


class Ahead:
    """The keys of one pool that wait to be asked for, in order; alike but for their bits."""

    def __init__(self) -> None:
        self.take: Take | None = None
        self._units = 0
        self._keys: deque[tuple[int, Delivery]] = deque()

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"Ahead({len(self._keys)} keys)"

    @property
    def units(self) -> int:
        """Units of all of them."""
        return self._units * len(self._keys)

    def add(self, take: Take, units: int, firsts: list[int], keys: list[Delivery]) -> None:
        """Keys for requests like `take` are marked, durably.

        Args:
            take: For one key; if others are here, theirs.
            units: Of each key.
            firsts: The first unit of each key.
            keys: The keys. Secret.
        """
        self.take, self._units = take, units
        self._keys.extend(zip(firsts, keys, strict=True))

    def next(self) -> tuple[int, int, Delivery]:
        """The next key, which is handed out: its first unit, the one behind its last, and it.

        Raises:
            IndexError: there is none.
        """
        first, key = self._keys.popleft()
        return first, first + self._units, key

    def clear(self) -> list[tuple[int, int]]:
        """Wipe all that is left; where it lay, in order."""
        left = []
        while self._keys:
            first, key = self._keys.popleft()
            key.keys.wipe()
            left.append((first, first + self._units))
        self.take = None
        return left


class Pace:
    """How many keys to mark ahead: as many as requests came in the last moment, all alike.

    `now` is in seconds of a clock that only advances.
    """

    def __init__(self) -> None:
        self._alike: Take | None = None
        self._count = 0
        self._since = 0.0
        self._keys = 0

    def note(self, take: Take, now: float) -> None:
        """A request came, at `now` seconds of any clock that only goes forward."""
        if take != self._alike:
            self._alike, self._count, self._since, self._keys = take, 0, now, 0
        self._count += 1

    def ahead(self, now: float) -> tuple[Take, int] | None:
        """For which requests keys should be there, and how many; None for none."""
        took = now - self._since
        if took >= WITHIN_S:
            self._keys = min(MAX_AHEAD, int(self._count * WITHIN_S / took))
            self._count, self._since = 0, now
        take = self._alike
        if take is None or take.number != 1 or take.copied or self._keys < LEAST_AHEAD:
            return None
        return take, self._keys
