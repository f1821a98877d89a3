"""Readings are read back as they were stored, and never past what is whole."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.iot.outputs.conftest import KEY, OTHER, Files

from bellwire.iot.store import CloudStore
from bellwire.iot.stored import all_streams, read_stored

READINGS = [b"a", b"bb" * 100, b"\xff\x00", b"d\n", b"e" * 32_768]


def test_any_range_is_read_as_it_was_stored(files: Files) -> None:
    files.append(KEY, 0, *READINGS)
    path = KEY.path(files.folder)
    for first in range(6):
        for stop in range(first, 7):
            assert read_stored(path, first, stop, 2**20) == READINGS[first:stop]
    assert read_stored(path, 9, 12, 2**20) == []


def test_a_batch_is_bounded_and_has_one_reading_at_least(files: Files) -> None:
    files.append(KEY, 0, *READINGS)
    assert read_stored(KEY.path(files.folder), 0, 5, 203) == READINGS[:3]
    assert read_stored(KEY.path(files.folder), 4, 5, 1) == READINGS[4:]


def test_all_streams_are_found_and_other_files_are_not(files: Files) -> None:
    files.append(KEY, 0, *READINGS)
    files.append(OTHER, 0, b"x")
    (files.folder / "junk").mkdir()
    (files.folder / "junk" / "of.index").touch()
    (files.folder / KEY.device.hex() / "ab.index").touch()
    assert sorted(all_streams(files.folder), key=lambda found: found[1]) == [(OTHER, 1), (KEY, 5)]


@settings(max_examples=40)
@given(cut=st.integers(0, 90), flip=st.integers(0, 89))
def test_a_spoilt_index_ends_what_is_read_and_changes_nothing(
    tmp_path_factory: "object", cut: int, flip: int
) -> None:
    folder = Path(tmp_path_factory.mktemp("spoilt"))  # type: ignore[attr-defined] # pytest's own
    with CloudStore(folder) as store:
        file = store.open(KEY.device, KEY.stream)
        file.append(0, READINGS)
        file.close()
    path = KEY.path(folder / "devices")
    index = bytearray(path.with_suffix(".index").read_bytes())
    index[flip % len(index)] ^= 1
    path.with_suffix(".index").write_bytes(index[:cut])
    found = read_stored(path, 0, 5, 2**20)
    assert found == READINGS[: len(found)]
    assert len(found) <= cut // 16
