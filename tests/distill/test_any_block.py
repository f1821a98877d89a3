"""Whatever light, settings, keys and wire are: both sides get one key, or reject the block.

`tools/prove_blocks.py` runs the same for tens of thousands of blocks.
"""

from collections import Counter
from dataclasses import replace

import pytest
from tests.simulators.any_block import AnyBlock, Wire, check, draw, run

from bellwire.base.detections import Protocol, Side
from bellwire.base.secret import Secret
from bellwire.distill.reconciliation import Method
from bellwire.distill.verdict import Reason
from bellwire.lab.pair import PairOutcome

BLOCKS = 200


def test_keys_are_equal_or_the_block_is_rejected_and_both_sides_say_why() -> None:
    ends: Counter[Reason | None] = Counter()
    protocols, methods = set(), set()
    for seed in range(BLOCKS):
        drawn = draw(seed)
        outcome, wire = run(drawn)
        reasons = check(drawn, outcome, wire)
        ends.update(reasons)
        if reasons == (None, None):
            protocols.add(drawn.block.protocol)
            methods.add(outcome.reports[Side.BOB].reconciliation)
    assert methods >= set(Method)
    assert protocols == set(Protocol)
    assert ends[None] >= BLOCKS / 4
    assert set(ends) >= {
        Reason.TOO_FEW,
        Reason.QBER,
        Reason.CHSH,
        Reason.NO_NET_KEY,
        Reason.AUTHENTICATION,
        Reason.MALFORMED,
        Reason.OUT_OF_STEP,
        Reason.DISAGREED,
    }


@pytest.fixture(scope="module")
def accepted() -> tuple[AnyBlock, PairOutcome, Wire]:
    """An undisturbed block that gives key."""
    for seed in range(100):
        drawn = draw(seed)
        if drawn.undisturbed and not drawn.block.probe:
            outcome, wire = run(drawn)
            if outcome.accepted:
                return drawn, outcome, wire
    raise AssertionError("expected an accepted block among a hundred")


def spoil(outcome: PairOutcome, side: Side, what: str) -> PairOutcome:
    secrets, reports = dict(outcome.secrets), dict(outcome.reports)
    if what == "unequal":
        data = secrets[side].reveal()
        secrets[side] = Secret(bytes([data[0] ^ 1]) + data[1:])
    elif what == "alone":
        reports[side] = replace(
            reports[side], accepted=False, reason=Reason.LOST, message="gone", secret_bits=0
        )
    elif what == "unverified":
        del secrets[side]
    elif what == "noisy":
        reports[side] = replace(reports[side], qber=0.5)
    else:
        del reports[side]
    return PairOutcome(reports, secrets, outcome.transcript)


@pytest.mark.parametrize("what", ["unequal", "alone", "unverified", "noisy", "endless"])
@pytest.mark.parametrize("side", list(Side))
def test_what_must_not_be_would_be_seen(
    accepted: tuple[AnyBlock, PairOutcome, Wire], side: Side, what: str
) -> None:
    drawn, outcome, wire = accepted
    check(drawn, outcome, wire)
    with pytest.raises(AssertionError):
        check(drawn, spoil(outcome, side, what), wire)


def test_a_block_is_what_its_number_says() -> None:
    assert draw(7) == draw(7)
    first, second = (run(draw(7))[0] for _ in range(2))
    assert first.reports == second.reports
    assert first.transcript == second.transcript
