"""Ways from pages to relays, through their console: it hands on all frames as they are.

A way has a line of its own to each relay of the console's settings, and one more to the first,
where its owner logs in. No page says which address is dialled: a relay that moves is followed
(`web.relay_lines`). A line that ends is had again by itself; the relay's challenge tells the page
that it is there. Besides, a page has lines of its own to the first relay, for as long as it asks
the relay's accounts for something: so that what it asks for on one has nothing to do with what goes
by another. The way ends with the page's stream.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from picows import WSError, WSMsgType, WSTransport

from bellwire.console.browsers import BrowserSession
from bellwire.console.feed import said
from bellwire.console.views import Done, Heartbeat
from bellwire.console.views_chat import (
    OWN,
    AskedLine,
    CameFrame,
    LineEnded,
    SentFrames,
    SessionUnfolds,
    WayOpened,
)
from bellwire.web.errors import RequestRefused
from bellwire.web.plain import require_pace
from bellwire.web.rates import Rates
from bellwire.web.relay_lines import RelayLine, RelayLines, hang_up

WAYS_OF_ACCOUNT: Final = 4
WAYS: Final = 64
"""At once: each holds a connection of a browser, and some to relays."""

WAY_S: Final = 3600.0
"""After that long a way ends; the page has another at once."""

HEARTBEAT_S: Final = 5.0
AGAIN_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""After how long a relay that did not answer is tried again; the last of them from then on."""

OWN_LINE_S: Final = 300.0
"""After that long a line of a page's own ends."""

OWN_LINES_PER_S: Final = 0.5
OWN_LINES_BURST: Final = 30.0
"""Of an account: lines of its pages' own."""

OWN_FRAMES_PER_S: Final = 2.0
OWN_FRAMES_BURST: Final = 120.0
"""Of an account, on lines of its pages' own: the relay counts all of a console as one source."""

MAX_UNREAD: Final = 4 << 20
"""Bytes of events that a page did not take yet; a relay has 64 payloads under way at most."""

MAX_UNSENT: Final = 1 << 20
"""Bytes that a relay did not take yet."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rider:
    """Whose way it is.

    Attributes:
        name: Of the account.
        session: The browser's; None of a program that shows a token.
    """

    name: str
    session: BrowserSession | None


class _Way:
    """One way, while its page listens."""

    def __init__(self, rider: Rider) -> None:
        self.rider = rider
        self.lines: dict[int, WSTransport] = {}
        self.own: dict[int, asyncio.Task[None]] = {}
        self.changed = asyncio.Event()
        self.is_full = False
        self._words: list[bytes] = []
        self._size = 0

    def say(self, name: str, content: msgspec.Struct) -> None:
        """An event for the page."""
        words = said(name, msgspec.json.encode(content))
        self._size += len(words)
        self.is_full = self.is_full or self._size > MAX_UNREAD
        if not self.is_full:
            self._words.append(words)
        self.changed.set()

    def take(self) -> bytes:
        """What the page has not been told yet."""
        words = b"".join(self._words)
        self._words.clear()
        self._size = 0
        return words

    async def keep(self, number: int, url: str, lines: RelayLines) -> None:
        """Have a line, and again whenever it ends, wherever the relay is then."""
        tries = 0
        while True:
            line = await lines.reach(url)
            if line is not None:
                tries = 0
                await self._until_ended(number, line, lines)
            if tries == 0:
                self.say("ended", LineEnded(number))
            await asyncio.sleep(AGAIN_S[min(tries, len(AGAIN_S) - 1)])
            tries += 1

    def begin(self, number: int, url: str, lines: RelayLines) -> None:
        """Have a line of the page's own, which is not had again once it ends."""
        task = asyncio.create_task(self._once(number, url, lines))
        self.own[number] = task

        def ended(_: object) -> None:
            del self.own[number]
            self.say("ended", LineEnded(number))

        task.add_done_callback(ended)

    async def _once(self, number: int, url: str, lines: RelayLines) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OWN_LINE_S):
                line = await lines.reach(url)
                if line is not None:
                    await self._until_ended(number, line, lines)

    async def _until_ended(self, number: int, line: RelayLine, lines: RelayLines) -> None:
        self.lines[number] = line.transport
        learning = asyncio.create_task(lines.learn(line))
        line.hand_on(lambda frame: self.say("frame", CameFrame(number, frame)))
        try:
            await line.transport.wait_disconnected()
            await line.notices.join()  # its last word may be where it is now
        except WSError:
            pass  # it said what is no WebSocket: the line has ended
        except asyncio.CancelledError:
            await hang_up(line.transport)
            raise
        finally:
            self.lines.pop(number, None)
            learning.cancel()
            await asyncio.gather(learning, return_exceptions=True)


