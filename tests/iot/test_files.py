"""Files that a running device takes readings from: each reading once, whatever becomes of them."""

import asyncio
import hashlib
import os
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.iot import marks as marks_module
from bellwire.iot import readings as readings_module
from bellwire.iot.buffer import Buffer
from bellwire.iot.errors import BufferSpoilt, DataError
from bellwire.iot.files import file_readings
from bellwire.iot.marks import Mark, MarkFile, source_of
from bellwire.iot.readings import Group

SEED = Secret(bytes([7]) * 32)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


def opened(folder: Path) -> Buffer:
    return Buffer(folder / "buffer", SEED, limit=0)


def contents(buffer: Buffer) -> bytes:
    return b"".join(segment.readings().data for segment in buffer.segments)


async def take(path: Path, buffer: Buffer, most: int | None = None) -> list[bytes]:
    """Take a file to its end, or no more than so many groups of it."""
    taken: list[bytes] = []
    source = file_readings(path, buffer.mark)
    async for group in source:
        buffer.append(group)
        taken += group.readings
        most = None if most is None else most - 1
        if most == 0:
            break
    await source.aclose()
    return taken


@pytest.mark.parametrize(
    ("name", "data", "count"),
    [
        ("a.csv", b"n,t\n1,2\n3,4", 3),
        ("a.csv", b'n,t\n1,"two\nlines"\n"a ""b""",2\n', 3),
        ("a.csv", b"n,t\r\n1,2\r\n", 2),
        ("a.csv", b'n,t\n1,"the\nend"', 2),
        ("a.jsonl", b'{"n": 1}\n{"n": 2}', 2),
        ("a.txt", b'{"n": 1}\n', 1),
    ],
)
def test_a_file_s_readings_joined_are_the_file(
    tmp_path: Path, name: str, data: bytes, count: int
) -> None:
    (tmp_path / name).write_bytes(data)

    async def work() -> None:
        with opened(tmp_path) as buffer:
            taken = await take(tmp_path / name, buffer)
            assert (len(taken), b"".join(taken)) == (count, data)
            assert contents(buffer) == data
            assert await take(tmp_path / name, buffer) == []

    run(work())


@pytest.mark.parametrize(
    ("name", "data", "good", "says"),
    [
        ("a.csv", b"n,t\n1,2\n3\n4,5\n", 2, "a.csv:3: expected 2 columns"),
        ("a.csv", b"n,t\n\n", 1, "a.csv:2: expected a reading, got an empty line"),
        ("a.csv", b'n\n"1', 1, "a.csv:2: expected the end of a row"),
        ("a.csv", b"n\n" + b"x" * 40_000, 1, "a.csv:2: expected at most 32,768"),
        ("a.csv", b'n\n"' + b"x\n" * 20_000, 1, "a.csv:2: expected at most 32,768"),
        ("a.csv", b'n\n"a" b\n', 1, "a.csv:2: expected a row of CSV"),
        ("a.jsonl", b"{}\n{\n", 1, "a.jsonl:2: expected a line of JSON"),
        ("a.jsonl", b"{}\n\xff\n", 1, "a.jsonl:2: expected UTF-8"),
        ("a.csv", b"", 0, "expected readings, got an empty file"),
    ],
)
def test_what_is_no_reading_is_named_after_those_before_it_were_taken(
    tmp_path: Path, name: str, data: bytes, good: int, says: str
) -> None:
    (tmp_path / name).write_bytes(data)

    async def work() -> None:
        with opened(tmp_path) as buffer:
            for _ in range(2):
                with pytest.raises(DataError, match=says):
                    await take(tmp_path / name, buffer)
                assert sum(map(len, buffer.segments)) == good

    run(work())


def test_what_is_no_file_of_readings_is_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    async def work() -> None:
        with opened(tmp_path) as buffer:
            for name, says in (("none", "No such file"), ("pipe", "something else")):
                with pytest.raises(DataError, match=says):
                    await take(tmp_path / name, buffer)

    run(work())


def test_a_device_that_dies_at_any_byte_of_a_write_takes_each_reading_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwire.iot.files.MAX_GROUP_READINGS", 3)
    data = b"".join(b"%d,%s\n" % (number, b"x" * (number % 5)) for number in range(8))
    file = tmp_path / "a.csv"
    file.write_bytes(data)

    async def work() -> None:
        with opened(tmp_path) as buffer:
            await take(file, buffer, 1)
            (segment,) = (tmp_path / "buffer").glob("*.segment")
            before = segment.stat().st_size
            await take(file, buffer, 1)
        whole = segment.read_bytes()
        for cut in range(before, len(whole) + 1):
            segment.write_bytes(whole[:cut])
            with opened(tmp_path) as buffer:
                assert len(buffer.segments[0]) == (6 if cut == len(whole) else 3)
                await take(file, buffer)
                assert contents(buffer) == data
            with opened(tmp_path) as buffer:
                assert contents(buffer) == data

    run(work())


