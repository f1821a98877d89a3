"""The bus as connections between sites: each node listens, and calls whom it has something for.

A connection carries messages one way, from who called to who listens, and acknowledgements back.
Who calls proves by its identity that it is a member; whom it called needs no proof, as nothing
secret crosses a bus and nothing is believed for its way. What was sent waits here until it is
acknowledged, over broken connections, for as long as somebody could make use of it.

Layout: spec/key-relay.md, *Bus*.
"""

import asyncio
import os
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta

from bellwire.base.backlog import BACKLOG
from bellwire.base.decoding import UNDECODABLE
from bellwire.base.frames import ConnectionEnded, FrameTooLarge, read_frame, write_frame
from bellwire.base.together import until_one_ends
from bellwire.crypto.signatures import SigningKey
from bellwire.network.bus import (
    MAX_MESSAGE_BYTES,
    MAX_WAITING,
    Handler,
    MessageIds,
    Queue,
    check_message,
)
from bellwire.network.errors import BusFailed, Malformed, MessageRefused
from bellwire.network.identity import MAX_SIGNED_BYTES, NodeName, Roster, check, check_name, sign

log = structlog.get_logger()

PURPOSE: Final = b"hello"
NONCE_BYTES: Final = 32

KEPT_S: Final = 120.0
"""How long a message waits for a node that is away: longer than any attempt or announcement."""

MAX_WAITING_BYTES: Final = 16 * 2**20
"""Of all messages that wait for one node."""

MAX_CALLERS: Final = 512
HELLO_WITHIN_S: Final = 5.0
CONNECT_WITHIN_S: Final = 5.0
END_WITHIN_S: Final = 1.0
TAKEN_WITHIN_S: Final = 10.0
_MIND_S: Final = 1.0
_AGAIN_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_FRAME: Final = MAX_MESSAGE_BYTES + 256

Address = tuple[str, int]


