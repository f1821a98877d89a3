"""A device that keeps running: the cloud goes, the device dies, and each reading is there once."""

import asyncio
import io
from collections.abc import AsyncGenerator, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.iot.doubles import Bench
from tests.iot.relay import Relay
from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.iot import segment as segment_module
from bellwire.iot.buffer import Buffer
from bellwire.iot.destination import Destination
from bellwire.iot.errors import DataError, StreamMismatch
from bellwire.iot.readings import Group
from bellwire.iot.running import Runner, passes
from bellwire.iot.sources import lines, sensors

SEED = Secret(bytes([7]) * 32)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


def reading(number: int) -> bytes:
    return b"%d,%s\n" % (number, b"x" * (number % 50))


async def source(*parts: range, between: asyncio.Event) -> AsyncGenerator[Group, None]:
    for place, part in enumerate(parts):
        if place:
            await between.wait()
        for number in part:
            yield Group([reading(number)])


def runner(bench: Bench, to: Destination, buffer: Buffer, timeout_s: float = PATIENCE_S) -> Runner:
    return Runner(bench.device(timeout_s=timeout_s), to, buffer, pause_s=0.05)


async def arrived(bench: Bench, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(bench.arrived) < count:
            await asyncio.sleep(0.01)


def test_readings_taken_while_the_cloud_is_away_are_there_once_it_is_back(
    bench: Bench, tmp_path: Path
) -> None:
    async def work() -> None:
        go_on = asyncio.Event()
        with Buffer(tmp_path / "buffer", SEED, limit=0) as buffer:
            async with bench.running():
                running = runner(bench, bench.address, buffer)
                task = asyncio.create_task(
                    running.run(source(range(100), range(100, 300), between=go_on))
                )
                await arrived(bench, 100)
            go_on.set()
            async with asyncio.timeout(PATIENCE_S):
                while running.report.taken < 300 or not running.report.lost:
                    await asyncio.sleep(0.01)
            async with bench.running():
                report = await task
            assert not buffer.segments
        assert b"".join(bench.arrived) == b"".join(map(reading, range(300)))
        assert (report.taken, report.waiting) == (300, 0)
        assert report.lost >= 1

    run(work())


def test_a_device_that_dies_goes_on_where_it_was(bench: Bench, tmp_path: Path) -> None:
    async def work() -> None:
        never = asyncio.Event()
        async with bench.running():
            with Buffer(tmp_path / "buffer", SEED, limit=0) as buffer:
                running = runner(bench, bench.address, buffer)
                task = asyncio.create_task(running.run(source(range(50), range(0), between=never)))
                await arrived(bench, 20)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            with Buffer(tmp_path / "buffer", SEED, limit=0) as buffer:
                taken = sum(len(segment) for segment in buffer.segments)
                never.set()
                rest = source(range(taken, 80), between=never)
                await runner(bench, bench.address, buffer).run(rest)
        assert b"".join(bench.arrived) == b"".join(map(reading, range(80)))

    run(work())


def test_a_wire_that_is_cut_for_seconds_loses_and_doubles_nothing(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_module, "SEGMENT_BYTES", 2000)

    async def work() -> None:
        go_on, down = asyncio.Event(), False
        async with bench.running() as cloud:
            relay = Relay(await cloud.start_udp("127.0.0.1", 0), cut=lambda datagram: down)
            async with relay.open() as address:
                with Buffer(tmp_path / "buffer", SEED, limit=0) as buffer:
                    running = runner(bench, address, buffer, timeout_s=1.0)
                    task = asyncio.create_task(
                        running.run(source(range(100), range(100, 300), between=go_on))
                    )
                    await arrived(bench, 60)
                    down = True
                    go_on.set()
                    async with asyncio.timeout(PATIENCE_S):
                        while running.report.lost < 2:
                            await asyncio.sleep(0.01)
                    down = False
                    report = await task
        assert b"".join(bench.arrived) == b"".join(map(reading, range(300)))
        assert report.sessions > 3

    run(work())


def test_what_trying_again_does_not_help_ends_the_run() -> None:
    assert not passes(StreamMismatch("other readings"))


def test_lines_come_as_they_are_and_bad_ones_are_named() -> None:
    async def take(data: bytes) -> list[bytes]:
        return [
            line
            async for some in lines(io.BytesIO(data), "standard input")
            for line in some.readings
        ]

    many = [b"%d\n" % number for number in range(3000)]
    assert asyncio.run(take(b"".join(many) + b"last")) == [*many, b"last"]
    for bad, word in ((b"a\n\n", "empty"), (b"\xff\n", "UTF-8"), (b"x" * 40_000, "32,768")):
        with pytest.raises(DataError, match=word):
            asyncio.run(take(bad))


def test_sensors_give_as_many_readings_as_are_asked_for() -> None:
    async def take() -> int:
        return len([some async for some in sensors(3, interval_s=0.0)])

    assert asyncio.run(take()) == 3
