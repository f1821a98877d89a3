"""HTTP for an API that is not asked for keys by the thousand: a request, a coroutine, an answer.

Bytes are read and bounded as in a KME's door (`reader`), and every answer is ours, that to garbage
included: JSON, but where the API says otherwise. One request of a connection is under way at a
time. TLS is optional: without it the caller listens on the loopback alone.
"""

import asyncio
import math
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Container
from dataclasses import dataclass, field
from typing import cast

import structlog

from bellwire.base.backlog import BACKLOG
from bellwire.web import answers
from bellwire.web.connections import Connections
from bellwire.web.door import date_field
from bellwire.web.errors import DoorUnusable, RequestRefused
from bellwire.web.heads import JSON, head_of_answer
from bellwire.web.reader import Asked, Part, RequestReader
from bellwire.web.settings import DoorLimits

_TLS_CLOSE_S = 1.0
_NOT_MODIFIED = 304
"""Never has a body (RFC 9110, 15.4.5): a length of 0 would be that of the page."""

SECURITY = (
    b"x-content-type-options: nosniff\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    b"referrer-policy: no-referrer\r\n"
)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of an API.

    Attributes:
        body: JSON, if `kind` does not say otherwise; may hold a key.
        code: Of HTTP.
        kind: Header fields that say what it is, and how long it may be kept.
        policy: Header fields that say what a browser may do with it.
        stream: What comes in the place of a body, piece by piece; the connection ends with it, and
            it with the connection.
    """

    body: bytes = field(default=b"", repr=False)
    code: int = 200
    kind: bytes = JSON
    policy: bytes = SECURITY
    stream: AsyncGenerator[bytes, None] | None = None


Handler = Callable[[Asked, str], Awaitable[Answered]]
"""(request, address of the client) → answer; raises RequestRefused for any other."""


class ApiServer:
    """Serves an API at one address; every method is called in the event loop's thread.

    Args:
        handler: What answers.
        limits: What one client may cost; clients are told apart by their address.
        fleeting: Targets whose answers nobody needs once the client is gone: work on them ends
            then, while everything else goes on.
    """

    def __init__(
        self, handler: Handler, limits: DoorLimits, *, fleeting: Container[bytes] = ()
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.fleeting = fleeting
        self.connections = Connections(limits.connections, limits.connections_per_caller)
        self.closing = False
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> tuple[str, int]:
        """Listen; port 0 takes a free one.

        Returns:
            Where.

        Raises:
            DoorUnusable: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            # One socket: a host with several addresses is named by one of them.
            listener = socket.create_server(found[0][4][:2], family=found[0][0], backlog=BACKLOG)
        except OSError as error:
            raise DoorUnusable(
                f"cannot listen on {host} port {port}: {error.strerror or error}"
            ) from error
        self._server = await loop.create_server(
            lambda: ApiConnection(self),
            sock=listener,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self.limits.handshake_s,
            ssl_shutdown_timeout=None if tls is None else _TLS_CLOSE_S,
        )
        name = listener.getsockname()
        return str(name[0]), int(name[1])

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, answer what was asked, close; after `grace_s` break off."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        for each in self._ours():
            each.drain()
        try:
            async with asyncio.timeout(grace_s):
                await self.connections.empty()
        except TimeoutError:
            for each in self._ours():
                each.abort()
        await self.connections.empty()

    def _ours(self) -> "list[ApiConnection]":
        return [each for each in self.connections if isinstance(each, ApiConnection)]


