"""Ways from pages to relays, through their console: it carries frames, and looks into none.

A way has a line of its own to each relay of the console's settings, and one more to the first,
where its owner logs in. No page says which address is dialled. A line that ends is had again by
itself; the relay's challenge tells the page that it is there. The way ends with the page's stream.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bellwire.chat.relay.frames import MAX_ANSWER_BYTES
from bellwire.console.browsers import BrowserSession
from bellwire.console.feed import said
from bellwire.console.views import Done, Heartbeat
from bellwire.console.views_chat import (
    CameFrame,
    LineEnded,
    SentFrames,
    SessionUnfolds,
    WayOpened,
)
from bellwire.web.errors import RequestRefused

WAYS_OF_ACCOUNT: Final = 4
WAYS: Final = 64
"""At once: each holds a connection of a browser, and some to relays."""

WAY_S: Final = 3600.0
"""After that long a way ends; the page has another at once."""

HEARTBEAT_S: Final = 5.0
DIAL_S: Final = 10.0
HANDSHAKE_S: Final = 5.0
IDLE_PING_S: Final = 5.0
AGAIN_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""After how long a relay that did not answer is tried again; the last of them from then on."""

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


class _Frames(WSListener):
    """Hands whole frames on."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        super().__init__()
        self._take = take

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.BINARY:
            self._take(frame.get_payload_as_bytes())


class _Way:
    """One way, while its page listens."""

    def __init__(self, rider: Rider) -> None:
        self.rider = rider
        self.lines: dict[int, WSTransport] = {}
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

    async def keep(self, number: int, url: str) -> None:
        """Have a line, and again whenever it ends."""
        tries = 0
        while True:
            try:
                async with asyncio.timeout(DIAL_S):
                    line = await self._dial(number, url)
            except (OSError, WSError, ValueError):
                if tries == 0:
                    self.say("ended", LineEnded(number))
            else:
                tries = 0
                await self._until_ended(number, line)
                self.say("ended", LineEnded(number))
            await asyncio.sleep(AGAIN_S[min(tries, len(AGAIN_S) - 1)])
            tries += 1

    async def _dial(self, number: int, url: str) -> WSTransport:
        dialling = asyncio.ensure_future(
            ws_connect(
                lambda: _Frames(lambda frame: self.say("frame", CameFrame(number, frame))),
                url,
                websocket_handshake_timeout=HANDSHAKE_S,
                max_frame_size=MAX_ANSWER_BYTES,
                enable_auto_ping=True,
                auto_ping_idle_timeout=IDLE_PING_S,
                auto_ping_reply_timeout=IDLE_PING_S,
            )
        )
        try:
            line, _ = await asyncio.shield(dialling)
        except asyncio.CancelledError:
            # A handshake that is cancelled leaves its connection open; one that ends does not.
            done, _ = await asyncio.wait([dialling], timeout=HANDSHAKE_S)
            dialling.cancel()
            if done and dialling.exception() is None:
                line, _ = dialling.result()
                line.disconnect(graceful=False)
                await line.wait_disconnected()
            raise
        return line

    async def _until_ended(self, number: int, line: WSTransport) -> None:
        self.lines[number] = line
        try:
            await line.wait_disconnected()
        except WSError:
            pass  # it said what is no WebSocket: the line has ended
        except asyncio.CancelledError:
            line.disconnect(graceful=False)
            await line.wait_disconnected()
            raise
        finally:
            del self.lines[number]


class Ways:
    """All ways of a console; in the event loop's thread alone.

    Args:
        relays: Their addresses.
        clock: Seconds of a clock that only advances.
    """

    def __init__(
        self, relays: Sequence[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.relays = tuple(relays)
        self._clock = clock
        self._ways: dict[str, _Way] = {}

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
        tasks = [asyncio.create_task(way.keep(number, url)) for number, url in enumerate(urls)]
        way.say("opened", WayOpened(name))
        until = self._clock() + WAY_S
        try:
            while not way.is_full and self._clock() < until:
                way.changed.clear()
                if not alive():
                    yield said("signed_out", msgspec.json.encode(Done()))
                    return
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
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def tell(self, account: str, unfolds: SessionUnfolds) -> None:
        """Tell each page of an account of a session."""
        for way in self._ways.values():
            if way.rider.name == account:
                way.say("session", unfolds)

    def send(self, rider: Rider, sent: SentFrames) -> None:
        """Hand frames to a relay.

        Raises:
            RequestRefused: 404, it is no way of his; 503, the relay does not answer, or not read.
        """
        way = self._ways.get(sent.way)
        if way is None or way.rider != rider:
            raise RequestRefused(404, "there is no such way: it has ended")
        line = way.lines.get(sent.line)
        if line is None or line.underlying_transport.get_write_buffer_size() > MAX_UNSENT:
            raise RequestRefused(
                503, "the relay does not answer now", headers=[("retry-after", "1")]
            )
        for each in sent.frames:
            line.send(WSMsgType.BINARY, each)
