"""Where the relays of a console are now, and lines to them there.

A console hands frames on. Of what a relay says it reads who the relay is, and the notices by which
that relay moves; what counts of them stands in a file of the console before it is followed
(`chat.following`). Who the relay must be is the page's to say: one that answers at its home under
another id than before is handed on all the same, and none of its notices counts.

Source: spec/places.md, 3.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bellwire.base.private import PathUnusable, read_own_file, write_whole
from bellwire.channel.errors import NoticeRefused
from bellwire.chat.errors import RelayChanged, RelayMisbehaved
from bellwire.chat.following import KnownRelays
from bellwire.chat.relay.frames import MAX_ANSWER_BYTES, Challenge, Op, Placed, read_answer
from bellwire.chat.store.relays import KeptRelay
from bellwire.console.errors import RelaysDamaged

DIAL_S: Final = 10.0
HANDSHAKE_S: Final = 5.0
IDLE_PING_S: Final = 5.0
MAX_FILE_BYTES: Final = 1 << 20
"""Of what is known of relays: a notice of each."""

log = structlog.get_logger()


class RelayBook:
    """What a console knows of its relays, in a file; for one thread at a time.

    Args:
        path: Of the file.

    Raises:
        RelaysDamaged: the file is not what this program wrote.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        data = read_own_file(path, MAX_FILE_BYTES)
        try:
            self._kept = {} if data is None else msgspec.msgpack.decode(data, type=_KEPT)
        except msgspec.DecodeError as error:
            raise RelaysDamaged(
                f"expected what a console knows of its relays in {path}, got something else",
                hint="Remove it: relays are then met anew.",
            ) from error

    @contextmanager
    def shelf(self) -> Iterator["RelayBook"]:
        """It, for one caller."""
        with self._lock:
            yield self

    def get(self, url: str) -> KeptRelay | None:
        """What is known of the relay at an address."""
        return self._kept.get(url)

    def put(self, url: str, relay: KeptRelay) -> None:
        """Keep it, in the place of what was known."""
        self._write({**self._kept, url: relay})

    def forget(self, url: str) -> bool:
        """Know nothing of it; whether there was something."""
        is_known = url in self._kept
        self._write({each: kept for each, kept in self._kept.items() if each != url})
        return is_known

    def _write(self, kept: dict[str, KeptRelay]) -> None:
        write_whole(self._path, msgspec.msgpack.encode(kept), replace=True)
        self._kept = kept


_KEPT: Final = dict[str, KeptRelay]


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


class RelayLine:
    """A line to a relay, at one place; what came before `hand_on` is kept until then."""

    transport: WSTransport
    """Set once it is connected."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.relay_id: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.notices: asyncio.Queue[bytes] = asyncio.Queue()
        self._kept: list[bytes] = []
        self._tell: Callable[[bytes], None] | None = None

    def take(self, frame: bytes) -> None:
        """A frame of the relay."""
        if frame[:1] in _READ:
            self._read(frame)
        if self._tell is None:
            self._kept.append(frame)
        else:
            self._tell(frame)

    def hand_on(self, tell: Callable[[bytes], None]) -> None:
        """Give what came, and what comes."""
        self._tell = tell
        for frame in self._kept:
            tell(frame)
        self._kept.clear()

    def _read(self, frame: bytes) -> None:
        try:
            answer = read_answer(frame)
        except RelayMisbehaved:
            return  # the page says what that means
        if isinstance(answer, Challenge) and not self.relay_id.done():
            self.relay_id.set_result(answer.relay_id)
        elif isinstance(answer, Placed):
            self.notices.put_nowait(answer.notice)


_READ: Final = frozenset({bytes([Op.CHALLENGE]), bytes([Op.NOTICE])})


class RelayLines:
    """Lines of a console to its relays, wherever these are.

    Args:
        known: What is known of relays; used on other threads.
    """

    def __init__(self, known: KnownRelays) -> None:
        self._known = known

    async def reach(self, url: str) -> RelayLine | None:
        """A line to where the relay is whose home is at an address; None: it does not answer."""
        known = await asyncio.to_thread(self._known.known, url)
        for place in known.places:
            try:
                async with asyncio.timeout(DIAL_S):
                    line = await self._met(url, place)
            except (OSError, WSError, ValueError):  # and TimeoutError, which is an OSError
                continue
            if line is not None:
                return line
        return None

    async def learn(self, line: RelayLine) -> None:
        """Keep the notices that come on a line, and count, until cancelled."""
        while True:
            notice = await line.notices.get()
            try:
                await asyncio.to_thread(self._known.learn, line.url, notice)
            except NoticeRefused as error:
                log.warning("a notice of a relay was refused", why=str(error))
            except PathUnusable as error:
                log.warning("a relay could not be kept", why=str(error))
            finally:
                line.notices.task_done()

    async def _met(self, url: str, place: str) -> RelayLine | None:
        """A line to the relay at a place; None if another is there."""
        line = RelayLine(url)
        line.transport = await _dial(place, line.take)
        try:
            ended = asyncio.ensure_future(_ended(line.transport))
            try:
                first: set[asyncio.Future[Any]] = {ended, line.relay_id}
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)
            if not line.relay_id.done():
                return None  # it has ended
            try:
                await asyncio.to_thread(self._known.meet, url, line.relay_id.result())
            except RelayChanged as error:
                log.warning("another relay answers than at first", why=str(error))
                if place != url:
                    await hang_up(line.transport)
                    return None
            except PathUnusable as error:  # pages know it, and are not kept from it
                log.warning("a relay could not be kept", why=str(error))
        except BaseException:
            await hang_up(line.transport)
            raise
        return line


async def _ended(transport: WSTransport) -> None:
    await asyncio.shield(transport.wait_disconnected())


async def hang_up(transport: WSTransport) -> None:
    """End a line."""
    transport.disconnect(graceful=False)
    with suppress(WSError):  # what it said is no WebSocket: the line has ended
        await transport.wait_disconnected()


async def _dial(place: str, take: Callable[[bytes], None]) -> WSTransport:
    dialling = asyncio.ensure_future(
        ws_connect(
            lambda: _Frames(take),
            place,
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
            await hang_up(line)
        raise
    return line
