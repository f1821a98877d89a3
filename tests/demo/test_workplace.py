"""The demo's folder: fresh, its owner's alone, one demo at a time."""

import stat
from pathlib import Path

import pytest

from bellwire.base.errors import UsageError
from bellwire.demo.workplace import DemoBusy, check_report_folder, workplace


def test_a_demo_finds_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    state = tmp_path / "a" / "s"
    for _ in range(2):
        with workplace(state) as folder:
            assert [path.name for path in folder.iterdir()] == ["logs"]
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            (folder / "left.sock").touch()
            (folder / "logs" / "left").mkdir()


def test_state_of_others_in_the_same_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "node-a").mkdir()
    (tmp_path / "node-a" / "keys.sqlite").write_bytes(b"keys")
    with workplace(tmp_path):
        pass
    assert (tmp_path / "node-a" / "keys.sqlite").read_bytes() == b"keys"


def test_two_demos_never_share_a_folder_and_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    with workplace(tmp_path) as folder:
        (folder / "mine").touch()
        with pytest.raises(DemoBusy, match="another demo is running"), workplace(tmp_path):
            pass
        assert (folder / "mine").exists()
    with workplace(tmp_path):
        pass


@pytest.mark.parametrize("name", ["file", "file/below", "/proc/bellwire"])
def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match="cannot write to the state folder"),
        workplace(tmp_path / name),
    ):
        pass
    with pytest.raises(UsageError, match="cannot write the report to"):
        check_report_folder(tmp_path / name)


def test_what_cannot_be_removed_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file where the demo's folder belongs")
    with pytest.raises(UsageError, match="cannot write to the state folder"), workplace(tmp_path):
        pass


def test_a_path_too_long_for_sockets_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    state = tmp_path / ("x" * 90)
    with pytest.raises(UsageError, match="at most 81 bytes"), workplace(state):
        pass
    assert not state.exists()


def test_a_report_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    check_report_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
