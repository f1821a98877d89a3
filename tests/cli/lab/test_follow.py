"""`bellwire lab follow`: the story as text, as one document, as a page; and refusals."""

import json
from pathlib import Path

import pytest

from bellwire import lab
from bellwire.cli.main import run


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run(["lab", "follow", *words]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_the_text_goes_from_light_to_key_without_marks_of_a_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = told(capsys, "bb84", "--pulses", "6e4", "--seed", "1")
    expected = lab.run("bb84", pulses=60_000, seed=1)
    assert out.startswith("The light\n")
    assert f"{expected.secret_bits:,} secret bits are the net" in out
    assert "both sides’ keys are equal" in out
    assert "*" not in out
    assert "`" not in out


def test_the_document_is_one_and_has_every_round(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(told(capsys, "e91", "--pulses", "6e4", "--seed", "1", "--json"))
    assert len(document["rounds"]) == document["report"]["rounds"]
    assert document["keys_match"] is True
    assert document["files"] == []


def test_a_page_is_written_and_its_files_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "mine.md"
    out = told(capsys, "bb84", "--pulses", "6e4", "--seed", "1", "--markdown", str(page))
    assert page.read_text().startswith("# One block of BB84\n")
    assert str(tmp_path / "mine-rounds.svg") in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("decoy-bb84", "--until", "estimate"), "bb84 here, got decoy-bb84"),
        (("decoy-bb84",), "bb84 here, got decoy-bb84"),
        (("e91", "--until", "estimate"), "got --until estimate"),
        (("e91", "--eve", "man-in-the-middle"), "in the middle"),
        (("e91", "--pulses", "0"), "pulses"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert said in told(capsys, *words, code=2)


def test_a_page_where_none_can_be_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    page = tmp_path / "file" / "page.md"
    assert str(page) in told(
        capsys, "bb84", "--pulses", "6e4", "--seed", "1", "--markdown", str(page), code=2
    )
