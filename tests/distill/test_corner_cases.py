"""Blocks at the edges of statistics: no errors, nothing but errors, the limit itself, very long."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.blocks import opening, run
from tests.simulators.halves import Prepared, bb84, bbm92, e91

from bellwire.base.detections import OF_PHOTONS, Detections, Half, Protocol, Side
from bellwire.bench.distill import light as planes
from bellwire.distill import layout as layouts
from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.estimation import ErrorRate
from bellwire.distill.verdict import Reason, Rules, judge_qber

BUDGET = EpsilonBudget.divide(1e-10)
LONG = 1 << 20
"""Detections of the long block; `tools/prove_blocks.py --longest` runs the longest there is."""


def light(protocol: Protocol, pulses: int, qber: float) -> dict[Side, Half]:
    rng = np.random.default_rng(11)
    if protocol is Protocol.E91:
        return e91(pulses, 1.0 - 2.0 * qber, rng)
    return (bb84 if protocol is Protocol.BB84 else bbm92)(pulses, qber, rng)


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_without_errors_the_keys_are_equal_and_there_is_no_efficiency(protocol: Protocol) -> None:
    block = opening(protocol)
    outcome = run(block, light(protocol, block.pulses, 0.0))
    assert outcome.accepted
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    report = outcome.reports[Side.BOB]
    assert report == outcome.reports[Side.ALICE]
    assert report.efficiency is None
    assert 0 < report.leaked_bits < report.key_bits
    assert report.qber == 0.0


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_where_every_bit_is_wrong_there_is_no_key(protocol: Protocol) -> None:
    block = opening(protocol)
    outcome = run(block, light(protocol, block.pulses, 1.0))
    expected = Reason.CHSH if protocol is Protocol.E91 else Reason.QBER
    assert {report.reason for report in outcome.reports.values()} == {expected}
    assert not outcome.secrets
    if protocol is not Protocol.E91:
        assert outcome.reports[Side.ALICE].qber == 1.0


def test_a_stretch_of_noise_costs_its_own_frames_and_the_block_gives_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layouts, "FRAME_BITS", 2048)
    block = opening(Protocol.BB84, 300_000)
    halves = light(Protocol.BB84, block.pulses, 0.01)
    whole = run(block, halves).reports[Side.ALICE]
    bob = halves[Side.BOB]
    assert isinstance(bob, Detections)
    noise = bob.outcomes.copy()
    rng = np.random.default_rng(5)
    stretch = slice(noise.size // 2, noise.size // 2 + noise.size // 16)
    noise[stretch] = rng.integers(0, 2, noise[stretch].size)
    outcome = run(block, halves | {Side.BOB: replace(bob, outcomes=noise)})
    assert outcome.accepted
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    report = outcome.reports[Side.BOB]
    assert report == outcome.reports[Side.ALICE]
    # What is told: a sixteenth of the key, in two stretches, and what shares their frames.
    assert 0 < report.leaked_bits - whole.leaked_bits < whole.key_bits / 16 + 4 * 2048
    assert report.qber is not None
    assert 0.03 < report.qber < 0.05


@settings(max_examples=100, derandomize=True, deadline=None)
@given(hundreds=st.integers(20, 1 << 20), percent=st.integers(1, 50))
def test_the_limit_itself_is_rejected_and_one_error_fewer_is_not(
    hundreds: int, percent: int
) -> None:
    rules, bits, errors = Rules(red_qber=percent / 100), 100 * hundreds, percent * hundreds
    rejection = judge_qber(ErrorRate(errors, bits), rules, BUDGET)
    assert rejection is not None
    assert rejection.reason in {Reason.QBER, Reason.TOO_FEW}
    below = judge_qber(ErrorRate(errors - 1, bits), rules, BUDGET)
    assert below is None or below.reason is Reason.TOO_FEW
    assert (below is None) == (rejection.reason is Reason.QBER)


@pytest.mark.parametrize("seed", range(6))
def test_eleven_percent_exactly_is_rejected_whichever_way_the_sample_falls(seed: int) -> None:
    n = 20_000  # equal bases throughout: a sample below the limit leaves more to the key
    rng = np.random.default_rng(seed)
    bits, bases = (rng.integers(0, 2, n, np.uint8) for _ in range(2))
    wrong = (rng.permutation(n) < n * 11 // 100).astype(np.uint8)
    slots = np.arange(n, dtype=np.int64)
    halves: dict[Side, Half] = {
        Side.ALICE: Prepared(bases, bits),
        Side.BOB: Detections(slots, bases, bits ^ wrong),
    }
    outcome = run(opening(pulses=n), halves, seed=seed)
    assert {report.reason for report in outcome.reports.values()} == {Reason.QBER}
    assert {report.qber for report in outcome.reports.values()} == {0.11}
    assert not outcome.secrets


def test_a_long_block_gives_one_key() -> None:
    halves = planes.halves(LONG, 0.02, 0.9, seed=5)
    outcome = run(planes.opening(1, LONG, 0.9), halves)
    assert outcome.accepted
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    assert outcome.reports[Side.ALICE] == outcome.reports[Side.BOB]
    assert outcome.reports[Side.ALICE].secret_bits > 0.35 * LONG
