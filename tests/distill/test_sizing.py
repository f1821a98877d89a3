"""How long a session is: long enough by the very bound that its block is held to."""

import numpy as np
import pytest
from msgspec import structs
from tests.simulators.blocks import opening, run
from tests.simulators.halves import e91

from bellwire.base.detections import Protocol, Side
from bellwire.distill.messages import Fresh
from bellwire.distill.reconciliation import Method
from bellwire.distill.sizing import MAX_SESSION_PAIRS, LinkFigures, pairs_needed
from bellwire.distill.verdict import Reason

EPSILON = 1e-10


def needed(bits: int, link: LinkFigures) -> int:
    pairs = pairs_needed(bits, link, EPSILON)
    assert pairs is not None
    return pairs


def test_longer_pads_and_worse_links_need_more_pairs() -> None:
    link = LinkFigures(1.0, 0.03)
    assert needed(66_560, link) > needed(33_792, link) > needed(9_344, link)
    assert needed(33_792, LinkFigures(1.0, 0.05)) > needed(33_792, link)
    assert needed(33_792, LinkFigures(0.2, 0.03)) >= 4 * needed(33_792, link)


def test_no_session_is_made_that_could_give_nothing() -> None:
    assert pairs_needed(1152, LinkFigures(1.0, 0.2), EPSILON) is None
    assert pairs_needed(1152, LinkFigures(0.0, 0.02), EPSILON) is None
    found = pairs_needed(66_560, LinkFigures(0.2, 0.08), EPSILON)
    assert found is None or found <= MAX_SESSION_PAIRS


def fresh(pairs: int, pad_bits: int) -> Fresh:
    plain = structs.replace(opening(Protocol.E91, pairs), reconciliation=Method.LDPC)
    return Fresh(
        *structs.astuple(plain),
        session=bytes(16),
        pad_bits=pad_bits,
        master=Side.ALICE,
        grant=1,
    )


@pytest.mark.parametrize(
    ("pad_bits", "qber", "loss"),
    [
        (8, 0.02, 0.0),
        (8_320, 0.02, 0.0),
        (8_320, 0.0, 0.0),
        (33_000, 0.02, 0.0),
        (8_320, 0.04, 0.3),
    ],
)
def test_sessions_of_the_length_that_is_chosen_give_their_pad(
    pad_bits: int, qber: float, loss: float
) -> None:
    pairs = needed(pad_bits + 1024, LinkFigures((1.0 - loss) ** 2, qber))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        block = fresh(pairs, pad_bits)
        outcome = run(block, e91(pairs, 1.0 - 2.0 * qber, rng, loss=loss))
        assert outcome.accepted, outcome.reports
        report = outcome.reports[Side.ALICE]
        assert report.extracted_bits == pad_bits + 1024
        assert len(outcome.secrets[Side.BOB]) == pad_bits // 8 + 128
        assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]


def test_a_session_that_is_too_short_gives_nothing_and_says_how_much_it_had() -> None:
    outcome = run(fresh(60_000, 32_768), e91(60_000, 0.96, np.random.default_rng(1)))
    assert {each.reason for each in outcome.reports.values()} == {Reason.NO_NET_KEY}
    assert not outcome.secrets
    report = outcome.reports[Side.ALICE]
    assert 0 < report.extracted_bits < 33_792
    assert report.secret_bits == 0
    assert "33,792 are wanted" in (report.message or "")
