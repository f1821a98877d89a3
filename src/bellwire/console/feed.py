"""What happens at a console, told live: one ring for everybody, a place in it for each listener.

A listener costs a number, whatever it misses: who was away, or is slow, goes on after the last
event that it has, and where that is gone from the ring begins again with the whole of it.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import msgspec

KEPT = 4096
"""Events in the ring: half an hour of blocks and samples, one a second each."""

HEARTBEAT_S = 2.0

Sees = Callable[["Happened"], bool]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event.

    Attributes:
        number: Running.
        name: Which kind.
        content: JSON.
        watchers: Whether it is for operators and auditors alone.
        names: Accounts that may see it beside those.
    """

    number: int
    name: str
    content: bytes
    watchers: bool
    names: frozenset[str]


class Feed:
    """The ring; in the event loop's thread alone."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(8)
        self._ring: deque[Happened] = deque(maxlen=KEPT)
        self._number = 0
        self._listeners: set[asyncio.Event] = set()

    def publish(
        self,
        name: str,
        content: msgspec.Struct | list[object],
        *,
        watchers: bool = False,
        names: frozenset[str] = frozenset(),
    ) -> None:
        """Something happened.

        Args:
            name: Of the event.
            content: Its content.
            watchers: Whether it is for operators and auditors alone.
            names: Accounts that may see it all the same.
        """
        self._number += 1
        body = msgspec.json.encode(content)
        self._ring.append(Happened(self._number, name, body, watchers, names))
        for each in self._listeners:
            each.set()

    async def listen(
        self,
        last_id: str,
        whole: Callable[[], msgspec.Struct],
        sees: Sees,
        alive: Callable[[], bool],
    ) -> AsyncGenerator[bytes, None]:
        """Server-sent events (HTML, 9.2), from the one after `last_id` on.

        Args:
            last_id: Of the last event that the listener has; empty at first.
            whole: What stands for all that a listener does not have.
            sees: Whether it may see an event.
            alive: Whether it may still listen; asked before each word.
        """
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            at = self._place(last_id)
            while True:
                event.clear()
                if not alive():
                    yield said("signed_out", b"{}")
                    return
                words = []
                if at is None or (self._ring and self._ring[0].number > at + 1):
                    at = self._number
                    words.append(self._word(at, "network", msgspec.json.encode(whole())))
                for each in self._after(at):
                    at = each.number
                    if sees(each):
                        words.append(self._word(at, each.name, each.content))
                if not words:
                    words.append(said("heartbeat", b'{"at":%.3f}' % time.time()))
                yield b"".join(words)
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await event.wait()
                except TimeoutError:
                    continue
        finally:
            self._listeners.discard(event)

    def _after(self, number: int) -> list[Happened]:
        missed = self._number - number
        return [] if missed <= 0 else list(self._ring)[-missed:]

    def _place(self, last_id: str) -> int | None:
        """The number in an event's id; None if it is of another life of the console, or none."""
        epoch, _, number = last_id.partition("-")
        if epoch != self._epoch or not number.isdecimal() or len(number) > 15:
            return None
        return min(int(number), self._number)

    def _word(self, number: int, name: str, content: bytes) -> bytes:
        return b"id: %b-%d\n" % (self._epoch.encode(), number) + said(name, content)


def said(name: str, content: bytes) -> bytes:
    """A server-sent event without an id."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), content)
