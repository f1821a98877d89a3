"""spec/channel.pv: what ProVerif says of it, where it is on PATH; and that its marks are used."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "spec" / "channel.pv").read_text()

BREAKS = {
    half: f"reduc forall p: public, r: coins; break{half}(sent{half}(p, r)) = shared{half}(p, r)."
    for half in "MX"
}
LEAK = "reduc forall i: keyid; stolen(i) = qkd(i)."
LATER = "| (phase 1; out(wire, (d, c)))"
NAMES = ("up", "down", "device", "cloud")

HOLDS: dict[str, dict[str, str]] = {
    "nothing has fallen": {},
    "QKD keys leaked": {"LEAKED_QKD": LEAK},
    "ML-KEM is broken, QKD keys leaked": {"BROKEN": BREAKS["M"], "LEAKED_QKD": LEAK},
    "X25519 is broken, QKD keys leaked": {"BROKEN": BREAKS["X"], "LEAKED_QKD": LEAK},
    "both are broken, and QKD holds": {"BROKEN": BREAKS["M"] + BREAKS["X"]},
    "long-term keys leak later": {"LEAKED_LATER": LATER, "LEAKED_QKD": LEAK},
}
MUTANTS = {
    "no KEM to the initiator": ({"NO_SS_C": "leftout", "LEAKED_QKD": LEAK}, "cloud"),
    "no KEM to the responder": ({"NO_SS_S": "leftout", "LEAKED_QKD": LEAK}, "device"),
    "the QKD key is left out": (
        {"NO_QKD": "leftout", "BROKEN": BREAKS["M"] + BREAKS["X"]},
        "down",
    ),
    "no third message": ({"NO_CONFIRM": "event cloudAccepts(pM, cM, kdown);"}, "cloud"),
}


def filled(marks: dict[str, str]) -> str:
    """The text with marks filled in; one before an expression takes its place."""
    text = TEXT
    for name, instead in marks.items():
        after = r"[^\n]*(?= in\n)" if name.startswith("NO_SS") else ""
        after = r" qkd\(id\)" if name == "NO_QKD" else after
        text, changed = re.subn(rf"\(\*@{name}@\*\){after}", instead, text)
        assert changed, f"no mark {name}"
    return text


def verdicts(text: str, folder: Path) -> dict[str, bool]:
    """Which of the queries, in their order, are true."""
    path = folder / "channel.pv"
    path.write_text(text)
    done = subprocess.run(
        ["proverif", str(path)], capture_output=True, text=True, check=True, timeout=600
    )
    found = re.findall(r"^RESULT .* is (true|false)\.$|^RESULT .*(cannot).*$", done.stdout, re.M)
    assert len(found) == len(NAMES), done.stdout
    return {name: said == "true" for name, (said, _) in zip(NAMES, found, strict=True)}


WITH_PROVERIF = pytest.mark.skipif(
    shutil.which("proverif") is None, reason="ProVerif is not on PATH; models/symbols.py runs"
)


@WITH_PROVERIF
@pytest.mark.parametrize("scene", HOLDS)
def test_every_query_holds(scene: str, tmp_path: Path) -> None:
    assert verdicts(filled(HOLDS[scene]), tmp_path) == dict.fromkeys(NAMES, True)


@WITH_PROVERIF
@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_fail_the_query_that_they_should(mutant: str, tmp_path: Path) -> None:
    marks, fails = MUTANTS[mutant]
    assert not verdicts(filled(marks), tmp_path)[fails]


def test_every_mark_of_the_text_is_filled_in_somewhere() -> None:
    used = {name for marks in HOLDS.values() for name in marks}
    used |= {name for marks, _ in MUTANTS.values() for name in marks}
    assert set(re.findall(r"@([A-Z_]+)@", TEXT.partition("free wire")[2])) == used


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_the_text_with_something_left_out(mutant: str) -> None:
    text = filled(MUTANTS[mutant][0])
    assert text != TEXT
    assert text.count("(") == text.count(")")
    for name in (name for name in MUTANTS[mutant][0] if name.startswith("NO_SS")):
        assert f"@{name}@" not in text
        assert len(re.findall(r"let ss[13] = leftout in", text)) == 2
