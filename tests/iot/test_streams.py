"""Streams in use: far more of them than files may be open."""

import asyncio
import contextlib
import threading
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S

from bellwire.iot.errors import StoreFailed
from bellwire.iot.store import CloudStore, StreamFile
from bellwire.iot.streams import OpenStreams

DEVICE = b"d" * 32
NAMES = [bytes([number]) * 32 for number in range(6)]


class Slow(CloudStore):
    """A store whose disk takes its time to open a stream."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.entered, self.released = threading.Event(), threading.Event()

    def open(self, device: bytes, stream: bytes) -> StreamFile:
        self.entered.set()
        assert self.released.wait(PATIENCE_S)
        return super().open(device, stream)


def open_files(folder: Path) -> int:
    """Of this process, below a folder."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(folder) in str(each.readlink())
    return found


def test_streams_take_turns_at_few_files_and_keep_every_reading(tmp_path: Path) -> None:
    async def work() -> None:
        with CloudStore(tmp_path) as store:
            before = open_files(tmp_path)
            streams = OpenStreams(store, most_awake=2)
            async with contextlib.AsyncExitStack() as stack:
                opened = [
                    await stack.enter_async_context(streams.using(DEVICE, name)) for name in NAMES
                ]
                assert open_files(tmp_path) - before == 4
                for round_ in range(3):
                    for stream in opened:
                        reading = b"%d" % round_
                        assert await stream.append(round_, [reading], lambda: None) == round_ + 1
                    assert open_files(tmp_path) - before == 4
                assert [(await stream.holding()).count for stream in opened] == [3] * 6
            assert open_files(tmp_path) == before
            assert [path.read_bytes() for path in store.streams(DEVICE)] == [b"012"] * 6

    asyncio.run(work())


def test_streams_that_are_written_to_at_once_do_not_rest(tmp_path: Path) -> None:
    async def work() -> None:
        with CloudStore(tmp_path) as store:
            streams = OpenStreams(store, most_awake=1)
            async with contextlib.AsyncExitStack() as stack:
                opened = [
                    await stack.enter_async_context(streams.using(DEVICE, name)) for name in NAMES
                ]
                for first in range(5):
                    await asyncio.gather(
                        *(stream.append(first, [b"x"], lambda: None) for stream in opened)
                    )
                assert {(await stream.holding()).count for stream in opened} == {5}

    asyncio.run(work())


@pytest.mark.parametrize("times", [1, 2])
def test_who_leaves_while_a_stream_is_opened_leaves_no_file_open(
    tmp_path: Path, times: int
) -> None:
    async def use(streams: OpenStreams) -> None:
        async with streams.using(DEVICE, NAMES[0]):
            await asyncio.Event().wait()

    async def work() -> None:
        with Slow(tmp_path) as store:
            before = open_files(tmp_path)
            streams = OpenStreams(store, most_awake=2)
            using = asyncio.create_task(use(streams))
            assert await asyncio.to_thread(store.entered.wait, PATIENCE_S)
            for _ in range(times):
                using.cancel()
                for _ in range(10):  # turns of the loop
                    await asyncio.sleep(0)
            store.released.set()
            with pytest.raises(asyncio.CancelledError):
                await using
            assert len(list(store.streams(DEVICE))) == 1
            assert open_files(tmp_path) == before
            assert len(streams) == 0

    asyncio.run(work())


def test_a_stream_whose_files_went_away_while_they_rested_says_so(tmp_path: Path) -> None:
    stream = StreamFile(tmp_path, NAMES[0])
    stream.append(0, [b"one"])
    stream.rest()
    stream.path.with_suffix(".index").unlink()
    with pytest.raises(StoreFailed):
        stream.append(1, [b"two"])
    assert (stream.count, stream.resting) == (1, True)
    stream.close()
