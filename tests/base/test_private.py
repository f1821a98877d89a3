"""Private folders and files: their owner's alone, refused where they are not, whole or absent."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bellwire.base.private import (
    PathExposed,
    PathUnusable,
    expanded,
    own_file,
    own_folder,
    read_own_file,
    write_whole,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private folder."""
    return own_folder(tmp_path / "private")


def test_folders_that_are_missing_are_made_for_their_owner(folder: Path) -> None:
    deep = folder / "a" / "b"
    assert own_folder(deep) == deep
    assert own_folder(deep) == deep
    assert {path.stat().st_mode & 0o777 for path in (deep, deep.parent)} == {0o700}


def test_a_home_is_that_of_a_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded(Path("~/tags")) == tmp_path / "tags"
    assert expanded(Path("tags/~")) == Path("tags/~")
    for path in ("~nobody-of-that-name/tags", "~\0", "tags\0"):
        with pytest.raises(PathUnusable, match="in the home of a user"):
            expanded(Path(path))


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o770])
def test_a_folder_that_others_may_enter_is_refused_with_a_hint(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(PathExposed, match=rf"\(0700\), got {mode:04o}") as caught:
        own_folder(folder)
    assert caught.value.exit_code == 3
    assert "chmod 700" in (caught.value.hint or "")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_neither_read_nor_taken(folder: Path, mode: int) -> None:
    path = folder / "file"
    own_file(path)
    path.chmod(mode)
    for attempt in (own_file, lambda p: read_own_file(p, 8)):
        with pytest.raises(PathExposed, match=rf"\(0600\), got {mode:04o}"):
            attempt(path)


def test_what_belongs_to_another_user_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(PathExposed, match=f"to belong to user {owner + 1}, got {owner}"):
        own_folder(folder)


def test_links_folders_and_pipes_are_no_private_files(folder: Path) -> None:
    own_file(folder / "file")
    (folder / "link").symlink_to(folder / "file")
    own_folder(folder / "sub")
    os.mkfifo(folder / "pipe", 0o600)
    for name in ("link", "sub", "pipe"):
        with pytest.raises(PathExposed, match="expected a plain file"):
            read_own_file(folder / name, 8)
    with pytest.raises(PathExposed, match="got a link"):
        own_file(folder / "link")


def test_places_that_cannot_be_used_are_clear_usage_errors(folder: Path) -> None:
    own_file(folder / "file")
    for place in (folder / "file" / "sub", Path("/proc/bellwire"), folder / "file"):
        with pytest.raises(PathUnusable, match="expected to read and write") as caught:
            own_folder(place)
        assert caught.value.exit_code == 2
    with pytest.raises(PathUnusable):
        own_file(folder / "nowhere" / "file")
    with pytest.raises(PathUnusable):
        read_own_file(folder / "file" / "inside", 8)


def test_reading_stops_at_its_limit_and_nothing_is_none(folder: Path) -> None:
    assert read_own_file(folder / "file", 8) is None
    assert write_whole(folder / "file", b"0123456789", replace=False)
    assert read_own_file(folder / "file", 8) == b"01234567"


def test_a_file_is_written_whole_or_not_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = folder / "file"
    assert write_whole(path, b"old", replace=False)
    assert not write_whole(path, b"new", replace=False)
    assert path.read_bytes() == b"old"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(PathUnusable, match="No space left"):
            write_whole(path, b"new", replace=True)
        with pytest.raises(PathUnusable, match="No space left"):
            own_file(folder / "other")
    assert path.read_bytes() == b"old"
    assert write_whole(path, b"new", 0o644, replace=True)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert sorted(entry.name for entry in folder.iterdir()) == ["file", "other"]


def test_a_file_that_cannot_be_read_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int, size: int) -> bytes:
        raise OSError(5, "Input/output error")

    own_file(folder / "file")
    monkeypatch.setattr(os, "read", broken)
    with pytest.raises(PathUnusable, match="Input/output error"):
        read_own_file(folder / "file", 8)


def test_of_several_that_write_at_once_one_wins(folder: Path) -> None:
    def write(number: int) -> bool:
        return write_whole(folder / "file", bytes([number]) * 100, replace=False)

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(write, range(8)))
    assert (folder / "file").read_bytes() == bytes([won.index(True)]) * 100
    assert sum(won) == 1
    assert len(list(folder.iterdir())) == 1


def test_a_file_in_a_folder_that_is_not_there_says_which_folder_to_make(folder: Path) -> None:
    with pytest.raises(PathUnusable, match="No such file") as caught:
        write_whole(folder / "away" / "file", b"", replace=False)
    assert caught.value.hint == f"Make the folder {folder / 'away'} first."
    with pytest.raises(PathUnusable) as caught:
        write_whole(folder, b"", replace=True)
    assert caught.value.hint == "Choose another place, or mend its permissions."
