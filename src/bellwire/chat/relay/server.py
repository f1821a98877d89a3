"""A relay on the network: WebSocket, binary frames, one batch of the store at a time.

A payload goes to its owner at once if the owner listens, and into the store with the next batch
unless the owner says within `LINGER_S` that it is safe; while one batch is synced to the disk, the
next one gathers, so that many share a sync. Who dropped it hears that it is done once it is
durable, here or with the owner. Whoever listens gets a bounded number of payloads ahead of its word
that it has them, so that a slow reader costs a bounded amount of memory. No log line has an id, an
address or a size.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from bellwire.chat.accounts.desk import AccountDesk
from bellwire.chat.errors import StoreUnusable
from bellwire.chat.relay.bundles import Bundle, Parts
from bellwire.chat.relay.company import Company, News
from bellwire.chat.relay.connection import Connection
from bellwire.chat.relay.counted import Counted
from bellwire.chat.relay.doors import Door, open_door
from bellwire.chat.relay.frames import Placed, Reason
from bellwire.chat.relay.jobs import (
    Claim,
    Expire,
    Fetch,
    Job,
    Look,
    Mailboxes,
    Outcome,
    Parcel,
    Release,
    State,
    Was,
)
from bellwire.chat.relay.listening import Listening
from bellwire.chat.relay.operator import Condition
from bellwire.chat.relay.rates import Rates
from bellwire.chat.relay.store import RelayStore

MAX_BATCH: Final = 4096
MAX_QUEUED: Final = 16_384
"""Requests that may wait for the store; beyond them a relay says that it is too fast."""

MAX_QUEUED_BYTES: Final = 64 << 20
"""And how large they may be together."""

LINGER_S: Final = 0.02
"""How long each payload that a listener has already may wait for its word, before it is stored.

