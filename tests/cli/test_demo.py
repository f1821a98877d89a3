"""`bellwire demo`: what it refuses before anything is started, and what it prints at the end."""

import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.demo.example import story

from bellwire.cli.main import run
from bellwire.demo import run as demo_run
from bellwire.demo.run import DemoOptions, Say
from bellwire.demo.story import Story
from bellwire.demo.workplace import workplace

PROGRAM = str(Path(sys.executable).parent / "bellwire")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


@pytest.fixture
def short_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> "Refuse":
    monkeypatch.chdir(tmp_path)
    return Refuse(capsys)


class Refuse:
    """Runs a command line that must be refused, and gives what was said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        # Relative: the folder of a test can be too long for sockets.
        self.state, self.report = Path("s"), Path("r")
        self._capsys = capsys

    def __call__(self, *more: str, state: Path | str | None = None) -> str:
        line = ["demo", "--state", str(state or self.state)]
        if "--report" not in more:
            line += ["--report", str(self.report)]
        assert run([*line, *more]) == 2
        out, err = self._capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert "Traceback" not in err
        assert "unexpected" not in err
        return err


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.csv", None, "missing.csv: expected a file of readings, got: No such file"),
        ("empty.csv", b"", "empty.csv: expected readings, got an empty file"),
        ("short.csv", b"a,b\n1,2\n3\n", "short.csv:3: expected 2 columns as in line 1, got 1"),
        ("quote.csv", b'a,b\n1,"2"3\n', "quote.csv:2: expected a row of CSV, got:"),
        ("gap.csv", b"a\n\n1\n", "gap.csv:2: expected a reading, got an empty line"),
        ("binary.csv", b"a\n\xff\xfe\n", "binary.csv:2: expected UTF-8, got byte 0xff"),
        ("bad.jsonl", b'{"a":1}\nnope\n', "bad.jsonl:2: expected a line of JSON, got another:"),
        ("long.jsonl", b'"' + b"x" * 40_000 + b'"\n', "long.jsonl:1: expected at most 32,768"),
    ],
)
def test_data_that_cannot_be_sent_is_refused_by_line_before_anything_starts(
    refuse: Refuse, name: str, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    assert f"error: {sentence}" in refuse("--data", name)
    assert not refuse.state.exists()
    assert not refuse.report.exists()


def test_a_folder_as_data_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    assert "expected a file of readings, got something else" in refuse("--data", str(tmp_path))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "expected a settings file, got no file at my.toml"),
        (b"x = [\n", "expected TOML in my.toml, got: Invalid value"),
        (b"\xff", "expected TOML in my.toml"),
        (b"[status]\nred_qbr = 0.1\n", "red_qber"),
        (b"[status]\nred_qber = 7\n", "status.red_qber"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    refuse: Refuse, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        Path("my.toml").write_bytes(content)
    assert sentence in refuse("--config", "my.toml")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (["--wings"], "No such option: --wings"),
        (["--seed", "-1"], "'--seed'"),
        (["--seed", "one"], "'--seed'"),
        (["file.csv"], "unexpected extra argument"),
    ],
)
def test_an_option_that_is_not_understood_is_refused_with_a_hint(
    option: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", *option]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert "hint: try 'bellwire demo --help'" in err


@pytest.mark.parametrize("folder", ["file/below", "/proc/bellwire"])
def test_a_state_folder_that_cannot_be_made_is_refused(refuse: Refuse, folder: str) -> None:
    Path("file").touch()
    said = refuse(state=folder)
    assert f"cannot write to the state folder {folder}: " in said
    assert "--state" in said


def test_a_state_folder_too_deep_for_sockets_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    said = refuse(state=tmp_path / ("x" * 100))
    assert "expected a state folder whose path has at most 81 bytes" in said


def test_a_state_folder_in_use_is_refused(refuse: Refuse) -> None:
    state = Path("s")
    with workplace(state):
        assert "another demo is running with the state folder s" in refuse(state=state)


@pytest.mark.parametrize("folder", ["file", "file/below", "/proc/bellwire"])
def test_a_report_folder_that_cannot_be_made_is_refused_before_anything_starts(
    refuse: Refuse, folder: str
) -> None:
    Path("file").touch()
    said = refuse("--report", folder)
    assert f"cannot write the report to {folder}: " in said
    assert "--report" in said
    assert not refuse.state.exists()


@pytest.mark.parametrize("option", ["--state", "--report"])
def test_a_folder_on_a_read_only_file_system_is_refused(
    tmp_path: Path, short_path: Path, option: str
) -> None:
    unshare = shutil.which("unshare")
    mount = 'mount -t tmpfs -o ro none "$1"'
    # The system bounds the length of a socket's path, and the test's own folder has a long one.
    frozen = short_path / "frozen"
    frozen.mkdir()
    if (
        unshare is None
        or subprocess.run(
            [unshare, "-m", "sh", "-c", mount, "sh", str(frozen)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting is not permitted here")
    options = {"--state": str(tmp_path / "s"), "--report": str(tmp_path / "r")}
    options[option] = str(frozen / "x")
    words = [word for pair in options.items() for word in pair]
    script = f'{mount} && shift && exec "$@"'
    done = subprocess.run(
        [unshare, "-m", "sh", "-c", script, "sh", str(frozen), PROGRAM, "demo", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Read-only file system" in done.stderr
    assert option in done.stderr


def told(monkeypatch: pytest.MonkeyPatch, ends: Story) -> None:
    """Let the demo end with this story, at once."""

    async def run_demo(options: DemoOptions, say: Say) -> Story:
        say("bad", "Eve [red]was[/red] here")
        return ends

    monkeypatch.setattr(demo_run, "run_demo", run_demo)


def failed() -> Story:
    good = story()
    return dataclasses.replace(good, device=dataclasses.replace(good.device, sha256_out="0" * 64))


def test_json_is_one_document_and_progress_goes_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told(monkeypatch, story())
    line = ["demo", "--state", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    assert run([*line, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads(json.dumps(story().to_dict()))
    assert err == "! Eve [red]was[/red] here\n"


def test_the_summary_goes_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told(monkeypatch, story())
    line = ["demo", "--state", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    assert run(line) == 0
    assert "Report:" in capsys.readouterr().out


def test_a_story_that_went_wrong_is_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told(monkeypatch, failed())
    line = ["demo", "--state", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    assert run([*line, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["stages"]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("timetags:none", "none/a/tags.toml: expected the description of a recording, got No such"),
        ("link", "expected --source as timetags:DIR, got link"),
    ],
)
def test_a_source_that_is_none_is_refused(refuse: Refuse, source: str, sentence: str) -> None:
    assert sentence in refuse("--source", source)
    assert not refuse.state.exists()
