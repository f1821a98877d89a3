"""A relay on the network: WebSocket, binary frames, one batch of the store at a time.

Requests that change anything wait for the next batch; while one is synced to the disk, the next one
gathers, so that many share a sync. A client hears that something was done only after that. Whoever
listens gets a bounded number of payloads ahead of its word that it has them, so that a slow reader
costs a bounded amount of memory. No log line has an id, an address or a size.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from bellwire.chat.errors import BundleRefused, RelayMisbehaved, StoreUnusable
from bellwire.chat.identity import IdentityPublic
from bellwire.chat.relay.frames import (
    MAX_FRAME_BYTES,
    NONCE_BYTES,
    Answer,
    Challenge,
    Close,
    Deliver,
    Done,
    Drop,
    Listen,
    Login,
    Open,
    Reason,
    Refused,
    Request,
    Safe,
    encode,
    read_request,
)
from bellwire.chat.relay.rates import Rates, source_of
from bellwire.chat.relay.store import (
    CloseMailbox,
    Expire,
    Fetch,
    Forget,
    Job,
    OpenMailbox,
    Outcome,
    Put,
    RelayStore,
    Waiting,
)
from bellwire.crypto.labels import CHAT_RELAY

WINDOW: Final = 64
"""Payloads that a listener may have without having said that they are safe: at most a megabyte."""

MAX_BATCH: Final = 1024
MAX_QUEUED: Final = 16_384
"""Requests that may wait for the store; beyond them a relay says that it is too fast."""

EXPIRE_EVERY_S: Final = 60.0
IDLE_PING_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """What one source (an IPv4 address, or an IPv6 /64), and all together, may do.

    Attributes:
        drops_per_s: Payloads that a source may drop each second; ten times as many in a burst.
        logins_per_s: Logins of a source each second; ten times as many in a burst.
        connections: Open connections in all.
        source_connections: Open connections of one source.
    """

    drops_per_s: float = 1000.0
    logins_per_s: float = 20.0
    connections: int = 8192
    source_connections: int = 1024


@dataclass(slots=True)
class _Listening:
    """How far a listener has got."""

    after: int = 0
    flying: set[int] = field(default_factory=set)
    caught_up: bool = False
    fetching: bool = False


Finish = Callable[[Outcome], None]


class Relay:
    """One relay; `start` it, and `stop` it before its store is closed.

    Args:
        store: Open, and this relay's alone.
        limits: Of sources.
        now: Seconds since the epoch.
        clock: Seconds that only grow, for rates.
    """

    def __init__(
        self,
        store: RelayStore,
        limits: RelayLimits | None = None,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or RelayLimits()
        self.now, self.clock = now, clock
        self.relay_id = store.relay_id
        self.drops = Rates(self.limits.drops_per_s, 10 * self.limits.drops_per_s)
        self.logins = Rates(self.limits.logins_per_s, 10 * self.limits.logins_per_s)
        self.connections: dict[str, int] = {}
        self.listeners: dict[bytes, _Connection] = {}
        self._store = store
        self._queue: list[tuple[Job, Finish]] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()

    async def start(
        self, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Listen; the address that was taken.

        Raises:
            OSError: it cannot be listened on.
        """
        self._server = await ws_create_server(
            self._admit,
            host,
            port,
            max_frame_size=MAX_FRAME_BYTES,
            enable_auto_ping=True,
            auto_ping_idle_timeout=IDLE_PING_S,
            logger_name=logging.Logger("silent", logging.CRITICAL + 1),  # it would name clients
            ssl=tls,
        )
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._expire())]
        taken = self._server.sockets[0].getsockname()
        return taken[0], taken[1]

    async def stop(self) -> None:
        """Take nothing more, finish the batch under way, and hang up."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in list(self._open):
            each.hang_up()
        if self._server is not None:
            await self._server.wait_closed()

    def _admit(self, _: WSUpgradeRequest) -> "WSListener":
        return _Connection(self)

    def entered(self, connection: "_Connection", source: str) -> bool:
        """Whether one more connection of this source is taken."""
        mine = self.connections.get(source, 0)
        if len(self._open) >= self.limits.connections or mine >= self.limits.source_connections:
            return False
        self.connections[source] = mine + 1
        self._open.add(connection)
        return True

    def left(self, connection: "_Connection", source: str) -> None:
        """A connection that was taken has ended."""
        if connection in self._open:
            self._open.discard(connection)
            self.connections[source] -= 1
            if not self.connections[source]:
                del self.connections[source]

    def ask(self, job: Job, finish: Finish) -> bool:
        """Have a job done with the next batch; False if too many wait."""
        if len(self._queue) >= MAX_QUEUED and not isinstance(job, Forget | Fetch):
            return False
        self._queue.append((job, finish))
        self._wake.set()
        return True

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
                running = loop.run_in_executor(None, self._store.run, [job for job, _ in batch])
                try:
                    outcomes = await asyncio.shield(running)
                except StoreUnusable:
                    outcomes = [Reason.FAILED] * len(batch)
                except asyncio.CancelledError:
                    await asyncio.wait([running])
                    raise
                self._finish(batch, outcomes)

    def _finish(self, batch: list[tuple[Job, Finish]], outcomes: list[Outcome]) -> None:
        # What was fetched first: it is older than what this batch put.
        for (job, finish), outcome in zip(batch, outcomes, strict=True):
            if isinstance(job, Fetch):
                finish(outcome)
        for (job, finish), outcome in zip(batch, outcomes, strict=True):
            if not isinstance(job, Fetch):
                finish(outcome)
            if isinstance(outcome, Waiting) and outcome.account in self.listeners:
                self.listeners[outcome.account].offer(outcome)

    async def _expire(self) -> None:
        while True:
            self.ask(Expire(int(self.now())), lambda _: None)
            await asyncio.sleep(EXPIRE_EVERY_S)


class _Connection(WSListener):
    """One client."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay
        self._transport: WSTransport | None = None
        self._source = ""
        self._nonce = os.urandom(NONCE_BYTES)
        self._account: bytes | None = None
        self._listening: _Listening | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin with a challenge, if there is room."""
        self._transport = transport
        peer = transport.underlying_transport.get_extra_info("peername")
        self._source = source_of(peer[0] if peer else "")
        if not self._relay.entered(self, self._source):
            self.hang_up()
            return
        self._send(Challenge(self._nonce, self._relay.relay_id))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget the client; what it had not said to be safe stays."""
        self._transport = None
        self._stop_listening()
        self._relay.left(self, self._source)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One request; whatever is none ends the connection."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if frame.msg_type in {WSMsgType.PING, WSMsgType.PONG}:
            return
        if frame.msg_type != WSMsgType.BINARY or not frame.fin:
            self.hang_up()
            return
        try:
            request = read_request(frame.get_payload_as_bytes())
        except RelayMisbehaved:
            self.hang_up()
            return
        self._take(request)

    def hang_up(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.disconnect()

    def offer(self, waiting: Waiting) -> None:
        """Deliver a new payload, if the listener has all older ones and room."""
        listening = self._listening
        if listening is None or waiting.number <= listening.after or not listening.caught_up:
            return
        if len(listening.flying) >= WINDOW:
            listening.caught_up = False
            return
        self._deliver(listening, waiting)

    def _take(self, request: Request) -> None:
        match request:
            case Safe(number):
                self._safe(number)
            case Drop(number, right, token, ttl_s, payload):
                if not self._relay.drops.admit(self._source, self._relay.clock()):
                    self._send(Refused(number, Reason.TOO_FAST))
                    return
                gone_at = int(self._relay.now()) + ttl_s
                self._ask(number, Put(right, token, gone_at, payload))
            case Login():
                self._login(request)
            case Open() | Close() | Listen() if self._account is None:
                self._send(Refused(request.request, Reason.NOT_LOGGED_IN))
            case Open(number, mailbox, right_hash):
                assert self._account is not None
                self._ask(number, OpenMailbox(self._account, mailbox, right_hash))
            case Close(number, mailbox):
                assert self._account is not None
                self._ask(number, CloseMailbox(self._account, mailbox))
            case Listen(number):
                self._listen(number)

    def _ask(self, request: int, job: Job) -> None:
        if not self._relay.ask(job, lambda outcome: self._answer(request, outcome)):
            self._send(Refused(request, Reason.TOO_FAST))

    def _answer(self, request: int, outcome: Outcome) -> None:
        if isinstance(outcome, Reason):
            self._send(Refused(request, outcome))
        else:
            self._send(Done(request))

    def _login(self, login: Login) -> None:
        if not self._relay.logins.admit(self._source, self._relay.clock()):
            self._send(Refused(login.request, Reason.TOO_FAST))
            return
        account = IdentityPublic(login.public)
        try:
            account.verify(login.signature, self._nonce + self._relay.relay_id, CHAT_RELAY)
        except BundleRefused:
            self._send(Refused(login.request, Reason.NOT_LOGGED_IN))
            return
        self._stop_listening()
        self._account = hashlib.sha256(login.public).digest()
        self._send(Done(login.request))

    def _listen(self, request: int) -> None:
        assert self._account is not None
        before = self._relay.listeners.get(self._account)
        if before is not None and before is not self:
            before.superseded()
        self._relay.listeners[self._account] = self
        self._listening = _Listening()
        self._send(Done(request))
        self._fetch(self._listening)

    def superseded(self) -> None:
        """Another connection of the account listens now."""
        self._listening = None
        self._send(Refused(0, Reason.ELSEWHERE))
        self.hang_up()

    def _stop_listening(self) -> None:
        self._listening = None
        if self._account is not None and self._relay.listeners.get(self._account) is self:
            del self._relay.listeners[self._account]

    def _fetch(self, listening: _Listening) -> None:
        assert self._account is not None
        room = WINDOW - len(listening.flying)
        listening.fetching = True

        def fetched(outcome: Outcome) -> None:
            listening.fetching = False
            if listening is not self._listening:
                return
            if not isinstance(outcome, list):
                self.hang_up()  # the store failed: the client comes again
                return
            for each in outcome:
                self._deliver(listening, each)
            listening.caught_up = len(outcome) < room

        self._relay.ask(Fetch(self._account, listening.after, room), fetched)

    def _deliver(self, listening: _Listening, waiting: Waiting) -> None:
        listening.after = waiting.number
        listening.flying.add(waiting.number)
        self._send(Deliver(waiting.mailbox, waiting.number, waiting.payload))

    def _safe(self, number: int) -> None:
        listening = self._listening
        if listening is None or self._account is None or number not in listening.flying:
            return
        listening.flying.discard(number)
        self._relay.ask(Forget(self._account, number), lambda _: None)
        behind = not listening.caught_up and not listening.fetching
        if behind and len(listening.flying) <= WINDOW // 2:
            self._fetch(listening)

    def _send(self, answer: Answer) -> None:
        if self._transport is not None:
            with contextlib.suppress(ConnectionError):
                self._transport.send(WSMsgType.BINARY, encode(answer))