class _Hello(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    receiver: NodeName
    nonce: Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    number: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    topic: NodeName | None
    body: Annotated[bytes, Meta(max_length=MAX_MESSAGE_BYTES)]


class _Taken(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    number: Annotated[int, Meta(ge=1, le=2**63 - 1)]


_hellos = msgspec.msgpack.Decoder(_Hello)
_messages = msgspec.msgpack.Decoder(_Message)
_taken = msgspec.msgpack.Decoder(_Taken)


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: _Message
    since: float


class _Outbox:
    """What waits for one node; the oldest gives way."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._number = 0
        self.filled = asyncio.Event()
        self.there = asyncio.Event()

    def put(self, topic: str | None, body: bytes, now: float) -> None:
        self._number += 1
        self._waiting.append(_Waiting(_Message(self._number, topic, body), now))
        self._bytes += len(body)
        while len(self._waiting) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            self._drop()
        self.filled.set()

    def after(self, number: int, now: float) -> _Message | None:
        """The first message above a number that is not too old."""
        while self._waiting and self._waiting[0].since < now - KEPT_S:
            self._drop()
        if not self._waiting:
            return None
        # Numbers follow each other: the place of one is known.
        at = max(0, number + 1 - self._waiting[0].message.number)
        return self._waiting[at].message if at < len(self._waiting) else None

    def taken(self, number: int) -> None:
        while self._waiting and self._waiting[0].message.number <= number:
            self._drop()

    def wake(self) -> None:
        """What was said on a connection that broke is to be said again."""
        if self._waiting:
            self.filled.set()

    def oldest(self, now: float) -> float:
        """How long the oldest message has waited, in seconds; 0 if none does."""
        return now - self._waiting[0].since if self._waiting else 0.0

    def _drop(self) -> None:
        self._bytes -= len(self._waiting.popleft().message.body)


class TcpBus:
    """The bus of one node; between `start` and `close` it listens.

    Args:
        name: The node.
        identity: Its long-term key.
        roster: The members of the network.
        addresses: Where the others listen; those that are not named are not reached.
    """

    def __init__(
        self, name: str, identity: SigningKey, roster: Roster, addresses: Mapping[str, Address]
    ) -> None:
        self._name = name
        self._identity = identity
        self._roster = roster
        self._addresses = addresses
        self._queues: dict[str | None, Queue] = {}
        self._ids = MessageIds()
        self._outboxes: dict[str, _Outbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._callers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connected: set[str] = set()

    async def start(self, host: str, port: int) -> Address:
        """Listen; port 0 takes a free one.

        Returns:
            Where.

        Raises:
            BusFailed: the address cannot be listened on.
        """
        try:
            self._server = await asyncio.start_server(self._answer, host, port, backlog=BACKLOG)
        except OSError as error:
            raise BusFailed(
                f"expected to listen on {host} port {port}, got: {error.strerror or error}",
                hint="Choose another address with --listen, and in the topology of all sites.",
            ) from error
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def close(self) -> None:
        """Leave; what waits for others is lost."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = [*self._tasks, *self._callers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def join(self, node: str, topics: Collection[str]) -> None:
        """As `Bus.join`, for our own node: other nodes have a bus of their own."""
        for name in (node, *topics):
            check_name(name)
        if node == self._name:
            for topic in (None, *topics):
                self._queues.setdefault(topic, Queue())

    async def send(self, node: str, body: bytes, *, message_id: str) -> None:
        """As `Bus.send`; a message for who is away for long is dropped."""
        check_message(node, body)
        if self._ids.is_new(f"to {node}", message_id):
            self._put(node, None, body)

    async def publish(self, topic: str, body: bytes, *, message_id: str) -> None:
        """As `Bus.publish`: to each of the others, and to ourselves."""
        check_message(topic, body)
        if self._ids.is_new(f"on {topic}", message_id):
            for node in {self._name, *self._addresses}:
                self._put(node, topic, body)

    async def listen(self, node: str, handler: Handler) -> None:
        """As `Bus.listen`."""
        if node != self._name:
            return
        async with asyncio.TaskGroup() as tasks:
            for topic, queue in self._queues.items():
                tasks.create_task(queue.serve(topic, handler))

    def _put(self, node: str, topic: str | None, body: bytes) -> None:
        if node == self._name:
            self._take(topic, body)
            return
        if node not in self._addresses:
            return
        outbox = self._outboxes.get(node)
        if outbox is None:
            outbox = self._outboxes[node] = _Outbox()
            task = asyncio.create_task(self._call(node, outbox))
            self._tasks.add(task)
        outbox.put(topic, body, asyncio.get_running_loop().time())

    def _take(self, topic: str | None, body: bytes) -> None:
        queue = self._queues.get(topic)
        if queue is not None:
            queue.put(body)

    # We call

    async def _call(self, node: str, outbox: _Outbox) -> None:
        """Keep a connection to a node while there is something for it, for ever."""
        failed = 0
        while True:
            await outbox.filled.wait()
            try:
                await self._converse(node, outbox)
                failed = 0
            except (OSError, ConnectionEnded, FrameTooLarge, MessageRefused) as error:
                if failed == 0:
                    log.warning("site not reached", peer=node, reason=str(error))
                was_there = node in self.connected
                failed = 1 if was_there else failed + 1
            finally:
                self.connected.discard(node)
            outbox.wake()
            outbox.there.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S[min(failed, len(_AGAIN_S) - 1)]):
                    await outbox.there.wait()

    async def _converse(self, node: str, outbox: _Outbox) -> None:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            reader, writer = await asyncio.open_connection(*self._addresses[node])
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                nonce = await read_frame(reader, NONCE_BYTES)
                body = msgspec.msgpack.encode(_Hello(node, nonce))
                await write_frame(writer, sign(self._identity, self._name, PURPOSE, body))
            self.connected.add(node)
            await until_one_ends(_say(writer, outbox), _hear_taken(reader, outbox), _mind(outbox))
        finally:
            await _end(writer)

    # We are called

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if len(self._callers) < MAX_CALLERS:
                self._callers.add(task)
                await self._hear(reader, writer)
        except (ConnectionEnded, FrameTooLarge, TimeoutError):
            pass  # It left, or does not speak this protocol.
        except MessageRefused as error:
            log.warning("caller refused", reason=str(error))
        except asyncio.CancelledError:
            pass  # By `close`; asyncio's streams report a handler that ends cancelled.
        finally:
            self._callers.discard(task)
            await _end(writer)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonce = os.urandom(NONCE_BYTES)
        async with asyncio.timeout(HELLO_WITHIN_S):
            await write_frame(writer, nonce)
            said = await read_frame(reader, MAX_SIGNED_BYTES)
        # A signature takes the processor for long enough to leave the loop to others.
        caller, body = await asyncio.to_thread(check, self._roster, PURPOSE, said)
        try:
            hello = _hellos.decode(body)
        except UNDECODABLE as error:
            raise Malformed("expected a hello, got something else") from error
        if (hello.receiver, hello.nonce) != (self._name, nonce):
            raise MessageRefused("expected a hello to us, on this connection, got another")
        outbox = self._outboxes.get(caller)
        if outbox is not None:
            outbox.there.set()  # it has started again, perhaps, and we wait to try once more
        while True:
            data = await read_frame(reader, _FRAME)
            try:
                message = _messages.decode(data)
            except UNDECODABLE as error:
                raise Malformed("expected a message of the bus, got something else") from error
            self._take(message.topic, message.body)
            await write_frame(writer, msgspec.msgpack.encode(_Taken(message.number)))


async def _say(writer: asyncio.StreamWriter, outbox: _Outbox) -> None:
    """Send what waits, from the oldest on, until cancelled."""
    loop, last = asyncio.get_running_loop(), 0
    while True:
        message = outbox.after(last, loop.time())
        if message is None:
            outbox.filled.clear()
            await outbox.filled.wait()
            continue
        await write_frame(writer, msgspec.msgpack.encode(message))
        last = message.number


async def _hear_taken(reader: asyncio.StreamReader, outbox: _Outbox) -> None:
    while True:
        data = await read_frame(reader, 64)
        try:
            outbox.taken(_taken.decode(data).number)
        except UNDECODABLE as error:
            raise Malformed("expected an acknowledgement, got something else") from error


async def _mind(outbox: _Outbox) -> None:
    """End the connection when nothing is acknowledged any more: its other end may have vanished.

    Raises:
        ConnectionEnded: then.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        await asyncio.sleep(_MIND_S)
        now = loop.time()
        if min(outbox.oldest(now), now - began) > TAKEN_WITHIN_S:
            raise ConnectionEnded("nothing was acknowledged in time")


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and return when its socket is closed."""
    writer.close()
    try:
        async with asyncio.timeout(END_WITHIN_S):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except OSError:
        pass  # Lost before it was closed, which is closed, too.
