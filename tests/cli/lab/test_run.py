"""`bellwire lab run`: the document that scripts rely on, the table for people, and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from bellwire.cli import output
from bellwire.cli.main import run

FIELDS = [
    "protocol",
    "engine",
    "seed",
    "pulses",
    "detections",
    "sifted_bits",
    "qber",
    "qber_stderr",
    "chsh",
    "chsh_stderr",
    "reconciliation",
    "secret_bits",
    "secret_rate_bps",
    "epsilon",
    "eve",
    "verdict",
    "reason",
    "keys_match",
    "wall_s",
]


def lab(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert run(["lab", "run", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    out, _ = lab(capsys, *words, "--json", code=code)
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_e91_accepts_and_prints_the_documented_fields_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = document(capsys, "e91", "--pulses", "200000", "--seed", "1")
    assert list(answer)[: len(FIELDS)] == FIELDS
    assert (answer["protocol"], answer["engine"], answer["seed"]) == ("e91", "fast", 1)
    assert (answer["verdict"], answer["reason"], answer["keys_match"]) == ("accept", None, True)
    assert answer["eve"] is None
    assert answer["chsh"] == pytest.approx(2.715, abs=0.05)
    assert answer["secret_bits"] == pytest.approx(20_000, rel=0.3)
    assert set(answer["reconciliation"]) == {"method", "leaked_bits", "efficiency", "rounds"}
    assert answer["reconciliation"]["method"] == "cascade"


def test_intercepted_bb84_aborts_and_exits_zero(capsys: pytest.CaptureFixture[str]) -> None:
    answer = document(
        capsys, "bb84", "--pulses", "2e4", "--eve", "intercept-resend:1.0", "--seed", "1"
    )
    assert answer["verdict"] == "abort"
    assert answer["eve"] == {"kind": "intercept-resend", "share": 1.0}
    assert "QBER" in answer["reason"]
    assert (answer["secret_bits"], answer["chsh"], answer["keys_match"]) == (0, None, None)


def test_the_axis_of_eve_shows_in_the_qber(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("e91", "--pulses", "1e5", "--misalignment", "0", "--seed", "2", "--eve")
    diagonal = document(capsys, *words, "intercept-resend", "--eve-axis", "67.5")
    along = document(capsys, *words, "ghz", "--eve-axis", "0")
    assert diagonal["qber"] == pytest.approx(0.073, abs=0.01)
    assert along["qber"] == pytest.approx(0.375, abs=0.01)


def test_the_same_seed_prints_the_same_but_for_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (document(capsys, "bb84", "--pulses", "20000", "--seed", "3") for _ in range(2))
    assert one.pop("wall_s") >= 0 <= two.pop("wall_s")
    assert one == two


def test_people_get_the_story_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = lab(capsys, "e91", "--pulses", "60000", "--seed", "1", "--km", "1")
    for words in ("E91, 60,000 pairs over 1 km", "nobody listens", "S", "QBER", "secret bits"):
        assert words in out
    out, _ = lab(capsys, "bb84", "--pulses", "20000", "--eve", "ghz:0.9", "--seed", "1")
    for words in ("ghz on 90% of the pulses", "abort", "QBER"):
        assert words in out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("b92",), "bbm92"),
        (("e91", "--pulses", "many"), "whole number"),
        (("e91", "--pulses", "1.5"), "whole number"),
        (("e91", "--pulses", "1e400"), "whole number"),
        (("e91", "--pulses", "nan"), "whole number"),
        (("e91", "--pulses", "0"), "1 to 16777216"),
        (("e91", "--pulses", "1e9"), "1 to 16777216"),
        (("e91", "--efficiency", "1.5"), "(0, 1]"),
        (("e91", "--km", "-1"), "from 0 to 1000"),
        (("e91", "--dark", "nan"), "[0, 1)"),
        (("e91", "--misalignment", "0.6"), "[0, 0.5]"),
        (("e91", "--eve", "beamsplitter"), "intercept-resend"),
        (("e91", "--eve", "ghz:2"), "[0, 1]"),
        (("e91", "--eve", "ghz", "--eve-axis", "left"), "degrees"),
        (("e91", "--eve-axis", "45"), "Eve"),
        (("bb84", "--sample-share", "1"), "between 0 and 1"),
        (("bb84", "--epsilon", "1e-30"), "1e-20 to 0.001"),
        (("bb84", "--seed", "-1"), "seed"),
    ],
)
def test_an_impossible_parameter_exits_two_and_names_what_is_possible(
    words: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = lab(capsys, *words, code=2)
    assert named in err
    assert document(capsys, *words, code=2)["error"]["code"] == 2


def group(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert run(["lab", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


SWEEP = ("sweep", "bb84", "--over", "eve=0:1:3", "--pulses", "4000", "--workers", "1")


def test_a_sweep_writes_its_files_and_one_document(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = json.loads(group(capsys, *SWEEP, "--seed", "1", "--json")[0])
    assert (answer["protocol"], answer["over"], answer["seed"]) == ("bb84", ["eve"], 1)
    assert answer["parameters"]["eve"] == "intercept-resend"
    assert [point["eve"] for point in answer["points"]] == [0.0, 0.5, 1.0]
    assert [p["qber"]["theory"] for p in answer["points"]] == pytest.approx([0.02, 0.14, 0.26])
    assert set(answer["points"][0]["qber"]) == {"value", "stderr", "theory"}
    assert all((tmp_path / name).stat().st_size for name in answer["files"])
    assert {Path(name).parent for name in answer["files"]} == {Path("sweep-bb84-eve")}


def test_people_see_the_points_of_a_sweep_beside_theory(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("sweep", "e91", "--over", "eve=0:1:3", "--over", "km=0:1:2", "--pulses", "4000")
    out, _ = group(capsys, *words, "--workers", "1", "--repeat", "2", "--out", str(tmp_path))
    for said in ("12 experiments", "QBER", "theory", "2.715", "0 of 2", "sweep.csv"):
        assert said in out, said
    out, _ = group(
        capsys, "sweep", "bb84", "--over", "km=0:1:61", "--pulses", "100", "--workers", "1",
        "--out", str(tmp_path / "long"),
    )  # fmt: skip
    assert "theory" not in out, "a long sweep is for the files"
    assert "0 of 61 experiments gave a key" in out


def test_an_interrupted_sweep_says_that_it_can_go_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: output.Meter, amount: float = 1.0) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(output.Meter, "advance", interrupted)
        _, err = group(capsys, *SWEEP, "--out", str(tmp_path), "--seed", "2", code=130)
    assert "the same command goes on from there" in err
    table = tmp_path / "sweep.csv"
    first = table.read_text()
    assert first.count("\n") == 2
    group(capsys, *SWEEP, "--out", str(tmp_path), "--seed", "2")
    assert table.read_text().startswith(first)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--over", "speed=0:1:3"), "sample-share"),
        (("--over", "eve=0:2:3"), "[0, 1], got 2.0"),
        (("--over", "eve=0:1"), "PARAM=FROM:TO:N"),
        (("--over", "km=0:1:2", "--km", "3"), "either as a range or as a value"),
        (("--over", "km=0:1:2", "--workers", "0"), "workers"),
        (("--over", "km=0:1:2", "--out", "/proc/no/where"), "/proc/no/where"),
        ((), "--over"),
    ],
)
def test_an_impossible_sweep_exits_two(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert said in group(capsys, "sweep", "bb84", *words, code=2)[1]


def test_two_configurations_stand_side_by_side(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    quiet, heard, wrong = (tmp_path / f"{name}.toml" for name in ("quiet", "heard", "wrong"))
    quiet.write_text('protocol = "e91"\npulses = 1e5\n')
    heard.write_text('protocol = "bb84"\npulses = 1e5\neve = "ghz"\neve-axis = 0\n')
    wrong.write_text('protocol = "e91"\nvisibility = 1\n')
    out, _ = group(capsys, "compare", str(quiet), str(heard), "--seed", "1")
    for said in ("quiet.toml", "protocol", "ghz", "QBER", "secret bits", "heard.toml: QBER"):
        assert said in out, said
    assert "pulses" not in out, "what is alike is left out"
    answer = json.loads(
        group(capsys, "compare", str(quiet), str(quiet), "--seed", "1", "--json")[0]
    )
    assert [each["quantity"] for each in answer["differences"]][1] == "qber"
    assert abs(answer["differences"][1]["in_stderrs"]) < 4
    _, err = group(capsys, "compare", str(quiet), str(wrong), code=2)
    assert "wrong.toml" in err
    assert "visibility" in err
    assert "No such file" in group(capsys, "compare", str(quiet), "no.toml", code=2)[1]


def test_a_man_in_the_middle_is_named_and_refused_by_both_sides(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("e91", "--pulses", "50000", "--seed", "1", "--eve")
    answer = document(capsys, *words, "man-in-the-middle")
    assert answer["eve"]["knows"] == "nothing"
    assert [side["verdict"] for side in answer["sides"]] == ["abort", "abort"]
    assert "authentication failed" in answer["reason"]
    out, _ = lab(capsys, *words, "man-in-the-middle:all-keys")
    for said in ("knows all-keys", "Key of alice", "all of them Eve's too"):
        assert said in out, said
    out, _ = lab(capsys, *words, "man-in-the-middle")
    assert "abort: authentication failed" in out
    assert "slots detected" not in out
    assert "frame-key" in lab(capsys, *words, "man-in-the-middle:0.5", code=2)[1]


def test_codes_are_asked_for_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("bb84", "--pulses", "120000", "--seed", "1", "--reconciliation")
    answer = document(capsys, *words, "ldpc")
    assert (answer["verdict"], answer["keys_match"]) == ("accept", True)
    assert answer["reconciliation"]["method"] == "ldpc"
    assert answer["reconciliation"]["rounds"] <= 10
