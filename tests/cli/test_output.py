"""What commands print: one document, plain values only, progress on terminals only."""

import io
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest

from bellwire.base.secret import Secret
from bellwire.cli import output


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: int
    where: Path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_document_is_one_line_of_json_with_domain_values_made_plain(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.emit(
        {"point": Point(1, Path("a/b")), "status": Colour.RED, "s": np.float64(2.5), "m": "Φ⁺"}
        | {"bits": np.array([1, 0], dtype=np.uint8)}
    )
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {
        "point": {"x": 1, "where": "a/b"},
        "status": "red",
        "s": 2.5,
        "m": "Φ⁺",
        "bits": [1, 0],
    }


@pytest.mark.parametrize("value", [b"key", Secret(b"key"), object()])
def test_what_has_no_json_form_is_never_printed(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TypeError, match="expected a value with a JSON form, got"):
        output.emit({"value": value})
    assert capsys.readouterr().out == ""


def test_a_number_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        output.emit({"qber": float("nan")})


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("distilling", total=3, unit="blocks") as meter:
        meter.advance()
        meter.describe("amplifying")
    said = capsys.readouterr()
    assert said.out + said.err == ""


@pytest.mark.parametrize("total", [None, 3.0])
def test_progress_on_a_terminal_shows_the_work(
    total: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with output.progress("distilling", total=total, unit="blocks") as meter:
        meter.advance()
        meter.describe("amplifying")
    assert "amplifying" in terminal.getvalue()


def test_no_color_holds_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    output.stdout(markup=True).print("[red]RED[/]")
    plain = terminal.getvalue()
    monkeypatch.delenv("NO_COLOR")
    output.stdout(markup=True).print("[red]RED[/]")
    assert "\x1b[31m" not in plain
    assert "\x1b[31m" in terminal.getvalue()


def test_what_is_printed_stands_there_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    words = "pip install 'bellwire[bench]' of [red]eve[/red]"
    output.stdout().print(words)
    output.stderr().print(words)
    output.stdout(markup=True).print("[red]abort[/red]")
    assert capsys.readouterr() == (f"{words}\nabort\n", f"{words}\n")