class ApiConnection(asyncio.Protocol):
    """One connection; it lives as long as that."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._limits = server.limits
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(server.limits)
        self._transport: asyncio.Transport
        self._address = ""
        self._work: asyncio.Task[None] | None = None
        self._fleeting = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed = (Part.NOTHING, -1)
        self._paused = False
        self._stalled = False
        self._over = False
        self._streaming: asyncio.Task[None] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return (
            self._work is None
            and not self._reader.asked
            and self._reader.part is Part.NOTHING
            and not self._stalled
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        if self._server.closing or not self._server.connections.join(self._address, self):
            self._over = True
            self._transport.abort()
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        if self._over:
            return  # lingering: what is in the way is read and forgotten
        self._reader.feed(data)
        self._advance()

    def eof_received(self) -> None:
        """The client sends no more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, whoever ended it. What was begun goes on: it may have taken a key."""
        self._over = True
        if self._work is not None and self._fleeting:
            self._work.cancel()
        if self._streaming is not None:
            self._streaming.cancel()
        self._reader.asked.clear()
        self._disarm()
        self._server.connections.leave(self._address, self)

    def pause_writing(self) -> None:
        """The client does not read what is written."""
        self._stalled = True
        self._flowing.clear()
        self._set_timer(self._limits.stalled_s, self.abort)

    def resume_writing(self) -> None:
        """It has read enough."""
        self._stalled = False
        self._flowing.set()
        if not self._over:
            self._armed = (Part.NOTHING, -1)
            self._advance()

    def drain(self) -> None:
        """Answer what was asked, and end; a stream has no other end."""
        if self._streaming is not None:
            self._streaming.cancel()
        elif self.idle:
            self.close()

    def close(self) -> None:
        """End as soon as what is written is read."""
        self._over = True
        self._transport.close()
        self._set_timer(self._limits.stalled_s, self.abort)

    def abort(self) -> None:
        """End at once."""
        self._over = True
        self._transport.abort()

    def _advance(self) -> None:
        waiting = self._reader.asked
        if waiting and self._work is None and not self._over and not self._stalled:
            asked = waiting.popleft()
            self._fleeting = asked.target in self._server.fleeting
            self._work = self._loop.create_task(self._answer(asked))
        if self._over:
            return
        if self._reader.expecting and self._work is None:
            self._reader.expecting = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        full = len(waiting) > self._limits.waiting
        if full is not self._paused:
            self._paused = full
            (self._transport.pause_reading if full else self._transport.resume_reading)()
        self._arm()

    async def _answer(self, asked: Asked) -> None:
        fields = b""
        try:
            answered = await self._outcome(asked)
        except RequestRefused as refused:
            answered = Answered(answers.error(str(refused), refused.details), refused.code)
            fields = "".join(f"{name}: {value}\r\n" for name, value in refused.headers).encode()
        except Exception as error:
            # Its words, and its traceback, may hold what no log may.
            log.error("request failed", kind=type(error).__name__)  # noqa: TRY400
            answered = Answered(answers.error("the service failed"), 500)
        if answered.stream is not None:
            await self._stream(answered, answered.stream)
            return
        self._work = None
        if not self._over:
            self._write(asked, answered, fields)
            self._advance()

    async def _outcome(self, asked: Asked) -> Answered:
        if asked.refused is not None:
            raise asked.refused
        return await self._server.handler(asked, self._address)

    async def _stream(self, answered: Answered, stream: AsyncGenerator[bytes, None]) -> None:
        """Send what comes as it comes, and end."""
        try:
            if self._over or self._server.closing:
                return
            self._streaming = asyncio.current_task()
            head = head_of_answer(
                answered.code, None, date_field(), answered.policy, last=True, kind=answered.kind
            )
            self._transport.write(head)
            async for piece in stream:
                await self._flowing.wait()
                self._transport.write(piece)
        except asyncio.CancelledError:
            pass  # it is we who cancel, and nothing comes after
        except Exception as error:
            log.error("request failed", kind=type(error).__name__)  # noqa: TRY400 - as above
        finally:
            await stream.aclose()
            self._work = self._streaming = None
            if not self._over:
                self.close()

    def _write(self, asked: Asked, answered: Answered, fields: bytes) -> None:
        final = (self._reader.ended or self._server.closing) and not self._reader.asked
        last = final or not asked.keep_alive
        body = b"" if asked.verb == b"HEAD" else answered.body
        head = head_of_answer(
            answered.code,
            None if answered.code == _NOT_MODIFIED else len(answered.body),
            date_field(),
            answered.policy + fields,
            last=last,
            kind=answered.kind,
        )
        self._transport.write(head + body)
        if not last:
            return
        if asked.refused is None:
            self.close()
        else:
            # Closing now would reset the connection while the client still sends, and take the
            # answer away with it.
            self._over = True
            self._set_timer(self._limits.linger_s, self.abort)

    # Deadlines

    def _arm(self) -> None:
        """Set the deadline of what the client is to do next."""
        if self._stalled or self._over:
            return
        part = self._reader.part
        if part is Part.NOTHING:
            self._armed = (part, -1)
            busy = self._work is not None or bool(self._reader.asked)
            self._set_timer(math.inf if busy else self._limits.idle_s, self.close)
        elif self._paused:
            self._armed = (Part.NOTHING, -1)
            self._disarm()  # it is we who do not read
        elif self._armed != (part, self._reader.begun):
            self._armed = (part, self._reader.begun)
            wait_s = self._limits.head_s if part is Part.HEAD else self._limits.body_s
            self._set_timer(wait_s, self._too_slow)

    def _too_slow(self) -> None:
        self._reader.refuse(408, "the request did not come in time")
        self._advance()

    def _set_timer(self, wait_s: float, then: Callable[[], None]) -> None:
        self._disarm()
        if wait_s < math.inf:
            self._timer = self._loop.call_later(wait_s, then)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
