"""The cloud: takes readings from enrolled devices and keeps them, each exactly once.

Every connection is bounded in time, size and number, and a connection that misbehaves ends alone.
Nothing is acknowledged before it is on disk, and nothing is shown before that either. Disk work is
done in threads, so that one device's sync does not hold up another's.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

from bellwire.base.errors import BellwireError
from bellwire.base.private import PathExposed, PathUnusable
from bellwire.channel.errors import TooManyHandshakes
from bellwire.channel.handshake import Gate, GateLimits, Policy, SessionOptions, Suite, TicketBox
from bellwire.channel.protections import Protections
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.answering import Door, Guests, respond
from bellwire.iot.authority import TrustFiles
from bellwire.iot.counters import SeenCounters
from bellwire.iot.errors import (
    ListenError,
    OutOfStep,
    ProtocolError,
    StoreFailed,
    StreamFull,
)
from bellwire.iot.identity import AllowList, PublicIdentity
from bellwire.iot.keys import KeySource
from bellwire.iot.line import Line
from bellwire.iot.messages import (
    Batch,
    Finish,
    FromCloud,
    Holding,
    Open,
    Rejected,
    Stored,
    decode_from_device,
    encode,
)
from bellwire.iot.store import CloudStore, StreamFile

MAX_CONNECTIONS = 10_240
"""Sessions and handshakes together."""

MAX_WAITING = 2048
"""Connections without a session yet, and never more than a quarter of all; half of them from one
address at most. So nobody who only connects can keep others out of sessions."""

SPARE_DESCRIPTORS = 64
DESCRIPTORS_EACH = 3
"""A connection and the two files of its stream."""

MAX_WORKING = 256
"""Handshakes between a hello that the gate let through and its confirmation; more have to wait."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A device proved who it is."""

    device: PublicIdentity
    protections: Protections


@dataclass(frozen=True, slots=True, repr=False)
class Arrived:
    """Readings that are durable now, as decrypted; the first is number `first` of its stream."""

    device: PublicIdentity
    stream: bytes
    first: int
    readings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A connection ended early; `reason` is for our own eyes, the peer was told less."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeyFileIgnored:
    """A file in the folder of admitted devices is of no use; said once for each reason."""

    reason: str