A listener syncs what it has to its own disk before it says so: a few milliseconds, and some more
on a machine that does much else."""

FAILED_PAUSE_S: Final = 0.05
"""After which a store that failed is asked again: a full disk is not freed by haste."""

EXPIRE_EVERY_S: Final = 60.0


log = structlog.get_logger("relay")


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


Finish = Callable[[Outcome], None]
Asked = tuple[Job, Finish | None]
"""A job, and who hears what came of it; of a parcel, that is in it."""


class Relay:
    """One relay; `begin` it, open doors, and `stop` it before its store is closed.

    Args:
        store: Open; this relay's alone, or shared with others.
        limits: Of sources.
        accounts: Where accounts are asked; without, there are none. The caller closes it.
        news: Words from and to others that share the store.
        now: Seconds since the epoch.
        clock: Seconds that only grow, for rates and what lingers.

    Attributes:
        counted: What was taken, stored, delivered and refused.
    """

    def __init__(
        self,
        store: RelayStore,
        limits: RelayLimits | None = None,
        *,
        accounts: AccountDesk | None = None,
        news: News | None = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or RelayLimits()
        self.now, self.clock = now, clock
        self.relay_id = store.relay_id
        self.accounts = accounts
        self.notice = b""
        self.counted = Counted()
        self.drops = Rates(self.limits.drops_per_s, 10 * self.limits.drops_per_s)
        self.logins = Rates(self.limits.logins_per_s, 10 * self.limits.logins_per_s)
        self.connections: dict[str, int] = {}
        self.listeners: dict[bytes, Connection] = {}
        self.company = Company(self, store.instance, news) if store.instance else None
        self._store = store
        self._queue: list[Asked] = []
        self._lingering = 0  # parcels that listeners have, and that are not in the queue yet
        self._restless: set[Listening] = set()  # that may have some of them
        self._waiting_bytes = 0  # of what is in the queue, or lingers
        self._forget: list[int] = []
        self._store_works = True
        self._routes: dict[bytes, tuple[bytes, bytes]] = {}
        self._rights: dict[bytes, dict[bytes, bytes]] = {}
        self._to_write: list[Connection] = []
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._doors: list[Door] = []
        self._open: set[Connection] = set()

    def begin(self) -> None:
        """Work, with no door yet."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._expire())]
        if self.company is not None:
            self._tasks.append(asyncio.create_task(self.company.run()))

    async def start(
        self, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Begin, with one door; the address that was taken.

        Raises:
            OSError: it cannot be listened on.
        """
        self.begin()
        door = await self.open_door(host, port, tls)
        return door.host, door.port

    async def open_door(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, interface: str = ""
    ) -> Door:
        """Listen at one more address; with an interface, to what comes by it alone.

        Raises:
            OSError: it cannot be listened on.
        """
        door = await open_door(
            lambda door, bundles: Connection(self, door, bundles=bundles),
            host,
            port,
            tls=tls,
            interface=interface,
        )
        self._doors.append(door)
        return door

    def close_door(self, door: Door) -> None:
        """Listen there no more, and hang up those who came in by it; again is harmless."""
        door.close()
        if door in self._doors:
            self._doors.remove(door)
        self._hang_up(door)

    def keep_as_sign(self, door: Door) -> None:
        """Hang up those who came in by this door; who comes now hears where the relay is."""
        door.only_tells = True
        self._hang_up(door)

    def announce(self, notice: bytes) -> None:
        """Say where the relay is, to all who are here and to each who comes."""
        self.notice = notice
        for each in list(self._open):
            each.send(Placed(notice))

    def _hang_up(self, door: Door) -> None:
        for each in list(self._open):
            if each.door is door:
                each.hang_up()

    async def working(self) -> None:
        """Return when it is stopped; whatever ended its work otherwise is raised.

        A relay whose store or clockwork failed in a way that nobody foresaw takes what it can never
        store: whoever runs it lets the process end.
        """
        ended, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            if not task.cancelled():
                task.result()

    async def stop(self) -> None:
        """Take nothing more, finish the batch under way, and hang up."""
        for door in self._doors:
            door.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in list(self._open):
            each.hang_up()
        for door in self._doors:
            await door.closed()

    def condition(self) -> Condition:
        """How it is, for its operator."""
        news = None if self.company is None else self.company.news
        return Condition(
            connections=len(self._open),
            listeners=len(self.listeners),
            waiting=self._waiting,
            store="sqlite" if self.company is None else "postgresql",
            store_works=self._store_works,
            news="none" if news is None else "heard" if news.is_heard else "away",
        )

    def entered(self, connection: Connection, source: str) -> bool:
        """Whether one more connection of this source is taken."""
        mine = self.connections.get(source, 0)
        if len(self._open) >= self.limits.connections or mine >= self.limits.source_connections:
            self.counted.turned_away += 1
            return False
        self.connections[source] = mine + 1
        self._open.add(connection)
        return True

    def left(self, connection: Connection, source: str) -> None:
        """A connection that was taken has ended."""
        if connection in self._open:
            self._open.discard(connection)
            self.connections[source] -= 1
            if not self.connections[source]:
                del self.connections[source]

    # What connections ask of it

    def put(self, parcel: Parcel) -> bool:
        """Take a payload; False if too many wait.

        A listener gets it at once; whoever dropped it hears that it is done when it is stored, or
        when the listener has said that it is safe, whichever is first.
        """
        if self._is_full(1):
            return False
        self._put(parcel)
        return True

    def put_bundle(self, bundle: Bundle) -> bool:
        """As `put`, of payloads that were dropped together."""
        if self._is_full(len(bundle.tokens)):
            return False
        route = self._routes.get(bundle.right_hash)
        if route is not None:
            bundle.mailbox, bundle.account = route
            connection = self.listeners[bundle.account]
            listening = connection.listening
            assert listening is not None
            if connection.bundles and listening.open:
                number = listening.add_bundle(bundle)
                if number is not None:
                    self._linger_at(listening, len(bundle.tokens))
                    connection.deliver_bundle(number, bundle)
                    self._count_taken(len(bundle.tokens), len(bundle.payloads))
                    return True
        for each in bundle.parcels():
            self._put(each)
        return True

    def _is_full(self, more: int) -> bool:
        waiting = len(self._queue) + self._lingering + more
        return waiting > MAX_QUEUED or self._waiting_bytes >= MAX_QUEUED_BYTES

    def _count_taken(self, count: int, size: int) -> None:
        self._waiting_bytes += size
        self.counted.taken += count
        self.counted.taken_bytes += size

    def _linger_at(self, listening: Listening, count: int) -> None:
        self._lingering += count
        if not self._restless:
            self._wake.set()
        self._restless.add(listening)

    def _put(self, parcel: Parcel) -> None:
        route = self._routes.get(parcel.right_hash)
        if route is None:
            self._queue_for_store(parcel)
        else:
            parcel.mailbox, parcel.account = route
            connection = self.listeners[parcel.account]
            listening = connection.listening
            assert listening is not None
            parcel.key = parcel.mailbox + parcel.token
            if parcel.token in listening.bundled:
                listening.unpack()
            same = listening.tokens.get(parcel.key)
            if same is not None:
                same.others += tuple(parcel.waiting())
                if same.state is State.STORED:
                    same.tell_done()
                return
            if listening.open:
                parcel.state = State.LINGERING
                self._linger_at(listening, 1)
                connection.deliver(listening, parcel)
            else:
                self.store_lingering(listening)
                listening.behind += 1
                parcel.holds_up = listening
                self._queue_for_store(parcel)
        self._count_taken(1, len(parcel.payload))

    def ask(self, job: Job, finish: Finish) -> bool:
        """Have a job done with the next batch; False if too many wait."""
        full = self._waiting >= MAX_QUEUED
        if full and not isinstance(job, Fetch | Mailboxes | Claim | Release | Look):
            return False
        self._queue.append((job, finish))
        self._wake.set()
        self._hurry.set()
        return True

    def safe(self, parcel: Parcel) -> None:
        """The owner has it: it need not be stored, or can be forgotten."""
        self.counted.delivered += 1
        state = parcel.state
        if state is State.LINGERING:
            self._lingering -= 1
            self._waiting_bytes -= len(parcel.payload)
        elif state is State.STORED:
            self._forget.append(parcel.number)
            self._wake.set()
            return
        elif state is State.REFUSED:
            return
        parcel.state = State.SAFE
        parcel.tell_done()

    def safe_bundle(self, bundle: Bundle) -> None:
        """The owner has all of it, before it was stored."""
        count = len(bundle.tokens)
        self.counted.delivered += count
        self._lingering -= count
        self._waiting_bytes -= len(bundle.payloads)
        bundle.sender.done(bundle.request)

    def store_lingering(self, listening: Listening) -> None:
        """Store now what this listener has not said to be safe: it leaves, or more must follow.

        What is stored later of the same account has a higher number then, and so keeps its place.
        """
        if listening in self._restless:
            self._restless.discard(listening)
            listening.unpack()
            for each in listening.lingering():
                self._lingering -= 1
                self._queue_for_store(each)

    @property
    def _waiting(self) -> int:
        """How many requests wait for the store, or may have to."""
        return len(self._queue) + self._lingering

    def _queue_for_store(self, parcel: Parcel) -> None:
        parcel.state = State.QUEUED
        self._queue.append((parcel, None))
        self._wake.set()
        self._hurry.set()

    def begin_listening(self, connection: Connection, account: bytes) -> None:
        """Deliver what comes for this account to this connection, and to no other any more."""
        before = self.listeners.get(account)
        if before is not None and before is not connection:
            before.superseded()
        self.listeners[account] = connection

    def end_listening(self, connection: Connection, account: bytes) -> None:
        """Deliver no more to this connection."""
        if self.listeners.get(account) is connection:
            del self.listeners[account]
            for right_hash in self._rights.pop(account, {}).values():
                del self._routes[right_hash]

    def know(self, right_hash: bytes, mailbox: bytes, account: bytes) -> None:
        """A mailbox of somebody who listens."""
        self._rights.setdefault(account, {})[mailbox] = right_hash
        self._routes[right_hash] = mailbox, account

    def unknow(self, account: bytes, mailbox: bytes) -> None:
        """A mailbox that is to be closed."""
        right_hash = self._rights.get(account, {}).pop(mailbox, None)
        if right_hash is not None:
            del self._routes[right_hash]

    def write_soon(self, connection: Connection) -> None:
        """Have a connection written to once this turn of the loop is over."""
        if not self._to_write:
            self._loop.call_soon(self._write)
        self._to_write.append(connection)

    def _write(self) -> None:
        connections, self._to_write = self._to_write, []
        for each in connections:
            each.flush()

    # The store's work

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue or self._forget or self._restless:
                if not self._queue:
                    # Listeners have what waits: what they say to be safe soon is never stored.
                    await self._linger()
                await self._batch()

    async def _linger(self) -> None:
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._hurry.wait()

    def _end_lingering(self) -> None:
        """Queue what has lingered for long enough."""
        due = self.clock() - LINGER_S
        for listening in list(self._restless):
            listening.unpack(due)
            waits = listening.lingering()
            aged = [each for each in waits if each.since <= due]
            for each in aged:
                self._lingering -= 1
                self._queue_for_store(each)
            if len(aged) == len(waits) and not listening.bundles:
                self._restless.discard(listening)

    async def _batch(self) -> None:
        self._end_lingering()
        batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
        forget, self._forget = self._forget, []
        asked: list[Asked] = []
        for job, finish in batch:
            if isinstance(job, Parcel):
                self._waiting_bytes -= len(job.payload)
                if job.state is State.SAFE:
                    continue
                if isinstance(job.sender, Parts) and job.sender.why_refused is not None:
                    self._settle(job, job.sender.why_refused)  # nothing behind what was not taken
                    continue
                job.state = State.WRITING
            asked.append((job, finish))
        if not asked and not forget:
            return
        jobs = [job for job, _ in asked]
        running = self._loop.run_in_executor(None, self._store.run, jobs, forget)
        try:
            outcomes = await asyncio.shield(running)
            self._store_works = True
        except StoreUnusable as error:
            if self._store_works:
                log.warning("the store failed", error=str(error))
            self._store_works = False
            outcomes = [Reason.FAILED] * len(asked)
            self._forget += forget
            await asyncio.sleep(FAILED_PAUSE_S)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise
        self._finish(asked, outcomes)

    def _finish(self, asked: list[Asked], outcomes: list[Outcome]) -> None:
        # What was fetched first: it is older than what this batch put.
        for (job, finish), outcome in zip(asked, outcomes, strict=True):
            if isinstance(job, Fetch) and finish is not None:
                finish(outcome)
        for (job, finish), outcome in zip(asked, outcomes, strict=True):
            if isinstance(job, Parcel):
                self._settle(job, outcome)
            elif not isinstance(job, Fetch) and finish is not None:
                finish(outcome)
        if self.company is not None:
            self.company.spread()

    def _settle(self, parcel: Parcel, outcome: Outcome) -> None:
        if parcel.holds_up is not None:
            parcel.holds_up.behind -= 1
            parcel.holds_up = None
        if isinstance(outcome, Reason):
            self._refuse(parcel, outcome)
            return
        if parcel.state is State.SAFE:
            self._forget.append(parcel.number)
            return
        parcel.state = State.STORED
        self.counted.stored += 1
        parcel.tell_done()
        if self.company is not None:
            self.company.stored(parcel)
            return
        listener = self.listeners.get(parcel.account)
        if outcome is Was.DONE and not parcel.delivered and listener is not None:
            listener.offer(parcel)

    def _refuse(self, parcel: Parcel, reason: Reason) -> None:
        parcel.number = 0
        if parcel.state is State.SAFE:
            return  # its owner has it, and whoever dropped it knows
        parcel.state = State.REFUSED
        self.counted.refused[reason] += 1
        listener = self.listeners.get(parcel.account)
        if parcel.delivered and listener is not None and listener.listening is not None:
            listener.listening.lose(parcel)
        for sender, request in parcel.waiting():
            sender.refused(request, reason)

    async def _expire(self) -> None:
        while True:
            self.ask(Expire(int(self.now())), lambda _: None)
            await asyncio.sleep(EXPIRE_EVERY_S)
