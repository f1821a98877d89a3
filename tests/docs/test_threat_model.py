"""Every claim of the threat model names a test that there is."""

from tests.docs.claims import NAMED, rows, unfounded
from tests.docs.examples import ROOT

PAGE = (ROOT / "docs" / "explanation" / "threat-model.md").read_text()
CLAIMS, _, NOT_HELD = PAGE.partition("## What does not hold")
ATTACKERS = {
    "the quantum channel",
    "the classical channel",
    "a relay",
    "a node's network, or its disk",
    "the ledger",
    "a device",
    "a quantum computer",
}


def test_every_claim_names_a_test_that_there_is() -> None:
    claims = rows(CLAIMS.partition("## Who")[2])
    assert len(claims) > 50
    for attack, outcome, tests in claims:
        assert outcome, attack
        assert unfounded(tests) == [], attack
        assert NAMED.search(tests) or attack.startswith("**"), f"neither test nor warning: {attack}"


def test_every_attacker_has_a_section() -> None:
    heads = [line for line in CLAIMS.splitlines() if line.startswith("## Who ")]
    assert {name for name in ATTACKERS if not any(head.endswith(name) for head in heads)} == set()


def test_what_does_not_hold_is_said() -> None:
    assert NOT_HELD.count("- **") > 5
