"""`bellwire lab run` with weak coherent pulses: document, table, and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from bellwire.cli.main import run

UNTIL = ("--until", "estimate", "--seed", "1")


def lab(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert run(["lab", "run", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    out, _ = lab(capsys, *words, "--json", code=code)
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_decoy_states_give_their_document_and_null_for_what_is_not_reached(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = document(capsys, "decoy-bb84", "--km", "50", "--pulses", "1e8", *UNTIL)
    assert (answer["protocol"], answer["pulses"]) == ("decoy-bb84", 100_000_000)
    assert (answer["verdict"], answer["reason"], answer["until"]) == ("accept", None, "estimate")
    assert answer["secret_bits"] is None
    assert len(answer["intensities"]) == 3
    assert answer["single_photons"]["yield_lower"] == pytest.approx(0.1, rel=0.1)


def test_splitting_passes_one_intensity_and_is_caught_by_decoys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--km", "50", "--pulses", "1e8", "--eve", "pns", *UNTIL)
    plain, decoys = (document(capsys, name, *words) for name in ("wcp-bb84", "decoy-bb84"))
    assert (plain["verdict"], decoys["verdict"]) == ("accept", "abort")
    assert plain["eve_known_bits"] == plain["sifted_bits"]
    assert decoys["eve"] == {"kind": "pns", "share": 1.0}


def test_every_option_of_the_detectors_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("decoy-bb84", "--km", "10", "--pulses", "1e6", "--efficiency", "0.5", *UNTIL)
    detectors = ("--dead-gates", "50", "--dead-time", "per-detector", "--afterpulse", "0.1")
    biased = ("--rectilinear", "0.9", "--afterpulse-gates", "20")
    source = ("--intensities", "0.6,0.2,0.01", "--intensity-shares", "0.5,0.3,0.2")
    answer = document(capsys, *words, *detectors, *biased, *source)
    assert [each["mean"] for each in answer["intensities"]] == [0.6, 0.2, 0.01]
    sent = [each["sent"] / 1e6 for each in answer["intensities"]]
    assert sent == pytest.approx([0.5, 0.3, 0.2], abs=0.003)
    bases = answer["intensities"][0]["bases"]
    assert bases[0]["sent"] == pytest.approx(9 * bases[1]["sent"], rel=0.02)
    assert answer["blind_share"] > 0.2
    assert answer["intensities"][0]["expected_gain"] is None


def test_people_get_a_table_and_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("decoy-bb84", "--km", "50", "--pulses", "1e7", *UNTIL)
    out, _ = lab(capsys, *words)
    assert "decoys prove a yield of" in out
    assert "Verdict: accept" in out
    out, _ = lab(capsys, *words, "--eve", "pns")
    assert "pns on 100% of the pulses, knows" in out
    assert "Verdict: abort, no single photons" in out
    out, _ = lab(capsys, "wcp-bb84", "--pulses", "10", "--km", "500", "--until", "estimate")
    assert "one intensity proves, at worst" in out
    assert "seed drawn by the system" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("wcp-bb84",), "expected --until estimate with wcp-bb84, which has no key"),
        (("wcp-bb84", "--until", "key"), "got key"),
        (("decoy-bb84", "--until", "soon"), "estimate or key, got soon"),
        (("decoy-bb84", "--monitor", "counts"), "no monitor on the way to the key"),
        (("decoy-bb84", "--dead-time", "per-detector"), "expected common to a key"),
        (("decoy-bb84", "--pulses", "2e8"), "expected 1 to 134217728 to a key"),
        (("decoy-bb84", "--pulses", "6e7"), "expected at most 16777216 detections"),
        (("decoy-bb84", "--epsilon", "0.1"), "epsilon: expected"),
        (("decoy-bb84", *UNTIL, "--epsilon", "1e-5"), "no epsilon on the way to the estimate"),
        (("e91", "--dead-time", "common"), "dead-time only with"),
        (("e91", *UNTIL, "--dead-gates", "5"), "no dead time, afterpulse, jitter, gate"),
        (("bbm92", "--jitter", "200001"), "jitter in [0, 200000] ps"),
        (("bb84", "--dead-gates", "-1"), "dead gates from 0"),
        (("decoy-bb84", *UNTIL, "--eve-axis", "45"), "eve-axis only with bb84, bbm92 or e91"),
        (("decoy-bb84", *UNTIL, "--eve", "ghz"), "KIND of weak pulses"),
        (("decoy-bb84", *UNTIL, "--intensities", "0.5"), "three intensities"),
        (("wcp-bb84", *UNTIL, "--intensities", "0.5,0.1,0"), "one intensity"),
        (("decoy-bb84", *UNTIL, "--intensities", "0.1,0.5,0"), "signal intensity above"),
        (("decoy-bb84", *UNTIL, "--intensities", "a,b"), "numbers with commas"),
        (("decoy-bb84", *UNTIL, "--intensity-shares", "0.5,0.1,0.1"), "adding up to 1"),
        (("decoy-bb84", *UNTIL, "--dead-time", "both"), "common or per-detector"),
        (("decoy-bb84", *UNTIL, "--pulses", "0"), "expected pulses in 1"),
        (("decoy-bb84", *UNTIL, "--rectilinear", "nan"), "rectilinear share in"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
) -> None:
    answer = document(capsys, *words, code=2)
    assert expected in answer["error"]["message"]


def test_without_an_end_decoy_states_go_on_to_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        *("decoy-bb84", "--pulses", "1e6", "--intensities", "0.5,0.2,0", "--seed", "1"),
        *("--intensity-shares", "0.3,0.4,0.3", "--rectilinear", "0.7"),
    )
    answer = document(capsys, *words)
    assert (answer["verdict"], answer["keys_match"]) == ("accept", True)
    assert answer["secret_bits"] > 10_000
    assert answer["single_photon_bits"] > answer["secret_bits"]
    assert len(answer["intensities"]) == 3
    out, _ = lab(capsys, *words)
    assert "secret bits, equal at both sides" in out
    assert "Single photons" in out
    out, _ = lab(capsys, *words[:2], "4e6", *words[3:], "--km", "40", "--eve", "pns")
    assert "decoys show no single photons" in out


def test_a_sweep_of_weak_pulses_ends_with_estimates_of_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["lab", "sweep", "decoy-bb84", "--over", "km=0:50:2", "--pulses", "1e6", "--seed", "1"]
    assert run([*words, "--workers", "2", "--out", str(tmp_path / "a"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["parameters"]["until"] == "estimate"
    assert set(answer["points"][0]["gain_decoy"]) == {"value", "stderr", "theory"}
    assert answer["points"][1]["key"]["theory"] > 0
    assert run([*words, "--workers", "1", "--out", str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert "2 of 2 experiments were accepted" in out
    assert "gain, signal" in out
    for name in ("sweep.csv", "sweep.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_comparison_with_weak_pulses_names_what_only_one_has(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    weak, plain = tmp_path / "weak.toml", tmp_path / "plain.toml"
    weak.write_text('protocol = "decoy-bb84"\nuntil = "estimate"\nintensities = [0.6, 0.1, 0]\n')
    plain.write_text('protocol = "bb84"\npulses = 20000\n')
    assert run(["lab", "compare", str(weak), str(plain), "--seed", "1"]) == 0
    out = capsys.readouterr().out
    for said in ("0.6,0.1,0", "gain, signal", "Y₁ proved", "–", "verdict"):
        assert said in out, said


def test_blind_detectors_are_told_with_and_without_monitors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("decoy-bb84", "--km", "50", "--pulses", "1e8", "--eve", "blinding", *UNTIL)
    out, _ = lab(capsys, *words)
    for said in ("Monitor current: alarm", "self-test: alarm", "Verdict: abort, monitor current"):
        assert said in out, said
    out, _ = lab(capsys, *words, "--monitor", "off")
    for said in ("blinding on 100%", "Verdict: accept", "Not secret"):
        assert said in out, said
    answer = document(capsys, *words, "--monitor", "counts", "--threshold-width", "0.1")
    assert {reading["monitor"] for reading in answer["monitors"]} == {"counts"}
    assert answer["monitors"][0]["alarm"] is True
    for more, expected in (
        (("--monitor", "all"), "expected on, off, or of current, self-test, counts"),
        (("--threshold-width", "2"), "threshold width in [0, 1]"),
        (("--false-alarm", "0.5"), "at most 0.1"),
        (("--afterpulse", "0.1"), "0 with an Eve who blinds"),
    ):
        assert expected in document(capsys, *words, *more, code=2)["error"]["message"]
    none = (*UNTIL, "--threshold-width", "0.1")
    assert "unless Eve blinds" in lab(capsys, "decoy-bb84", *none, code=2)[1]
