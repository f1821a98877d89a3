"""One connection: requests in, answers out in their order, no task for any of them.

A request for a key is answered by the callback of its future. One request of a connection is under
way at a time; those behind it wait, and beyond a limit nothing more is read. A request for a page
hands the connection over to uvicorn, whose answer is its last.
"""

import asyncio
import math
from time import perf_counter
from typing import cast

import structlog

from bellwire.keys.kme import KEY_ID_BYTES, Delivery, KeyRequest
from bellwire.web import answers, kme, skip
from bellwire.web.audit import Answered
from bellwire.web.door import Door
from bellwire.web.errors import RequestRefused
from bellwire.web.handover import Handed, head_of
from bellwire.web.heads import head_of_answer
from bellwire.web.identity import Peer
from bellwire.web.reader import Asked, Part, RequestReader
from bellwire.web.requests import Call, read_path, split_target
from bellwire.web.skip import SkipCall

log = structlog.get_logger()

_NOBODY = "certificate without a name"
_LOOPBACK = "loopback"
_AT_ONCE = 16 << 10
"""Bytes that are parsed before what they ask for is begun: small requests grow as objects."""


class Connection(asyncio.Protocol):
    """Made when a connection is accepted; it lives as long as that.

    Args:
        door: What it belongs to.

    Attributes:
        deadline: When `expire` is due, in seconds of the loop's clock.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(door.limits)
        self._transport: asyncio.Transport
        self._peer: Peer | None = None
        self._called = _LOOPBACK
        self._from = ("", 0)
        self._asked: Asked | None = None
        self._last_target = b""  # of a call without a query, and the call
        self._last_call: Call | None = None
        self._seen: KeyRequest | bytes | None = None
        self._call: Call | SkipCall | None = None
        self._began = 0.0
        self._handed: Handed | None = None
        self._advancing = False
        self._unparsed = bytearray()
        self._paused = False
        self._stalled = False
        self._unread = 0
        self._armed = (Part.NOTHING, 0)
        self._over = False
        self._gone = False
        self.deadline = math.inf

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: no request, no part of one, no answer unread."""
        return (
            self._asked is None
            and not self._reader.asked
            and not self._unparsed
            and self._reader.part is Part.NOTHING
            and not self._stalled
            and self._handed is None
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done, if there is one."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no class of asyncio
        self._from = transport.get_extra_info("peername") or self._from
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._peer = Peer(tls.getpeercert(binary_form=True), self._door.identities)
            self._called = self._peer.name() or _NOBODY
        if self._door.closing or not self._door.connections.join(self._called, self):
            self._door.figures.connections_refused += 1
            self._over = True
            self._transport.abort()
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        if self._handed is not None:
            self._handed.protocol.data_received(data)
            return
        if self._over:
            return  # lingering: what is in the way is read and forgotten
        if self._unparsed or len(data) > _AT_ONCE:
            self._unparsed += data
        else:
            self._reader.feed(data)
        self._advance()

    def eof_received(self) -> None:
        """The client sends no more; with TLS that is its end."""
        if self._handed is not None:
            self._handed.protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, whoever ended it."""
        self._over = self._gone = True
        self._asked = None
        self._reader.asked.clear()
        self._door.connections.leave(self._called, self)
        if self._handed is not None:
            self._handed.protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read what is written."""
        self._stalled = True
        self._unread = self._transport.get_write_buffer_size()
        self.deadline = self._loop.time() + self._door.limits.stalled_s
        if self._handed is not None:
            self._handed.protocol.pause_writing()

    def resume_writing(self) -> None:
        """It has read enough."""
        self._stalled = False
        if self._handed is not None:
            self.deadline = math.inf
            self._handed.protocol.resume_writing()
        elif not self._over:
            self._armed = (Part.NOTHING, 0)
            self._advance()

    # What the server calls

    def expire(self) -> None:
        """The deadline has passed."""
        if self._over:
            self._transport.abort()
        elif self._stalled:
            left = self._transport.get_write_buffer_size()
            if left < self._unread:  # it reads, slowly
                self._unread = left
                self.deadline = self._loop.time() + self._door.limits.stalled_s
            else:
                self._end("unread answer")
        elif self._reader.part is Part.NOTHING:
            self._door.figures.connections_ended["idle"] += 1
            self.close()
        else:
            self._door.figures.connections_ended["slow request"] += 1
            self._reader.refuse(408, "the request did not come in time")
            self._advance()

    def check(self) -> None:
        """End a stream whose listener may not listen any more."""
        if self._handed is not None and not self._permitted(self._handed.path):
            self._end("not permitted any more")

    def drain(self) -> None:
        """Answer what was asked whole or in part, and end."""
        if self.idle or self._handed is not None:
            self.close()

    def close(self) -> None:
        """End as soon as what is written is read."""
        self._over = True
        self.deadline = self._loop.time() + self._door.limits.stalled_s
        self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._over = True
        self._transport.abort()

    # From request to answer

    def _advance(self) -> None:
        """Begin what waits, one after the other, until one takes its time."""
        if self._advancing:
            return
        self._advancing = True
        waiting = self._reader.asked
        while True:
            while waiting and self._asked is None and self._may_begin():
                self._begin(waiting.popleft())
            if not self._unparsed:
                break
            if len(waiting) > self._door.limits.waiting or not self._may_begin():
                break
            self._reader.feed(bytes(self._unparsed[:_AT_ONCE]))
            del self._unparsed[:_AT_ONCE]
        self._advancing = False
        if self._over or self._handed is not None:
            self._unparsed.clear()
            return
        if self._reader.expecting and self._asked is None and not waiting:
            self._reader.expecting = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        full = bool(self._unparsed) or len(waiting) > self._door.limits.waiting
        if full is not self._paused:
            self._paused = full
            (self._transport.pause_reading if full else self._transport.resume_reading)()
        self._arm()

    def _may_begin(self) -> bool:
        return not self._over and not self._stalled and self._handed is None

    def _arm(self) -> None:
        """Set the deadline of what the client is to do next."""
        if self._stalled or self._over:
            return
        part = self._reader.part
        limits = self._door.limits
        if part is Part.NOTHING:
            busy = self._asked is not None or bool(self._reader.asked) or bool(self._unparsed)
            self.deadline = math.inf if busy else self._loop.time() + limits.idle_s
            self._armed = (part, 0)
        elif self._paused:
            self.deadline = math.inf  # it is we who do not read
            self._armed = (Part.NOTHING, 0)
        elif self._armed != (part, self._reader.begun):
            self._armed = (part, self._reader.begun)
            wait_s = limits.head_s if part is Part.HEAD else limits.body_s
            self.deadline = self._loop.time() + wait_s

    def _begin(self, asked: Asked) -> None:
        self._asked = asked
        self._call = None
        self._seen = None
        self._began = perf_counter()
        try:
            outcome = self._outcome(asked)
        except Exception as error:
            self._fail(error)
            return
        if outcome is None:
            return
        if isinstance(outcome, bytes):
            self._write(200, outcome)
        elif outcome.done():
            self._settled(outcome)
        else:
            outcome.add_done_callback(self._settle_and_go_on)

    def _outcome(self, asked: Asked) -> "bytes | asyncio.Future[Delivery] | None":
        """The body of a 200, what will be delivered, or None if the connection was handed over."""
        if asked.refused is not None:
            raise asked.refused
        door = self._door
        call: Call | None = None
        query = b""
        if asked.target == self._last_target:
            name = self._admitted()
            call = self._call = self._last_call
        else:
            path, query = split_target(asked.target)
            page = path.decode("latin-1")
            if door.pages.serves(page):
                self._hand_over(asked, page, query)
                return None
            name = self._admitted()
            call = self._call = read_path(path)
            if call is None:
                return self._skip_outcome(asked, name, path, query)
            if not query:
                self._last_target, self._last_call = asked.target, call
        assert call is not None
        seen = None if door.audit is None else self._see
        return kme.call(
            door.server, name, call, verb=asked.verb, query=query, body=asked.body, seen=seen
        )

    def _skip_outcome(
        self, asked: Asked, name: str, path: bytes, query: bytes
    ) -> "bytes | asyncio.Future[Delivery]":
        """The same, of SKIP."""
        door = self._door.skip
        method = None if door is None else door.serves(name, path)
        if door is None or method is None:
            raise _nothing_here()
        self._call = SkipCall(method)
        call = door.read(method, name, path, verb=asked.verb, query=query, body=asked.body)
        self._call = call
        return door.call(name, call, None if self._door.audit is None else self._see)

    def _admitted(self) -> str:
        """Who asks, if it is one of the KME's SAEs and asks no faster than it may."""
        if self._peer is None:
            raise _nothing_here()
        name = self._peer.name()
        if name is None or not self._door.server.serves(name):
            raise RequestRefused(401, kme.UNAUTHORISED)
        wait_s = self._door.rates.wait_s(name, self._loop.time())
        if wait_s:
            raise kme.too_fast(wait_s)
        return name

    def _permitted(self, page: str) -> bool:
        pages = self._door.pages
        if self._peer is None:
            return pages.permits(page, None, sae=False)
        name = self._peer.name()
        return name is not None and pages.permits(page, name, sae=self._door.server.serves(name))

    def _hand_over(self, asked: Asked, page: str, query: bytes) -> None:
        if not self._permitted(page):
            raise _nothing_here() if self._peer is None else RequestRefused(401, kme.UNAUTHORISED)
        if asked.verb != b"GET":
            raise RequestRefused(405, "this page is asked for by GET", headers=[("allow", "GET")])
        upgrade = asked.upgrade and self._door.pages.streams(page)
        if self._door.pages.streams(page) and not upgrade:
            headers = [("upgrade", "websocket"), ("connection", "upgrade")]
            raise RequestRefused(426, "this page is a WebSocket", headers=headers)
        self._asked = None
        self.deadline = math.inf
        self._handed = Handed(self._door.pages.protocol(self._loop), page)
        self._handed.take(self._transport, head_of(asked, page, query, upgrade=upgrade))

    def _settle_and_go_on(self, future: "asyncio.Future[Delivery]") -> None:
        self._settled(future)
        reader = self._reader
        if reader.asked or self._unparsed or self._paused or reader.expecting:
            self._advance()
        else:
            self._arm()

    def _settled(self, future: "asyncio.Future[Delivery]") -> None:
        try:
            delivery = future.result()
        except asyncio.CancelledError:
            self._fail(RequestRefused(503, kme.NO_ACCESS))
            return
        except Exception as error:
            self._fail(error)
            return
        if self._gone or self._call is None:
            delivery.keys.wipe()  # nobody is there to take them; they have left all the same
            if self._door.audit is not None:
                self._audit(0, "the client was gone", delivery=delivery)
            return
        count = len(delivery.ids) // KEY_ID_BYTES
        if self._door.audit is not None:
            self._audit(200, delivery=delivery)
        call = self._call
        skipped = isinstance(call, SkipCall)
        self._write(200, skip.answer(delivery) if skipped else answers.container(delivery))
        self._door.figures.keys[call.method.segment] += count

    def _fail(self, error: Exception) -> None:
        if self._gone:
            return
        refused = error if isinstance(error, RequestRefused) else None
        if refused is None and self._call is not None:
            refused = (
                skip.refusal(error)
                if isinstance(self._call, SkipCall)
                else kme.refusal(error, self._call.method)
            )
        if refused is None:
            log.error("request failed", kind=type(error).__name__)
            refused = RequestRefused(500, "the KME failed")
        if self._door.audit is not None:
            kind = None if error is refused else type(error).__name__
            self._audit(refused.code, str(refused), kind)
        fields = "".join(f"{name}: {value}\r\n" for name, value in refused.headers).encode()
        self._write(refused.code, answers.error(str(refused), refused.details), fields)

    def _audit(
        self,
        code: int,
        reason: str | None = None,
        error: str | None = None,
        *,
        delivery: Delivery | None = None,
    ) -> None:
        assert self._door.audit is not None
        call = self._call
        self._door.audit.answered(
            Answered(
                self._called,
                self._from,
                None if call is None else call.method.segment,
                None if call is None else call.about,
                code,
                self._seen,
                b"" if delivery is None else delivery.ids,
                None if delivery is None else delivery.bits,
                reason,
                error,
            )
        )

    def _see(self, asked: KeyRequest | bytes) -> None:
        self._seen = asked

    def _write(self, code: int, body: bytes, fields: bytes = b"") -> None:
        asked = self._asked
        if asked is None:
            return
        self._asked = None
        final = self._reader.ended or (self._door.closing and not self._unparsed)
        done = final and not self._reader.asked
        last = done or not asked.keep_alive
        door = self._door
        head = head_of_answer(code, len(body), door.dated, fields, last=last)
        self._transport.write(head if asked.verb == b"HEAD" else head + body)
        route = "none" if self._call is None else self._call.method.segment
        door.figures.answered(route, code, perf_counter() - self._began)
        if not last:
            return
        if asked.refused is None:
            self.close()
        else:
            # Closing now would reset the connection while the client still sends, and take the
            # answer away with it.
            self._over = True
            self.deadline = self._loop.time() + self._door.limits.linger_s

    def _end(self, reason: str) -> None:
        self._door.figures.connections_ended[reason] += 1
        self.abort()


def _nothing_here() -> RequestRefused:
    return RequestRefused(404, "there is nothing at this path")