class Ways:
    """All ways of a console; in the event loop's thread alone.

    Args:
        relays: Their addresses, where they are at home.
        lines: To where they are.
        clock: Seconds of a clock that only advances.
    """

    def __init__(
        self,
        relays: Sequence[str],
        lines: RelayLines,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.relays = tuple(relays)
        self._lines = lines
        self._clock = clock
        self._ways: dict[str, _Way] = {}
        self._own_lines = Rates(OWN_LINES_PER_S, OWN_LINES_BURST)
        self._own_frames = Rates(OWN_FRAMES_PER_S, OWN_FRAMES_BURST)

    def check_room(self, rider: Rider) -> None:
        """Return only if there is room for another way.

        Raises:
            RequestRefused: 404, this console has no relay; 429, there are too many.
        """
        if not self.relays:
            raise RequestRefused(404, "this console reaches no relay: set console.relays")
        mine = sum(each.rider.name == rider.name for each in self._ways.values())
        if len(self._ways) >= WAYS or mine >= WAYS_OF_ACCOUNT:
            raise RequestRefused(429, "too many pages talk", headers=[("retry-after", "5")])

    async def open(self, rider: Rider, alive: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """Server-sent events of a new way, until it ends; `check_room` comes just before.

        Args:
            rider: Whose.
            alive: Whether he is still signed in; asked before each word.
        """
        name, way = secrets.token_urlsafe(32), _Way(rider)
        self._ways[name] = way
        urls = (self.relays[0], *self.relays)
        kept = [way.keep(number, url, self._lines) for number, url in enumerate(urls)]
        tasks = [asyncio.create_task(each) for each in kept]
        way.say("opened", WayOpened(name))
        until = self._clock() + WAY_S
        try:
            while not way.is_full:
                way.changed.clear()
                if not alive():
                    yield said("signed_out", msgspec.json.encode(Done()))
                    return
                if self._clock() >= until:
                    break
                beat = Heartbeat(time.time())
                yield way.take() or said("heartbeat", msgspec.json.encode(beat))
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await way.changed.wait()
                except TimeoutError:
                    continue
            if way.is_full:
                log.warning("a page does not take what its relay says", account=rider.name)
        finally:
            del self._ways[name]
            tasks.extend(way.own.values())
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def line(self, rider: Rider, asked: AskedLine) -> None:
        """Begin or end a line of a page's own.

        Raises:
            RequestRefused: 404, it is no way of his; 409, a line of that number has not ended yet;
                429, there were too many.
        """
        way = self._of(rider, asked.way)
        there = way.own.get(asked.line)
        if not asked.open:
            if there is not None:
                there.cancel()
            return
        if there is not None:
            raise RequestRefused(409, "a line of this number has not ended yet")
        require_pace(self._own_lines.wait_s(rider.name, self._clock()))
        way.begin(asked.line, self.relays[0], self._lines)

    def tell(self, account: str, unfolds: SessionUnfolds) -> None:
        """Tell each page of an account of a session."""
        for way in self._ways.values():
            if way.rider.name == account:
                way.say("session", unfolds)

    def send(self, rider: Rider, sent: SentFrames) -> None:
        """Hand frames to a relay.

        Raises:
            RequestRefused: 404, it is no way of his; 429, there were too many on lines of pages'
                own; 503, the relay does not answer, or not read.
        """
        way = self._of(rider, sent.way)
        if sent.line >= OWN:
            for _ in sent.frames:
                require_pace(self._own_frames.wait_s(rider.name, self._clock()))
        line = way.lines.get(sent.line)
        if line is None or line.underlying_transport.get_write_buffer_size() > MAX_UNSENT:
            raise RequestRefused(
                503, "the relay does not answer now", headers=[("retry-after", "1")]
            )
        for each in sent.frames:
            line.send(WSMsgType.BINARY, each)

    def _of(self, rider: Rider, name: str) -> _Way:
        way = self._ways.get(name)
        if way is None or way.rider != rider:
            raise RequestRefused(404, "there is no such way: it has ended")
        return way
