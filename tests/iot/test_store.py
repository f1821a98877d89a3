import hashlib
import os
import shutil
import struct
import zlib
from pathlib import Path

import pytest

from bellwire.base.private import PathExposed, PathUnusable
from bellwire.iot import store as module
from bellwire.iot.errors import OutOfStep, StateInUse, StoreFailed, StreamFull
from bellwire.iot.store import CloudStore, StreamFile

STREAM = b"s" * 32
DEVICE = b"d" * 32
ACKNOWLEDGED = [b"one,1\n", b"two,22\n", b"three,333\n"]
UNACKNOWLEDGED = [b"four,4444\n", b"five,5\n"]
ENTRY = 16


def write_then_append(folder: Path) -> tuple[int, int]:
    """Files with acknowledged readings and a batch after it; sizes when the batch began."""
    stream = StreamFile(folder, STREAM)
    assert stream.append(0, ACKNOWLEDGED) == 3
    sizes = stream.size, stream.count * ENTRY
    assert stream.append(3, UNACKNOWLEDGED) == 5
    stream.close()
    return sizes


def check_recovered(folder: Path) -> int:
    """The stream is a sound prefix with all acknowledged readings, and goes on; its count."""
    everything = ACKNOWLEDGED + UNACKNOWLEDGED
    stream = StreamFile(folder, STREAM)
    count = stream.count
    assert 3 <= count <= 5
    prefix = b"".join(everything[:count])
    assert stream.path.read_bytes() == prefix
    assert stream.sha256 == hashlib.sha256(prefix).digest()
    if count < 5:
        stream.append(count, everything[count:])
    stream.close()
    again = StreamFile(folder, STREAM)
    assert (again.count, again.path.read_bytes()) == (5, b"".join(everything))
    again.close()
    return count


def test_a_stream_is_its_readings_and_nothing_else(tmp_path: Path) -> None:
    write_then_append(tmp_path)
    assert check_recovered(tmp_path) == 5
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_crash_at_every_byte_of_a_batch_leaves_a_sound_prefix(tmp_path: Path) -> None:
    """The disk may have written any part of either file; zeros stand where it wrote nothing."""
    first = tmp_path / "first"
    first.mkdir()
    data_from, index_from = write_then_append(first)
    data, index = (first / f"{STREAM.hex()}.readings"), (first / f"{STREAM.hex()}.index")
    whole_data, whole_index = data.read_bytes(), index.read_bytes()
    counts = set()
    for in_data in range(data_from, len(whole_data) + 1):
        for in_index in (index_from, index_from + ENTRY, len(whole_index)):
            data.write_bytes(whole_data[:in_data])
            index.write_bytes(whole_index[:in_index])
            counts.add(check_recovered(first))
    for in_index in range(index_from, len(whole_index) + 1):
        data.write_bytes(whole_data)
        index.write_bytes(whole_index[:in_index])
        counts.add(check_recovered(first))
        data.write_bytes(whole_data)
        index.write_bytes(whole_index[:in_index].ljust(len(whole_index), b"\0"))
        counts.add(check_recovered(first))
    for in_data in range(data_from, len(whole_data)):
        data.write_bytes(whole_data[:in_data].ljust(len(whole_data), b"\0"))
        index.write_bytes(whole_index)
        counts.add(check_recovered(first))
    assert counts == {3, 4, 5}


def test_damage_never_yields_another_reading(tmp_path: Path) -> None:
    write_then_append(tmp_path)
    everything = ACKNOWLEDGED + UNACKNOWLEDGED
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for at in range(len(whole)):
            copy = tmp_path.parent / "copy"
            shutil.copytree(tmp_path, copy)
            (copy / path.name).write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
            stream = StreamFile(copy, STREAM)
            assert stream.count < 5
            assert stream.path.read_bytes() == b"".join(everything[: stream.count])
            stream.close()
            shutil.rmtree(copy)


def test_index_entries_that_say_the_impossible_end_the_stream(tmp_path: Path) -> None:
    write_then_append(tmp_path)
    index = tmp_path / f"{STREAM.hex()}.index"
    for end in (0, 2**40):
        place = struct.pack(">QI", end, zlib.crc32(b""))
        index.write_bytes(place + struct.pack(">I", zlib.crc32(place)))
        stream = StreamFile(tmp_path, STREAM)
        assert stream.count == 0
        stream.close()


def test_a_batch_out_of_step_is_refused(tmp_path: Path) -> None:
    stream = StreamFile(tmp_path, STREAM)
    stream.append(0, ACKNOWLEDGED)
    for first in (0, 2, 4):
        with pytest.raises(OutOfStep, match="expected reading 3"):
            stream.append(first, UNACKNOWLEDGED)
    assert stream.count == 3
    stream.close()
    stream.close()


def test_streams_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StreamFile(tmp_path, STREAM)
    monkeypatch.setattr(module, "MAX_STREAM_BYTES", 12)
    stream.append(0, [b"x" * 12])
    with pytest.raises(StreamFull):
        stream.append(1, [b"x"])
    stream.close()
    monkeypatch.setattr(module, "MAX_STREAMS", 1)
    with pytest.raises(StreamFull, match="at most 1 streams"):
        StreamFile(tmp_path, b"t" * 32)
    StreamFile(tmp_path, STREAM).close()


@pytest.mark.parametrize("failing", ["pwrite", "fsync"])
def test_a_failed_write_is_reported_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    stream = StreamFile(tmp_path, STREAM)
    stream.append(0, ACKNOWLEDGED)

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, fail)
        with pytest.raises(StoreFailed, match="No space left"):
            stream.append(3, UNACKNOWLEDGED)
    assert stream.count == 3
    assert stream.append(3, UNACKNOWLEDGED) == 5
    stream.close()
    assert check_recovered(tmp_path) == 5


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, bytes(data[:3]), at))
    write_then_append(tmp_path)
    monkeypatch.undo()
    assert check_recovered(tmp_path) == 5


def test_files_that_cannot_be_opened_are_reported(tmp_path: Path) -> None:
    (tmp_path / f"{STREAM.hex()}.readings").mkdir()
    with pytest.raises(StoreFailed, match="cannot open"):
        StreamFile(tmp_path, STREAM)


def test_a_state_folder_has_one_cloud(tmp_path: Path) -> None:
    with CloudStore(tmp_path / "state") as store:
        store.open(DEVICE, STREAM).close()
        with pytest.raises(StateInUse, match="in use by another"):
            CloudStore(tmp_path / "state")
    with CloudStore(tmp_path / "state") as store:
        assert [path.name for path in store.streams(DEVICE)] == [f"{STREAM.hex()}.readings"]


def test_folders_that_cannot_be_used_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PathUnusable):
        CloudStore(tmp_path / "file")
    (tmp_path / "locked" / "lock").mkdir(parents=True)
    (tmp_path / "locked").chmod(0o700)
    with pytest.raises(PathUnusable):
        CloudStore(tmp_path / "locked")
    (tmp_path / "shared").mkdir(mode=0o755)
    with pytest.raises(PathExposed, match="owner alone"):
        CloudStore(tmp_path / "shared")
