"""`bellwire lab bounds`: documents, tables, files and refusals."""

import json
from pathlib import Path

import pytest

from bellwire.cli.main import run


def bounds(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert run(["lab", "bounds", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_one_document_names_theorems_points_and_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("bb84", "--pulses", "1e4,1e6", "--qber", "0.01", "--out", str(tmp_path))
    answer = json.loads(bounds(capsys, *words, "--json")[0])
    assert (answer["protocol"], answer["qber"], answer["epsilon"]) == ("bb84", 0.01, 1e-10)
    assert [each["theorem"] for each in answer["theorems"]] == ["tomamichel-2012", "block"]
    assert [point["pulses"] for point in answer["points"]] == [10_000, 1_000_000] * 2
    assert all(Path(name).stat().st_size for name in answer["files"])


def test_people_see_sizes_theorems_and_limits(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = bounds(capsys, "e91", "--pulses", "1e4:1e8:40:log")
    for said in ("E91", "e91-correlations", "arnon-friedman-2018", "acin-2007", "1e+08", "endless"):
        assert said in out, said
    assert out.count("%") < 2 * 16 + 4


def test_the_check_shows_reference_origin_ours_and_difference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = json.loads(bounds(capsys, "--check", "--json")[0])
    for each in answer["references"]:
        assert {"theorem", "quantity", "stated", "origin", "ours", "difference"} <= set(each)
        assert abs(each["difference"]) <= each["tolerance"]
    out, _ = bounds(capsys, "--check")
    for said in ("reference", "origin", "ours", "difference", "15323"):
        assert said in out, said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected a protocol, or --check"),
        (("bb84", "--check"), "expected --check alone"),
        (("--check", "--km", "3"), "expected --check alone"),
        (("wcp-bb84",), "theorems are here for"),
        (("bb84", "--pulses", "many"), "sizes of block"),
        (("bb84", "--epsilon", "1"), "epsilon"),
        (("bb84", "--eve", "ghz"), "No such option"),
    ],
)
def test_what_cannot_be_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    out, err = bounds(capsys, *words, code=2)
    assert not out
    assert said in err
