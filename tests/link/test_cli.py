import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S

from bellwire.cli import main

PROGRAM = [
    sys.executable,
    "-c",
    "from bellwire.cli import main;"
    "main.COMMANDS.setdefault('link', main.Entry('bellwire.cli.link', '')); main.main()",
    "link",
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The command at hand, with nobody's settings and standard input at its end."""
    monkeypatch.setitem(main.COMMANDS, "link", main.Entry("bellwire.cli.link", ""))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as ended:
        monkeypatch.setattr(sys, "stdin", ended)
        yield


@pytest.mark.usefixtures("run")
def test_the_link_says_where_it_listens_and_ends_with_its_parent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    options = ["--km", "10", "--lab", "--seed", "5", "--eve", "ghz:0.5", "--eve-axis", "45,90"]
    assert main.run(["link", "--run-dir", str(folder), "--with-parent", *options]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ready": True,
        "service": "link",
        "sockets": [str(folder / f"{name}.sock") for name in ("alice", "bob", "control")],
        "lab": True,
    }
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seed", "1"], "only in the lab"),
        (["--eve", "ghz"], "only in the lab"),
        (["--lab", "--eve", "mallory"], "KIND"),
        (["--lab", "--eve-axis", "45"], "only where there is an Eve"),
        (["--misalignment", "0.6"], "misalignment"),
        (["--efficiency", "0"], "detector_efficiency"),
        (["--afterpulse", "1"], "link.afterpulse"),
        (["--lab", "--eve", "pns", "--eve-axis", "45"], "only for an Eve of photons"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main.run(["link", "--run-dir", str(tmp_path / "run"), *options]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_link_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(
        [*PROGRAM, "--run-dir", str(folder)], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"] is True
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
    assert list(folder.iterdir()) == []
