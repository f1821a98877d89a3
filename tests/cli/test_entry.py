"""The first lines that run: Ctrl-C while the program still loads."""

import subprocess
import sys
import types

import pytest

from bellwire.cli import entry


def test_an_interrupt_while_loading_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "bellwire.cli.main", Interrupted("bellwire.cli.main"))
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_what_follows_is_the_program() -> None:
    # A process of its own: the program ends by ignoring signals, which tests after this need.
    shown = subprocess.run(
        [sys.executable, "-m", "bellwire", "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("bellwire ")


def test_a_closed_standard_output_is_no_failure() -> None:
    line = f"{sys.executable} -m bellwire config show >&-"
    ran = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
