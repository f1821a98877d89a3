"""`bellwire lab tags` and `lab align`: what is generated is found again, and refusals."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from bellwire.cli import output
from bellwire.cli.main import run

SHORT = ["--seconds", "0.5", "--search", "0.2", "--seed", "4"]


def lab(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    output.forget()
    assert run(["lab", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("form", ["bellwire", "swabian-dump", "csv"])
def test_what_is_generated_is_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    folder = str(tmp_path / "tags")
    made = lab(
        capsys, "tags", folder, *SHORT, "--clock-offset", "0.1", "--clock-drift", "-8",
        "--format", form,
    )  # fmt: skip
    found = lab(capsys, "align", folder)
    assert found["generated"]
    assert found["protocol"] == "e91"
    expected = made["expected_coincidences"]
    assert abs(found["coincidences"] - expected) < 5 * math.sqrt(expected)
    # Bob's clock: t(1 − 8 ppm) + 0.1 s; both show 1 s at least at the start.
    true = (found["offset_at_ps"] - 1.1e12) / (1 - 8e-6) + 1e12 - found["offset_at_ps"]
    assert abs(found["offset_ps"] - true) < 30
    assert found["drift_ppm"] == pytest.approx(1e6 * (1 / (1 - 8e-6) - 1), abs=0.002)
    assert found["log10_false_alarm"] < -100
    assert abs(found["qber"] - 0.02) < 4.5 * max(found["qber_stderr"], 0.004)
    assert abs(found["chsh"] - 0.96 * 2 * math.sqrt(2)) < 4.5 * found["chsh_stderr"]
    # The jitter of both sides, cut off by the window.
    assert 170 < found["jitter_ps"] < 215


def test_people_get_sentences_and_a_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tags"
    words = ["lab", "tags", str(folder), "--protocol", "bbm92", *SHORT]
    assert run(words) == 0
    assert "coincidences; seed 4" in capsys.readouterr().out
    assert run(["lab", "align", str(folder), "--figure", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "BBM92, generated" in told
    assert "QBER" in told
    for kind in ("svg", "png"):
        assert (tmp_path / "out" / f"alignment.{kind}").stat().st_size > 5_000
    assert "search for the clocks" not in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--protocol", "bb84"], "expected protocol one of bbm92, e91"),
        (["--protocol", "x"], "expected --protocol as one of"),
        (["--format", "qutools-raw"], "expected format one of"),
        (["--format", "x"], "expected --format as one of"),
        (["--visibility", "2"], "expected visibility from 0 to 1, got 2"),
        (["--seconds", "nan"], "expected seconds above 0"),
        (["--transmission", "0"], "expected transmission in (0, 1]"),
        (["--window", "1"], "window_ps"),
        (["--search", "-1"], "search_s"),
        (["--eve", "cloner:2"], "expected Eve's share in [0, 1]"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    told = lab(capsys, "tags", str(tmp_path / "tags"), "--seconds", "0.01", *words, code=2)
    assert message in told["error"]["message"]
    assert not (tmp_path / "tags").exists()


def test_a_recording_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tags", str(tmp_path), "--seconds", "0.01"]
    lab(capsys, *words)
    told = lab(capsys, *words, code=2)
    assert "expected no recording yet" in told["error"]["message"]


def test_folders_without_recordings_and_clocks_apart_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = lab(capsys, "align", str(tmp_path), code=2)
    assert "expected the description of a recording" in told["error"]["message"]
    words = ["--seconds", "0.3", "--clock-offset", "3", "--search", "0.1", "--seed", "1"]
    lab(capsys, "tags", str(tmp_path / "far"), *words)
    told = lab(capsys, "align", str(tmp_path / "far"), code=1)
    assert "do not align" in told["error"]["message"]
    assert "search_s" in told["error"]["hint"]
