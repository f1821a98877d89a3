"""`bellwire lab repeater`: the document, the table, the files, refusals."""

import json
from pathlib import Path

import pytest

from bellwire.cli import output
from bellwire.cli.main import run

QUICK = ("--km", "200:500:4", "--links", "1,4", "--pairs", "300", "--memory-s", "10", "--seed", "1")


def lab(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    output.forget()
    assert run(["lab", "repeater", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_the_document_has_rows_crossings_and_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out, err = lab(capsys, *QUICK, "--out", str(tmp_path), "--json")
    document = json.loads(out)
    assert err == ""
    assert [row["km"] for row in document["rows"]] == [200.0, 300.0, 400.0, 500.0] * 2
    assert {each["links"] for each in document["crossings"]} == {4}
    assert document["seed"] == 1
    assert all(Path(each).stat().st_size for each in document["files"])
    assert {Path(each) for each in document["files"]} == set(tmp_path.iterdir())


def test_a_table_tells_people_what_is_beyond_the_bound(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, _ = lab(capsys, *QUICK)
    assert "Beyond the repeaterless bound for a source of 1e+09 modes/s: 4 links from" in out
    assert "repeater.csv" not in out
    out, _ = lab(capsys, "--km", "300", "--links", "1", "--pairs", "10", "--purify", "0,1")
    assert "No chain here gets beyond the repeaterless bound." in out
    assert "1, 1×" in out


def test_a_chain_that_delivers_nothing_is_told_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, _ = lab(capsys, "--km", "20000", "--links", "1", "--dark", "0", "--pairs", "10")
    assert "1 links over 20000 km: no photon ever reaches the middle of a link" in out


def test_a_fibre_without_loss_has_no_bound_to_print(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--km", "30", "--links", "1", "--loss", "0", "--pairs", "10")
    assert json.loads(lab(capsys, *words, "--json")[0])["rows"][0]["bound_bps"] is None
    assert "No chain here gets beyond" in lab(capsys, *words)[0]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--links", "1,x"), "links"),
        (("--purify", ""), "purify"),
        (("--pairs", "many"), "pairs"),
        (("--fidelity", "2"), "fidelity"),
        (("--km", "5:1"), "range"),
        (("--order", "any"), "order"),
    ],
)
def test_bad_values_exit_with_two_and_a_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], named: str
) -> None:
    _, err = lab(capsys, *words, code=2)
    assert "expected" in err
    assert named in err
