"""All buses: in this process, over TCP, and on a real NATS server with a folder of its own."""

import asyncio
import itertools
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.keys.stores import IN_MEMORY
from tests.network.in_process import InProcessBus
from tests.patience import PATIENCE_S
from tests.ports import free_port
from tests.simulators.mesh import identities

from bellwire.network.bus import Bus, Handler
from bellwire.network.errors import BusFailed
from bellwire.network.nats_bus import NatsBus
from bellwire.network.tcp_bus import Address, TcpBus

Open = Callable[[], AbstractAsyncContextManager[Bus]]

_prefixes = itertools.count()


@dataclass
class NatsServer:
    """A server that can be stopped, and started again with what it had stored."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        program = shutil.which("nats-server")
        assert program is not None, "the Debian package nats-server is missing"
        address = ("-a", "127.0.0.1", "-p", str(self.port))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "-js", *address, "-sd", str(self.folder), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def answers(self) -> bool:
        """Wait until it listens; False if it ended, because its port was taken meanwhile."""
        assert self.process is not None
        while self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(PATIENCE_S)


@contextmanager
def served(folder: Path, *options: str) -> Iterator[NatsServer]:
    server = NatsServer(folder, free_port(), options)
    server.start()
    try:
        while not server.answers():
            server.port = free_port()
            server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    with (
        tempfile.TemporaryDirectory(prefix="bw", dir=IN_MEMORY) as name,
        served(Path(name)) as server,
    ):
        yield server


@asynccontextmanager
async def in_process() -> AsyncIterator[Bus]:
    yield InProcessBus()


@asynccontextmanager
async def on_nats(server: NatsServer, prefix: str | None = None) -> AsyncIterator[NatsBus]:
    bus = await connected(server, prefix or f"test{next(_prefixes)}")
    try:
        yield bus
    finally:
        await bus.close()


async def connected(server: NatsServer, prefix: str) -> NatsBus:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await NatsBus.connect([server.address], prefix=prefix)
            except BusFailed:
                await asyncio.sleep(0.05)


class Callers(Bus):
    """A bus of TCP for each node that joins, and one that sends for all."""

    def __init__(self) -> None:
        names = ["sender", "a", "b", "m", "n", "x", "y", *(f"n{number:02}" for number in range(10))]
        self._keys, self._roster = identities(names)
        self._addresses: dict[str, Address] = {}
        self._buses: dict[str, TcpBus] = {}
        self._sender = self._bus("sender")

    def _bus(self, name: str) -> TcpBus:
        return TcpBus(name, self._keys[name], self._roster, self._addresses)

    async def join(self, node: str, topics: Collection[str]) -> None:
        if node not in self._buses and node in self._keys:
            bus = self._buses[node] = self._bus(node)
            self._addresses[node] = await bus.start("127.0.0.1", 0)
        await self._buses.get(node, self._sender).join(node, topics)

    async def send(self, node: str, body: bytes, *, message_id: str) -> None:
        await self._sender.send(node, body, message_id=message_id)

    async def publish(self, topic: str, body: bytes, *, message_id: str) -> None:
        await self._sender.publish(topic, body, message_id=message_id)

    async def listen(self, node: str, handler: Handler) -> None:
        await self._buses[node].listen(node, handler)

    async def close(self) -> None:
        for bus in (self._sender, *self._buses.values()):
            await bus.close()


@asynccontextmanager
async def over_tcp() -> AsyncIterator[Bus]:
    bus = Callers()
    try:
        yield bus
    finally:
        await bus.close()


@pytest.fixture(params=["in-process", "tcp", "nats"])
def open_bus(request: pytest.FixtureRequest) -> Open:
    if request.param == "in-process":
        return in_process
    if request.param == "tcp":
        return over_tcp
    server: NatsServer = request.getfixturevalue("nats_server")
    return lambda: on_nats(server)
