import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.iot.doubles import readings

from bellwire.iot import readings as module
from bellwire.iot.errors import DataError
from bellwire.iot.messages import MAX_BATCH_BYTES, MAX_BATCH_READINGS, MAX_READING_BYTES
from bellwire.iot.readings import read_readings


def write(folder: Path, content: bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("data.csv", b"time,value\n1,2\n2,3\n", 3),
        ("data.csv", b"time,value\n1,2\n2,3", 3),
        ("data.csv", b"time,value\r\n1,2\r\n", 2),
        ("data.csv", b'text,value\n"two\nlines",1\nx,2\n', 3),
        ("data.csv", "name,wert\nÄöü,1\n".encode(), 2),
        ("data.csv", b"one column\n1\n", 2),
        ("data.jsonl", b'{"a": 1}\n{"a": 2}', 2),
        ("data.ndjson", b"1\n[2]\n", 2),
        ("data", b'{"a": 1}\n', 1),
        ("DATA.JSONL", b"1\n", 1),
    ],
)
def test_readings_joined_are_the_file_to_the_byte(
    tmp_path: Path, name: str, content: bytes, count: int
) -> None:
    found = read_readings(write(tmp_path, content, name))
    assert len(found) == count
    assert b"".join(found[number] for number in range(count)) == content == found.data
    assert found.sha256(count) == hashlib.sha256(content).digest()
    assert found.sha256(1) == hashlib.sha256(found[0]).digest()


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("data.csv", b"", None, "empty"),
        ("data.csv", b"a,b\n1,2,3\n", 2, "expected 2 columns as in line 1, got 3"),
        ("data.csv", b'a,b\n"x\ny",2\n1\n', 4, "got 1"),
        ("data.csv", b'a,b\n1,"2\n', 2, "CSV"),
        ("data.csv", b"a,b\n1,2\r3,4\n", 2, "CSV"),
        ("data.csv", b"a,b\n\n1,2\n", 2, "empty line"),
        ("data.csv", b"a,b\n1,\xff\n", 2, "UTF-8"),
        ("data.csv", b"a,b\n1,\xc3", 2, "UTF-8"),
        ("data.jsonl", b'{"a": 1}\n{"a": \n', 2, "JSON"),
        ("data.jsonl", b"[" * 30_000, 1, "JSON"),
        ("data.jsonl", b'{"a": 1} x\n', 1, "JSON"),
        ("data.jsonl", b"1\n \n", 2, "empty line"),
        ("data.csv", b"a\n" + b"x" * MAX_READING_BYTES + b"\n", 2, "at most 32,768 bytes"),
        ("data.csv", b'a\n"' + (b"x" * 20_000 + b"\n") * 2 + b'"\n', 2, "at most 32,768 bytes"),
    ],
)
def test_malformed_files_are_refused_with_file_and_line(
    tmp_path: Path, name: str, content: bytes, line: int | None, message: str
) -> None:
    path = write(tmp_path, content, name)
    with pytest.raises(DataError, match=message) as caught:
        read_readings(path)
    assert caught.value.exit_code == 2
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{path}:{line}:" if line else f"{path}:")


def test_missing_files_and_other_things_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing.csv", tmp_path, tmp_path / "pipe"):
        with pytest.raises(DataError, match="expected a file of readings"):
            read_readings(path)


def test_files_beyond_the_bounds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, b"a\nb\nc\n")
    monkeypatch.setattr(module, "MAX_READINGS", 2)
    with pytest.raises(DataError, match="at most 2 readings"):
        read_readings(path)
    monkeypatch.setattr(module, "MAX_STREAM_BYTES", 5)
    with pytest.raises(DataError, match="at most 5 bytes"):
        read_readings(path)


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=200), name=st.sampled_from(["f.csv", "f.jsonl", "f"]))
def test_any_bytes_are_read_exactly_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = write(tmp_path_factory.getbasetemp(), content, name)
    try:
        found = read_readings(path)
    except DataError:
        return
    assert b"".join(found[number] for number in range(len(found))) == content


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 3000), first=st.integers(0, 3000), size=st.sampled_from([12, 900, 30_000])
)
def test_batches_cover_the_range_once_and_fit_a_record(count: int, first: int, size: int) -> None:
    count = count if size < 10_000 else count % 20 + 1
    found = readings(count, size)
    first = min(first, count)
    at = first
    for number, batch in found.batches(first, count):
        assert number == at
        assert 1 <= len(batch) <= MAX_BATCH_READINGS
        assert len(batch) == 1 or sum(map(len, batch)) <= MAX_BATCH_BYTES
        assert batch == tuple(found[number + i] for i in range(len(batch)))
        at += len(batch)
    assert at == count


def test_repr_shows_no_reading() -> None:
    assert repr(readings(3)) == "Readings(3 readings, 59 bytes)"
