"""Latency of handshakes and messages over a wire that delays and loses, made in user space.

A wire delays each direction by half a round trip. Over UDP it drops datagrams at random, and the
session's own delivery brings them back. Over TCP, and so towards an MQTT broker, nothing in user
space can drop a segment of the kernel's: what is lost arrives one retransmission later, after the
round trip and the 0.2 seconds that are Linux's least, and all that follows waits for it. That is
TCP without fast retransmission, which a lone small message does not get.
"""

import asyncio
import contextlib
import random
import statistics
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.iot.broker import mosquitto
from tests.iot.doubles import Bench, readings
from tests.iot.relay import Relay
from tests.patience import PATIENCE_S

from bellwire.iot.destination import Address, Destination
from bellwire.iot.mqtt import MqttAddress
from bellwire.iot.mqtt_listener import MqttListener
from bellwire.iot.readings import Readings
from bellwire.iot.sending import SendReport

TRANSPORTS = ("tcp", "udp", "mqtt")
LEAST_RTO_S = 0.2


@dataclass(frozen=True)
class Wire:
    """What happens on the way.

    Attributes:
        round_trip_s: Half of it each way.
        loss: Share of pieces that are lost, each way.
        seed: Of which.
    """

    round_trip_s: float
    loss: float
    seed: int = 0


@dataclass(frozen=True)
class Latency:
    """Seconds, of all that were measured over a wire."""

    handshakes_s: list[float]
    messages_s: list[float]

    def row(self) -> list[float]:
        """Milliseconds: the middle and the longest handshake, then of messages."""
        return [
            1000 * each
            for some in (self.handshakes_s, self.messages_s)
            for each in (statistics.median(some), max(some))
        ]


class Pipe:
    """One direction of a TCP connection: pieces leave late, and in order."""

    def __init__(self, wire: Wire, draw: random.Random) -> None:
        self._wire = wire
        self._draw = draw
        self._due = 0.0

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

        async def leave() -> None:
            while True:
                due, piece = await queue.get()
                await asyncio.sleep(due - loop.time())
                if not piece:
                    writer.close()
                    return
                writer.write(piece)

        leaving = asyncio.create_task(leave())
        with contextlib.suppress(OSError):
            while piece := await reader.read(2**16):
                queue.put_nowait((self.when(loop.time()), piece))
        queue.put_nowait((self.when(loop.time()), b""))
        with contextlib.suppress(OSError):
            await leaving

    def when(self, now: float) -> float:
        """When a piece that comes now leaves."""
        wire, due = self._wire, now + self._wire.round_trip_s / 2
        while self._draw.random() < wire.loss:
            due += wire.round_trip_s + LEAST_RTO_S
        self._due = max(self._due, due)
        return self._due


@contextlib.asynccontextmanager
async def slow_tcp(to: tuple[str, int], wire: Wire) -> AsyncIterator[tuple[str, int]]:
    """Where connections are taken that end at `to`."""
    draw = random.Random(wire.seed)
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        back_reader, back = await asyncio.open_connection(*to)
        up, down = Pipe(wire, draw), Pipe(wire, draw)
        try:
            await asyncio.gather(up.run(reader, back), down.run(back_reader, writer))
        finally:
            writer.close()
            back.close()
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        name = server.sockets[0].getsockname()
        yield name[0], name[1]
    finally:
        server.close()
        if running:
            await asyncio.wait(running, timeout=PATIENCE_S)
        await server.wait_closed()


@contextlib.asynccontextmanager
async def _reached(
    transport: str, wire: Wire, bench: Bench, folder: Path
) -> AsyncIterator[Destination]:
    """A cloud over one transport, with the wire in between."""
    async with contextlib.AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(bench.running())
        if transport == "udp":
            relay = Relay(
                await cloud.start_udp("127.0.0.1", 0),
                loss=wire.loss,
                delay_s=wire.round_trip_s / 2,
                seed=wire.seed,
            )
            yield await stack.enter_async_context(relay.open())
            return
        if transport == "tcp":
            to = (bench.address.host, bench.address.port)
            yield Address(*await stack.enter_async_context(slow_tcp(to, wire)))
            return
        broker = stack.enter_context(mosquitto(folder)).broker
        listener = MqttListener(cloud.door, cloud.reception, notify=bench.events.append)
        cloud.add(listener)
        listener.start(broker)
        slow = slow_tcp((broker.host, broker.port), wire)
        host, port = await stack.enter_async_context(slow)
        yield MqttAddress(replace(broker, host=host, port=port))


async def measure(
    transport: str, wire: Wire, folder: Path, *, sessions: int, messages: int
) -> Latency:
    """Latencies of full handshakes, and of messages of one reading until they are on disk.

    Raises:
        BellwireError: a reading did not arrive.
    """
    bench = Bench(folder)
    handshakes: list[float] = []
    answers: list[float] = []
    async with _reached(transport, wire, bench, folder) as to:
        for _ in range(sessions):
            report = await _talk(bench, to, messages)
            assert report.sent == messages
            handshakes.append(report.handshake_s)
            answers += report.answers_s
    assert len(bench.arrived) == sessions * messages
    return Latency(handshakes, answers)


async def _talk(bench: Bench, to: Destination, messages: int) -> SendReport:
    """A session in which one reading after the other is sent."""
    device = bench.device(timeout_s=60.0)
    data, there = readings(messages), iter(range(1, messages + 1))
    have = 0

    def now() -> Readings:
        return Readings(b"".join(data[number] for number in range(have)), _ends(data, have))

    async def more(count: int, within_s: float) -> bool:
        nonlocal have
        have = next(there, 0) or have
        return have > count

    name = str(len(bench.sessions))
    return await device.follow(device.stream(data, name), now, more, to)


def _ends(data: Readings, count: int) -> Iterator[int]:
    end = 0
    for number in range(count):
        end += len(data[number])
        yield end
