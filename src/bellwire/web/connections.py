"""The connections of a door, and whose turn it is to go when there are too many."""

import asyncio
from collections.abc import Iterator
from typing import Protocol


class Member(Protocol):
    """A connection, as far as its number counts."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way on it."""

    def close(self) -> None:
        """End it, if it is idle."""


class Connections:
    """Who is connected, by name.

    A connection beyond a limit takes the place of the oldest idle one: of its own name, or, beyond
    the limit of all, of the name that has the most. If none is idle there is no place.

    Args:
        most: In all.
        most_of_one: Of one name.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._of: dict[str, dict[Member, None]] = {}
        self._count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Member]:
        return iter([each for members in self._of.values() for each in members])

    def join(self, name: str, member: Member) -> bool:
        """Let `member` in; False if there is no place."""
        own = self._of.get(name, {})
        if len(own) >= self._most_of_one and not self._make_room(name):
            return False
        if self._count >= self._most:
            largest = max(self._of, key=lambda each: len(self._of[each]))
            if not self._make_room(largest):
                return False
        self._of.setdefault(name, {})[member] = None
        self._count += 1
        self._empty.clear()
        return True

    def leave(self, name: str, member: Member) -> None:
        """`member` is gone; nothing if it was not there."""
        members = self._of.get(name, {})
        if member in members:
            del members[member]
            self._count -= 1
            if not members:
                del self._of[name]
            if not self._count:
                self._empty.set()

    async def empty(self) -> None:
        """Wait until nobody is connected."""
        await self._empty.wait()

    def _make_room(self, name: str) -> bool:
        oldest = next((each for each in self._of[name] if each.idle), None)
        if oldest is None:
            return False
        self.leave(name, oldest)
        oldest.close()
        return True
