"""Streams in use: far more of them than files may be open."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from bellwire.iot.errors import StoreFailed
from bellwire.iot.store import CloudStore, StreamFile
from bellwire.iot.streams import OpenStreams

DEVICE = b"d" * 32
NAMES = [bytes([number]) * 32 for number in range(6)]


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


def test_a_stream_whose_files_went_away_while_they_rested_says_so(tmp_path: Path) -> None:
    stream = StreamFile(tmp_path, NAMES[0])
    stream.append(0, [b"one"])
    stream.rest()
    stream.path.with_suffix(".index").unlink()
    with pytest.raises(StoreFailed):
        stream.append(1, [b"two"])
    assert (stream.count, stream.resting) == (1, True)
    stream.close()
