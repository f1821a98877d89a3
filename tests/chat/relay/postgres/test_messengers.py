"""Two people whose clients know one address; of the two relays behind it, one is killed."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.chat.proof import Proof
from tests.chat.relay.running import Process, run
from tests.network.conftest import NatsServer


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def balancer(ports: Sequence[int]) -> AsyncIterator[int]:
    """Its port; it leads connections to one of the others after the other, of those that answer."""
    turn = itertools.cycle(ports)
    tasks: set[asyncio.Task[None]] = set()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(leave, writer)
            for _ in ports:
                with contextlib.suppress(OSError):
                    back, forth = await asyncio.open_connection("127.0.0.1", next(turn))
                    break
            else:
                return
            undo.push_async_callback(leave, forth)
            ways = {asyncio.ensure_future(carry(reader, forth))}
            ways.add(asyncio.ensure_future(carry(back, writer)))
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(lead(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(came, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


class Balanced(Proof):
    """A proof over two relays of one store; the first is killed and stays away."""

    def __init__(self, folder: Path, drawn: random.Random, pad: int, *shared: str) -> None:
        super().__init__(folder, drawn, pad, *shared)
        self._other = Process(folder / "other", 0, *shared)
        self._port = 0

    @property
    def _url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    async def run(self, messages: int, faults: int) -> None:
        async with balancer([self._relay.port, self._other.port]) as self._port:
            await super().run(messages, faults)

    async def _kill(self) -> None:
        self.happened["relays killed"] += 1
        self._relay.kill()
        self._relay = self._other


def test_of_two_relays_behind_one_address_one_is_killed_and_nothing_is_lost_or_shown_twice(
    database: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    shared = ("--store", database, "--nats", nats_server.address)
    proof = Balanced(tmp_path, random.Random(8), 3000, *shared)
    run(proof.run(messages=60, faults=1), 150)
    assert proof.faults() == []
    assert proof.happened["relays killed"] == 1
    assert proof.happened["couriers cut off"] == 1
