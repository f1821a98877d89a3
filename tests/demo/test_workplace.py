"""The demo's folder: fresh, its owner's alone, one demo at a time."""

import stat
from pathlib import Path

import pytest

from bellwire.base.errors import UsageError
from bellwire.demo.workplace import DemoBusy, check_report_folder, workplace


@pytest.fixture(autouse=True)
def _short_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths: the folder of a test can be too long for sockets."""
    monkeypatch.chdir(tmp_path)


def test_a_demo_finds_nothing_of_an_earlier_one() -> None:
    state = Path("a/s")
    for _ in range(2):
        with workplace(state) as folder:
            assert [path.name for path in folder.iterdir()] == ["logs"]
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            (folder / "left.sock").touch()
            (folder / "logs" / "left").mkdir()


def test_state_of_others_in_the_same_folder_is_left_alone() -> None:
    Path("node-a").mkdir()
    Path("node-a/keys.sqlite").write_bytes(b"keys")
    with workplace(Path()):
        pass
    assert Path("node-a/keys.sqlite").read_bytes() == b"keys"


def test_two_demos_never_share_a_folder_and_the_lock_goes_with_its_holder() -> None:
    with workplace(Path()) as folder:
        (folder / "mine").touch()
        with pytest.raises(DemoBusy, match="another demo is running"), workplace(Path()):
            pass
        assert (folder / "mine").exists()
    with workplace(Path()):
        pass


@pytest.mark.parametrize("name", ["file", "file/below", "/proc/bellwire"])
def test_a_folder_that_cannot_be_made_is_a_sentence(name: str) -> None:
    Path("file").touch()
    with (
        pytest.raises(UsageError, match="cannot write to the state folder"),
        workplace(Path(name)),
    ):
        pass
    with pytest.raises(UsageError, match="cannot write the report to"):
        check_report_folder(Path(name))


def test_a_folder_of_that_name_that_no_demo_made_is_left_alone() -> None:
    Path("demo").mkdir()
    Path("demo/thesis.tex").touch()
    for _ in range(2):
        with pytest.raises(UsageError, match="got another"), workplace(Path()):
            pass
    assert [str(path) for path in Path().rglob("*")] == ["demo", "demo/thesis.tex"]


@pytest.mark.parametrize("link", [False, True])
def test_what_cannot_be_removed_is_a_sentence(link: bool) -> None:
    Path("demo.lock").touch()
    if link:
        Path("demo").symlink_to(Path.cwd())
    else:
        Path("demo").write_text("a file where the demo's folder belongs")
    with pytest.raises(UsageError, match="cannot write to the state folder"), workplace(Path()):
        pass


def test_a_path_too_long_for_sockets_is_refused_before_anything_is_made() -> None:
    state = Path("x" * 90)
    with pytest.raises(UsageError, match="at most 81 bytes"), workplace(state):
        pass
    assert not state.exists()


def test_a_report_folder_is_made_and_left_empty() -> None:
    check_report_folder(Path("a/b"))
    assert list(Path("a/b").iterdir()) == []
