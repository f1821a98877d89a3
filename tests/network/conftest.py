"""Both buses: one in this process, and a real NATS server with JetStream in a folder of its own."""

import asyncio
import itertools
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.keys.stores import IN_MEMORY

from bellwire.network.bus import Bus, InProcessBus
from bellwire.network.errors import BusFailed
from bellwire.network.nats_bus import NatsBus

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
        self.process.wait(20)


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


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


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
    async with asyncio.timeout(20):
        while True:
            try:
                return await NatsBus.connect([server.address], prefix=prefix)
            except BusFailed:
                await asyncio.sleep(0.05)


@pytest.fixture(params=["in-process", "nats"])
def open_bus(request: pytest.FixtureRequest) -> Open:
    if request.param == "in-process":
        return in_process
    server: NatsServer = request.getfixturevalue("nats_server")
    return lambda: on_nats(server)
