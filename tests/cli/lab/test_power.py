"""`bellwire lab power`: document, table, files and refusals."""

import json
from pathlib import Path

import pytest

from bellwire.cli.main import run
from bellwire.lab import power_figure

WORDS = ("--shares", "0:1:3", "--pulses", "512,2e4", "--runs", "2", "--seed", "1")


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures with fewer points to their lines."""
    monkeypatch.setattr(power_figure, "_LINE_POINTS", 9)
    monkeypatch.setattr(power_figure, "_SIZE_POINTS", 5)


def power(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert run(["lab", "power", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_one_document_names_places_and_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = json.loads(power(capsys, "bb84", *WORDS, "--json")[0])
    assert (answer["protocol"], answer["eve"], answer["seed"]) == ("bb84", "intercept-resend", 1)
    assert [(p["pulses"], p["share"]) for p in answer["points"]] == [
        (size, share) for size in (512, 20_000) for share in (0.0, 0.5, 1.0)
    ]
    last = answer["points"][-1]
    assert (last["runs"], last["runs_caught"]) == (2, 2)
    assert last["caught"] == pytest.approx(1.0)
    assert all((tmp_path / name).stat().st_size for name in answer["files"])
    assert {Path(name).parent for name in answer["files"]} == {Path("power-bb84")}


def test_people_see_theory_blocks_and_the_plain_rule(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out, _ = power(capsys, "e91", *WORDS, "--eve", "ghz", "--out", str(tmp_path))
    for said in ("E91, ghz", "20,000", "2 of 2", "plain rule", "power.csv", "Seed 1"):
        assert said in out, said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bb84", "--pulses", "512,many"), "whole number of pulses"),
        (("bb84", "--pulses", "1e9"), "1 to 16777216"),
        (("bb84", "--shares", "0:3:4"), "[0, 1]"),
        (("bb84", "--runs", "-1"), "0 to 10000 runs"),
        (("bb84", "--eve", "man-in-the-middle"), "who has a share"),
        (("bb84", "--until", "estimate"), "No such option"),
        (("wcp-bb84",), "one of the protocols"),
        (("bb84", "--out", "/proc/no/where", "--runs", "0", "--shares", "0:1:2"), "/proc/no/where"),
    ],
)
def test_what_cannot_be_exits_two(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert said in power(capsys, *words, code=2)[1]