def test_a_file_is_gone_on_with_after_its_segment_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"n,t\n1,2\n")

    async def work() -> None:
        with opened(tmp_path) as buffer:
            await take(file, buffer)
            buffer.remove_first()
        with file.open("ab") as more:
            more.write(b"3,4\n")
        with opened(tmp_path) as buffer:
            assert await take(file, buffer) == [b"3,4\n"]
        with file.open("ab") as more:
            more.write(b"5\n")
        says = r"a.csv:4: expected 2 columns as in line 1"
        with opened(tmp_path) as buffer, pytest.raises(DataError, match=says):
            await take(file, buffer)
        sealed = (tmp_path / "buffer" / "marks").read_bytes()
        assert hashlib.sha256(b"n,t\n1,2\n").digest() not in sealed

    run(work())


def test_another_file_under_the_same_path_is_taken_from_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    told: list[str] = []

    async def work() -> None:
        with opened(tmp_path) as buffer:
            for data in (b"1\n2\n", b"3\n4\n5\n", b"6\n"):
                file.write_bytes(data)
                async for group in file_readings(file, buffer.mark, tell=told.append):
                    buffer.append(group)
            assert contents(buffer) == b"1\n2\n3\n4\n5\n6\n"
        assert len(told) == 2
        assert "from its beginning" in told[0]

    run(work())


def test_a_last_line_that_goes_on_after_it_was_taken_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"1\n2")

    async def work() -> None:
        with opened(tmp_path) as buffer:
            await take(file, buffer)
            file.write_bytes(b"1\n23\n")
            with pytest.raises(DataError, match="taken as its last"):
                await take(file, buffer)

    run(work())


def test_a_file_that_is_followed_grows_is_rotated_and_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"

    async def work() -> None:
        with opened(tmp_path) as buffer:
            source = file_readings(file, buffer.mark, follow=True, poll_s=0.01)
            news = asyncio.Queue[bytes]()

            async def collect() -> None:
                async for group in source:
                    buffer.append(group)
                    for reading in group.readings:
                        news.put_nowait(reading)

            task = asyncio.create_task(collect())
            with file.open("ab", buffering=0) as writer:
                writer.write(b"1\n2")
                assert await news.get() == b"1\n"
                writer.write(b"2\n")
                assert await news.get() == b"22\n"
                file.rename(tmp_path / "a.csv.1")
                writer.write(b"3\nlast")
                file.write_bytes(b"4444\n")
                assert [await news.get() for _ in range(3)] == [b"3\n", b"last", b"4444\n"]
            with file.open("r+b", buffering=0) as writer:
                writer.truncate(0)
                writer.write(b"5\n")
            assert await news.get() == b"5\n"
            task.cancel()
            await asyncio.wait([task])

    run(work())


def test_a_random_history_of_deaths_and_growth_takes_each_reading_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwire.iot.files.MAX_GROUP_READINGS", 4)
    monkeypatch.setattr("bellwire.iot.segment.SEGMENT_BYTES", 400)
    draw = random.Random(11)
    file = tmp_path / "a.jsonl"
    written = sent = b""

    async def work() -> None:
        nonlocal written, sent
        for _ in range(40):
            more = b"".join(b'{"n": %d}\n' % draw.randrange(10**6) for _ in range(5))
            written += more
            with file.open("ab") as writer:
                writer.write(more)
            with opened(tmp_path) as buffer:
                await take(file, buffer, draw.randrange(1, 4))
                while buffer.segments and draw.random() < 0.6:
                    sent += buffer.segments[0].readings().data
                    buffer.remove_first()
        with opened(tmp_path) as buffer:
            await take(file, buffer)
            assert sent + contents(buffer) == written

    run(work())


def test_marks_are_bounded_and_a_spoilt_file_of_them_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks_module, "MAX_MARKS", 3)
    marks = [Mark(source_of(tmp_path / str(number)), number, bytes(32)) for number in range(5)]
    kept = MarkFile(tmp_path / "marks", SEED)
    for mark in (*marks[:3], marks[0], *marks[3:]):
        kept.keep([mark])
    again = MarkFile(tmp_path / "marks", SEED)
    assert [again.get(mark.source) for mark in marks] == [marks[0], None, None, *marks[3:]]
    data = (tmp_path / "marks").read_bytes()
    for spoilt in (b"", data[:10], data[:-1], bytes([data[0] ^ 1]) + data[1:], data + b"x"):
        (tmp_path / "marks").write_bytes(spoilt)
        with pytest.raises(BufferSpoilt):
            MarkFile(tmp_path / "marks", SEED)


def test_the_largest_segment_is_read_back_whole(tmp_path: Path) -> None:
    reading = b"x" * 32_768
    group = Group([reading] * (readings_module.MAX_GROUP_BYTES // len(reading)))
    with opened(tmp_path) as buffer:
        while not (buffer.segments and buffer.segments[0].full):
            buffer.append(group)
        data = contents(buffer)
    with opened(tmp_path) as buffer:
        assert contents(buffer) == data
