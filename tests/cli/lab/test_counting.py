"""`bellwire lab run --until estimate` of E91, BBM92 and BB84: document, table, and refusals."""

import json
from typing import Any

import pytest

from bellwire.cli.main import run

UNTIL = ("--until", "estimate", "--seed", "1")


def lab(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run(["lab", "run", *words]) == code
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(lab(capsys, *words, "--json", code=code))
    return answer


def test_a_hundred_million_pairs_are_estimated(capsys: pytest.CaptureFixture[str]) -> None:
    answer = document(capsys, "e91", "--pulses", "1e8", *UNTIL)
    assert (answer["protocol"], answer["pulses"]) == ("e91", 100_000_000)
    assert (answer["verdict"], answer["reason"], answer["until"]) == ("accept", None, "estimate")
    assert abs(answer["chsh"] - answer["expected_chsh"]) < 4 * answer["chsh_stderr"] < 0.002
    assert answer["secret_bits"] is None


def test_every_parameter_of_eve_and_optics_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("e91", "--pulses", "1e6", "--misalignment", "0", *UNTIL)
    answer = document(capsys, *words, "--eve", "ghz:0.9", "--eve-axis", "0", "--epsilon", "1e-9")
    assert answer["eve"] == {"kind": "ghz", "share": 0.9}
    assert answer["qber"] == pytest.approx(0.9 * 0.375, abs=0.003)


def test_people_get_a_table_beside_theory(capsys: pytest.CaptureFixture[str]) -> None:
    out = lab(capsys, "e91", "--pulses", "200000", *UNTIL)
    for said in ("E91, 200,000 pairs", "nobody", "theory 2.71529", "accept", "pairs/s"):
        assert said in out, said
    out = lab(capsys, "bb84", "--pulses", "200000", "--eve", "intercept-resend", *UNTIL)
    for said in ("on 100% of the pulses", "knows", "theory 26.0000%", "abort"):
        assert said in out, said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bb84", "--until", "soon"), "estimate or key, got soon"),
        (("bb84", *UNTIL, "--mean-pairs", "0.1"), "mean-pairs only with"),
        (("bb84", *UNTIL, "--pulses", "1e14"), "1 … 10000000000000"),
        (("b92", *UNTIL), "bbm92"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    answer = document(capsys, *words, code=2)["error"]
    assert said in answer["message"]
