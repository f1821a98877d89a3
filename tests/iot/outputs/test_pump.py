"""Readings reach each output at least once, in order, over failures and restarts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from tests.iot.outputs.conftest import KEY, OTHER, Files
from tests.patience import PATIENCE_S

from bellwire.iot.errors import OutputFailed
from bellwire.iot.events import Arrived, Event, OutputDown, OutputUp
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.outputs import pump as pump_module
from bellwire.iot.outputs.item import Item
from bellwire.iot.outputs.pump import Pump
from bellwire.iot.outputs.running import Outputs


@dataclass
class Memory:
    """An output that is there for the test to look at; it may be made to fail."""

    items: list[Item] = field(default_factory=list)
    failing: bool = False
    after: bool = False
    closed: int = 0

    async def put(self, items: Sequence[Item]) -> None:
        await asyncio.sleep(0)
        if self.failing and not self.after:
            raise OutputFailed("it is down")
        self.items.extend(items)
        if self.failing:
            raise OutputFailed("its answer was lost")

    async def close(self) -> None:
        self.closed += 1

    def numbers(self, stream: bytes = KEY.stream) -> list[int]:
        return [item.number for item in self.items if item.key.stream == stream]


@contextlib.asynccontextmanager
async def pumping(
    files: Files, output: Memory, events: list[Event] | None = None
) -> AsyncIterator[Pump]:
    pump = Pump(
        "memory",
        output,
        cursors=files.cursors,
        folder=files.folder,
        tell=(events if events is not None else []).append,
        first_wait_s=0.001,
    )
    task = asyncio.create_task(pump.run())
    try:
        yield pump
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)


def test_what_is_there_at_the_start_and_what_comes_goes_out_once(files: Files) -> None:
    async def work() -> None:
        output = Memory()
        files.append(KEY, 0, b"a", b"b")
        async with pumping(files, output) as pump:
            await until(lambda: output.numbers() == [0, 1])
            pump.wake(KEY, files.append(KEY, 2, b"c"))
            await until(lambda: pump.sent == 3)
        assert [item.reading for item in output.items] == [b"a", b"b", b"c"]
        assert output.closed == 1
        again = Memory()
        async with pumping(files, again) as pump:
            pump.wake(KEY, files.append(KEY, 3, b"d"))
            await until(lambda: pump.sent == 1)
        assert again.numbers() == [3], "a restart goes on where it was"

    asyncio.run(work())


def test_nothing_beyond_what_is_durable_goes_out(files: Files) -> None:
    async def work() -> None:
        output = Memory()
        files.append(OTHER, 0, b"x")
        async with pumping(files, output) as pump:
            await until(lambda: pump.sent == 1)
            files.append(KEY, 0, b"a", b"b", b"not yet")
            pump.wake(KEY, 2)
            await until(lambda: pump.sent == 3)
            pump.wake(OTHER, files.append(OTHER, 1, b"y"))
            await until(lambda: pump.sent == 4)
        assert output.numbers() == [0, 1]

    asyncio.run(work())


def test_an_output_that_is_down_is_told_once_and_tried_until_it_is_up(files: Files) -> None:
    async def work() -> None:
        output, events = Memory(failing=True), list[Event]()
        files.append(KEY, 0, b"a")
        async with pumping(files, output, events) as pump:
            await until(lambda: bool(events))
            pump.wake(KEY, files.append(KEY, 1, b"b"))
            for _ in range(20):
                await asyncio.sleep(0.001)
            output.failing = False
            await until(lambda: pump.sent == 2)
        assert events == [OutputDown("memory", "it is down"), OutputUp("memory")]
        assert output.numbers() == [0, 1]

    asyncio.run(work())


def test_a_lost_answer_repeats_readings_under_the_same_ids(files: Files) -> None:
    async def work() -> None:
        output = Memory(failing=True, after=True)
        files.append(KEY, 0, b"a", b"b")
        async with pumping(files, output) as pump:
            await until(lambda: len(output.items) >= 4)
            output.failing = False
            await until(lambda: pump.sent == 2)
        ids = [item.ident for item in output.items]
        assert len(set(ids)) == 2
        assert set(ids) == {f"{'07' * 32}.{'08' * 32}.{number}" for number in (0, 1)}

    asyncio.run(work())


def test_a_long_stream_does_not_hold_up_others(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "BATCH", 10)

    async def work() -> None:
        output = Memory()
        files.append(KEY, 0, *([b"x"] * 100))
        files.append(OTHER, 0, b"y")
        async with pumping(files, output) as pump:
            await until(lambda: pump.sent == 101)
        assert output.numbers() == list(range(100))
        others = [n for n, item in enumerate(output.items) if item.key == OTHER]
        assert others[0] <= 10

    asyncio.run(work())


def test_a_stream_that_was_taken_away_is_passed_over(files: Files) -> None:
    async def work() -> None:
        output = Memory()
        async with pumping(files, output) as pump:
            pump.wake(OTHER, 5)
            pump.wake(KEY, files.append(KEY, 0, b"a"))
            await until(lambda: pump.sent == 1)
            assert pump.behind == 0
        assert output.numbers() == [0]

    asyncio.run(work())


def test_each_output_goes_at_its_own_pace_and_items_bear_the_device_s_name(files: Files) -> None:
    async def work() -> None:
        well, ill = Memory(), Memory(failing=True)
        device = PublicIdentity("device", "thermometer", bytes(1216))
        from bellwire.iot.stored import StreamKey

        key = StreamKey(device.fingerprint, KEY.stream)
        outputs = Outputs(
            {"well": well, "ill": ill},
            cursors=files.cursors,
            folder=files.folder,
            tell=lambda _: None,
        )
        async with outputs.running():
            files.append(key, 0, b"21.5")
            outputs.notify(Arrived(device, key.stream, 0, (b"21.5",)))
            await until(lambda: bool(well.items))
        assert ill.items == []
        assert well.items[0].name == "thermometer"
        later = Memory()
        async with Outputs(
            {"ill": later}, cursors=files.cursors, folder=files.folder, tell=lambda _: None
        ).running():
            await until(lambda: bool(later.items))
        assert later.items[0].name == "thermometer", "also after a restart"

    asyncio.run(work())
