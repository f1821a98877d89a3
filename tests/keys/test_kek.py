"""The key-encryption key: made once, whole, for its owner alone."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bellwire.base.private import PathExposed, PathUnusable
from bellwire.keys.errors import StoreCorrupt
from bellwire.keys.kek import load_or_create


def test_the_key_is_made_once_and_read_again(folder: Path) -> None:
    path = folder / "deep" / "er" / "kek"
    key = load_or_create(path)
    assert len(key) == 32
    assert load_or_create(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    for made in (path.parent, path.parent.parent):
        assert made.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["kek"]
    assert load_or_create(folder / "other") != key


def test_of_several_that_make_it_at_once_all_get_the_same(folder: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(load_or_create, [folder / "kek"] * 8))
    assert all(key == keys[0] for key in keys)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("size", [0, 31, 33, 1000])
def test_a_file_of_another_size_is_refused(folder: Path, size: int) -> None:
    path = folder / "kek"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(StoreCorrupt, match="of 32 bytes"):
        load_or_create(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(folder: Path, mode: int) -> None:
    path = folder / "kek"
    load_or_create(path)
    path.chmod(mode)
    with pytest.raises(PathExposed, match=f"got {mode:04o}"):
        load_or_create(path)


def test_a_key_that_cannot_be_written_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PathUnusable, match="No space left"):
        load_or_create(folder / "kek")
    assert list(folder.iterdir()) == []
