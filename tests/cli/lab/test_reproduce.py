"""`bellwire lab reproduce`: documents, tables, files, refusals."""

import json
from pathlib import Path

import pytest

from bellwire.cli import output
from bellwire.cli.main import run


def lab(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    output.forget()
    assert run(["lab", "reproduce", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_one_result_is_made_again_as_document_and_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out, _ = lab(capsys, "gys", "--quick", "--out", str(tmp_path / "new"), "--json")
    document = json.loads(out)
    (found,) = document["reproductions"]
    assert found["name"] == "gys"
    assert found["facts"][0]["stated"] == 2.555e-3
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        f"gys.{kind}" for kind in ("csv", "parquet", "svg", "png", "json")
    }


def test_people_get_what_is_stated_what_is_found_and_how_far_simulation_is_off(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out, _ = lab(capsys, "two-links", "gys", "--quick", "--out", str(tmp_path))
    assert "within 2 std. errors" in out
    assert "0.002554" in out
    assert str(tmp_path) in out.replace("\n", "")


def test_an_unknown_result_is_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, err = lab(capsys, "gys", "x", "--out", str(tmp_path / "new"), code=2)
    assert "got x" in err
    assert not (tmp_path / "new").exists()
