"""Whatever dies, and whenever: what was said to be done comes, in order, and nothing else does."""

import asyncio
import contextlib
import itertools
import random
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from tests.chat.relay.postgres.test_several import Places
from tests.chat.relay.running import (
    HOUR,
    Process,
    owner_at,
    payload,
    relay_on,
    right,
    run,
)
from tests.chat.relay.test_server import drop, take
from tests.keys.postgres.server import Server
from tests.network.conftest import NatsServer

from bellwire.chat.errors import RelayRefused, RelayUnreachable
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.frames import Reason
from bellwire.chat.relay.store import RelayStore
from bellwire.database import postgres

COUNT = 120


class Cut(psycopg.Connection[Any]):
    """A connection that is lost as a transaction ends: before the server has it, or after."""

    faults: ClassVar[list[str]] = []

    def commit(self) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            self.close()
        super().commit()
        if fault == "after":
            self.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Faults of the next commits."""
    faults: list[str] = []
    monkeypatch.setattr(Cut, "faults", faults)
    monkeypatch.setattr(psycopg, "connect", Cut.connect)
    monkeypatch.setattr(postgres, "RETRY_EVERY_S", 0.0)
    return faults


@pytest.mark.parametrize("fault", ["before", "after"])
def test_what_failed_is_said_to_have_failed_and_is_there_once_when_it_comes_again(
    places: Places, cuts: list[str], fault: str
) -> None:
    async def story() -> None:
        async with relay_on(RelayStore(places[0])) as (url, relay), await owner_at(url) as owner:
            await drop(owner, 1)
            cuts.append(fault)
            with pytest.raises(RelayRefused) as caught:
                await drop(owner, 2)
            assert caught.value.reason == Reason.FAILED
            assert not relay.condition().store_works
            for number in (2, 3):
                await drop(owner, number)
            assert relay.condition().store_works
            await owner.listen()
            assert await take(owner, 3) == [1, 2, 3]

    run(story())


def test_over_a_server_and_relays_that_are_killed_nothing_is_lost_and_all_is_in_order(
    server: Server, database: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    """One relay, PostgreSQL and the other relay; people go to whichever relay answers."""
    drawn = random.Random(4)
    shared = ("--store", database, "--nats", nats_server.address)
    relays = [Process(tmp_path / str(number), 0, *shared) for number in range(2)]
    port = relays[0].port
    urls = [each.url for each in relays]
    came: list[int] = []

    async def send(turn: int) -> None:
        """Waits for each to be done; who hears that it failed, or nothing, drops it again."""
        order = itertools.cycle(urls[turn:] + urls[:turn])
        line: RelayClient | None = None
        for number in range(1000 * turn, 1000 * turn + COUNT):
            while True:
                try:
                    line = line or await RelayClient.connect(next(order))
                    token = number.to_bytes(16, "big")
                    await line.drop(right(turn + 1), token, HOUR, payload(number))
                    break
                except RelayUnreachable:
                    line = None
                except RelayRefused:
                    pass  # the store failed, and whether it has it is unknown
                await asyncio.sleep(0.02)
        if line is not None:
            line.close()

    async def receive() -> None:
        for url in itertools.cycle(urls):
            with contextlib.suppress(RelayUnreachable, RelayRefused):
                async with await owner_at(url, boxes=2) as owner:
                    await owner.listen()
                    while len(set(came)) < 2 * COUNT:
                        came.extend(await take(owner, 1))
            if len(set(came)) == 2 * COUNT:
                return
            await asyncio.sleep(0.02)

    async def kill() -> None:
        moments = sorted(drawn.sample(range(20, 2 * COUNT - 40), 3))
        for at, victim in zip(moments, (0, None, 1), strict=True):
            while len(set(came)) < at:
                await asyncio.sleep(0.005)
            if victim is None:
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
                continue
            relays[victim].kill()
            if victim == 0:  # it is back when the other goes, which stays away
                relays[0] = await asyncio.to_thread(Process, tmp_path / "0", port, *shared)

    async def story() -> None:
        async with await owner_at(urls[1], boxes=2):
            pass
        await asyncio.gather(receive(), send(0), send(1), kill())

    try:
        run(story(), 150)  # a server and a relay start anew meanwhile
    finally:
        relays[0].stop()
        if relays[1].child.poll() is None:
            relays[1].stop()
    first = list(dict.fromkeys(came))
    for turn in range(2):
        mine = [number % 1000 for number in first if number // 1000 == turn]
        assert mine == list(range(COUNT))
