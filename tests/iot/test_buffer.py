"""A device's buffer: what was taken is there after any death, and nobody else reads it."""

import os
import random
from pathlib import Path

import pytest

from bellwire.base.private import PathExposed
from bellwire.base.secret import Secret
from bellwire.iot import buffer as buffer_module
from bellwire.iot import segment as segment_module
from bellwire.iot.buffer import MIN_BUFFER, Buffer
from bellwire.iot.errors import BufferSpoilt, StateInUse
from bellwire.iot.readings import Group

SEED = Secret(bytes([7]) * 32)


def opened(tmp_path: Path, seed: Secret = SEED) -> Buffer:
    return Buffer(tmp_path / "buffer", seed, limit=0)


def contents(buffer: Buffer) -> list[bytes]:
    return [
        readings[number]
        for readings in (segment.readings() for segment in buffer.segments)
        for number in range(len(readings))
    ]


def test_what_was_taken_is_there_again_and_the_disk_shows_none_of_it(tmp_path: Path) -> None:
    with opened(tmp_path) as buffer:
        buffer.append(Group([b"21.5\n", b"21.6\n"]))
        stream = buffer.segments[0].stream
    (path,) = (tmp_path / "buffer").glob("*.segment")
    assert b"21." not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    with opened(tmp_path) as buffer:
        assert contents(buffer) == [b"21.5\n", b"21.6\n"]
        assert buffer.segments[0].stream == stream
        buffer.append(Group([b"21.7\n"]))
    with opened(tmp_path) as buffer:
        assert contents(buffer) == [b"21.5\n", b"21.6\n", b"21.7\n"]


def test_a_file_that_was_cut_anywhere_has_the_readings_before_the_cut(tmp_path: Path) -> None:
    with opened(tmp_path) as buffer:
        for number in range(5):
            buffer.append(Group([b"reading %d\n" % number]))
    (path,) = (tmp_path / "buffer").glob("*.segment")
    whole = path.read_bytes()
    head, entry = 38, (len(whole) - 38) // 5
    for cut in range(head, len(whole)):
        path.write_bytes(whole[:cut])
        with opened(tmp_path) as buffer:
            assert len(contents(buffer)) == (cut - head) // entry
            buffer.append(Group([b"after\n"]))
        with opened(tmp_path) as buffer:
            assert contents(buffer)[-1] == b"after\n"
    path.write_bytes(whole + bytes(100))
    with opened(tmp_path) as buffer:
        assert len(contents(buffer)) == 5


def test_another_s_or_an_altered_file_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as buffer:
        buffer.append(Group([b"one\n"]))
        buffer.append(Group([b"two\n"]))
    (path,) = (tmp_path / "buffer").glob("*.segment")
    with pytest.raises(BufferSpoilt):
        opened(tmp_path, Secret(bytes([8]) * 32))
    whole = path.read_bytes()
    draw = random.Random(5)
    for at in [draw.randrange(6) for _ in range(3)] + [draw.randrange(42, 70) for _ in range(20)]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(BufferSpoilt):
            opened(tmp_path)
    path.write_bytes(whole)
    path.chmod(0o644)
    with pytest.raises(PathExposed):
        opened(tmp_path)


def test_one_process_uses_it_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StateInUse):
        opened(tmp_path)
    opened(tmp_path).__exit__()


def test_segments_follow_one_another_and_the_limit_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_module, "SEGMENT_BYTES", 10_000)
    monkeypatch.setattr(buffer_module, "MIN_BUFFER", 100_000)
    monkeypatch.setattr(buffer_module, "MAX_GROUP_FILE", 5000)
    with opened(tmp_path) as buffer:
        taken = []
        while buffer.has_room:
            taken.append(os.urandom(3000))
            buffer.append(Group(taken[-1:]))
        used = sum(path.stat().st_size for path in (tmp_path / "buffer").glob("*.segment"))
        assert 60_000 < used < 100_000
        assert contents(buffer) == taken
        assert len({segment.stream for segment in buffer.segments}) == len(buffer.segments) > 3
        buffer.remove_first()
    with opened(tmp_path) as buffer:
        assert buffer.has_room
        assert contents(buffer) == taken[len(taken) - len(contents(buffer)) :]
    assert MIN_BUFFER > 8 * 2**20