Event = SessionOpened | Arrived | TurnedAway | KeyFileIgnored


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device may take.

    Attributes:
        handshake_s: Seconds for each message of a handshake.
        idle_s: Seconds between messages of a session.
        gate: Handshakes a second.
    """

    handshake_s: float = 5.0
    idle_s: float = 60.0
    gate: GateLimits = field(default_factory=GateLimits)


@dataclass
class _OpenStream:
    """A stream in use, by how many connections; one of them at a time touches the file."""

    file: StreamFile
    lock: asyncio.Lock
    users: int = 0


class Cloud:
    """Serves devices between `start` and `close`.

    Args:
        identity: The key pair that devices have pinned.
        name: What devices call us.
        admitted: Who may connect.
        store: Where readings go; it stays open when the cloud closes.
        keys: Source of QKD keys, or None.
        policy: What we ask of QKD.
        notify: Called with each event, in the order of events.
        limits: How long a device may take, and how often it may come.
        counters: The last handshake that each device confirmed; it stays open.
        trust: Whose certificates count beside the list, if any do.
        suites: The ciphers that devices may pick.
        options: Of sessions.
        descriptors: How many files and connections this process may have open.
    """

    def __init__(
        self,
        *,
        identity: XWingPrivateKey,
        name: str,
        admitted: AllowList,
        store: CloudStore,
        keys: KeySource | None,
        policy: Policy = Policy.PREFER,
        notify: Callable[[Event], None] = lambda event: None,
        limits: Limits | None = None,
        counters: SeenCounters,
        trust: TrustFiles | None = None,
        suites: Collection[Suite] = frozenset(Suite),
        options: SessionOptions | None = None,
        descriptors: int | None = None,
    ) -> None:
        self._most, self._most_waiting = _shares(descriptors)
        self._admitted = admitted
        self._trust = trust
        self._store = store
        self._notify = notify
        self._limits = limits or Limits()
        self._door = Door(
            identity=identity,
            name=name,
            policy=policy,
            keys=keys,
            gate=Gate(identity.public_bytes, suites=suites, limits=self._limits.gate),
            last_counter=counters.last,
            confirmed=counters.confirm,
            within_s=self._limits.handshake_s,
            tickets=TicketBox(time.monotonic),
            working=asyncio.Semaphore(MAX_WORKING),
            options=options,
        )
        self._waiting: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._streams: dict[tuple[bytes, bytes], _OpenStream] = {}
        self._opening = asyncio.Lock()
        self._ignored: set[str] = set()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; port 0 takes a free one. Returns the address that was taken.

        Raises:
            ListenError: the port is in use, or the address is not this machine's.
        """
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except (OSError, OverflowError) as error:
            reason = (
                "it is in use by another program"
                if isinstance(error, OSError) and "in use" in str(error)
                else str(error)
            )
            raise ListenError(
                f"expected to listen at {host}:{port}, but {reason}",
                hint="Choose another port, or port 0 for any free one.",
            ) from error
        taken = self._server.sockets[0].getsockname()
        return str(taken[0]), int(taken[1])

    async def close(self) -> None:
        """Stop listening and end all connections; again is harmless."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()

    async def __aenter__(self) -> "Cloud":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        host, peer = _peer(writer)
        try:
            if len(self._connections) >= self._most:
                self._notify(TurnedAway(peer, f"more than {self._most} connections"))
                return
            self._connections.add(task)
            line, device = await self._shake_hands(reader, writer, host, peer)
            await self._converse(line, device)
        except asyncio.CancelledError:
            # Only `close` cancels; the task ends here, and the stream protocol of Python 3.11
            # would report a cancelled one as a failure.
            return
        except TimeoutError:
            self._notify(TurnedAway(peer, "too slow"))
        except BellwireError as error:
            self._notify(TurnedAway(peer, str(error)))
        finally:
            self._connections.discard(task)
            writer.close()

    async def _shake_hands(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, peer: str
    ) -> tuple[Line, PublicIdentity]:
        most = self._most_waiting
        if self._waiting.total() >= most or self._waiting[host] >= max(1, most // 2):
            raise TooManyHandshakes("expected fewer unfinished handshakes, got too many at once")
        self._waiting[host] += 1
        try:
            admitted = await asyncio.to_thread(self._admitted.load)
            for reason in sorted(set(self._admitted.refused.values()) - self._ignored):
                self._notify(KeyFileIgnored(reason))
            self._ignored = set(self._admitted.refused.values())
            return await respond(
                reader,
                writer,
                door=self._door,
                source=host,
                guests=Guests(admitted=admitted, trust=self._trust),
            )
        finally:
            self._waiting[host] -= 1
            if not self._waiting[host]:
                del self._waiting[host]

    async def _converse(self, line: Line, device: PublicIdentity) -> None:
        self._notify(SessionOpened(device, line.session.protections))
        try:
            await self._take(line, device)
        except (StreamFull, OutOfStep) as error:
            await self._answer(line, Rejected(str(error)))
            raise
        except (StoreFailed, PathUnusable, PathExposed):
            # What failed, and where, is not the device's to know.
            await self._answer(line, Rejected("its storage failed"))
            raise

    async def _take(self, line: Line, device: PublicIdentity) -> None:
        """Serve one session: a stream is opened, grows, and is finished."""
        opening = await self._next(line)
        if not isinstance(opening, Open):
            raise ProtocolError("expected a stream to be opened first, got another message")
        async with self._stream(device.fingerprint, opening.stream) as stream:
            await self._answer(line, Holding(stream.file.count, stream.file.sha256))
            while (message := await self._next(line)) is not None:
                if isinstance(message, Open):
                    raise ProtocolError("expected one stream a session, got another")
                async with stream.lock:
                    answer: FromCloud = (
                        await self._keep(device, opening.stream, stream.file, message)
                        if isinstance(message, Batch)
                        else Holding(stream.file.count, stream.file.sha256)
                    )
                await self._answer(line, answer)

    async def _keep(
        self, device: PublicIdentity, stream: bytes, file: StreamFile, batch: Batch
    ) -> FromCloud:
        count = await _in_thread(lambda: file.append(batch.first, batch.readings))
        self._notify(Arrived(device, stream, batch.first, batch.readings))
        return Stored(count)

    async def _next(self, line: Line) -> Open | Batch | Finish | None:
        data = await line.receive(self._limits.idle_s)
        return None if data is None else decode_from_device(data)

    async def _answer(self, line: Line, answer: FromCloud) -> None:
        await line.send(encode(answer), self._limits.idle_s)

    @contextlib.asynccontextmanager
    async def _stream(self, device: bytes, name: bytes) -> AsyncIterator[_OpenStream]:
        """The stream's one open file, shared by the connections that use it."""
        key = (device, name)
        async with self._opening:
            stream = self._streams.get(key)
            if stream is None:
                file = await _in_thread(
                    lambda: self._store.open(device, name), undo=StreamFile.close
                )
                stream = self._streams[key] = _OpenStream(file, asyncio.Lock())
            stream.users += 1
        try:
            yield stream
        finally:
            stream.users -= 1
            if not stream.users:
                del self._streams[key]
                stream.file.close()


async def _in_thread(
    work: Callable[[], _Result], undo: Callable[[_Result], None] = lambda result: None
) -> _Result:
    """Run disk work in a thread, to its end also when cancelled: files must not close under it."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if task.exception() is None:
            undo(task.result())
        raise


def _shares(descriptors: int | None) -> tuple[int, int]:
    """How many connections there may be, and how many of them without a session."""
    most = MAX_CONNECTIONS
    if descriptors is not None:
        most = min(most, max(1, (descriptors - SPARE_DESCRIPTORS) // DESCRIPTORS_EACH))
    return most, max(2, min(MAX_WAITING, most // 4))


def _peer(writer: asyncio.StreamWriter) -> tuple[str, str]:
    """The peer's address, without and with its port."""
    name = writer.get_extra_info("peername")
    return (str(name[0]), f"{name[0]}:{name[1]}") if name else ("unknown", "unknown")
