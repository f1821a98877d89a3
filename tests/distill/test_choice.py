"""The rule between Cascade and codes: latency decides, and the length of the block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.blocks import opening, run

from bellwire.base.bits import PackedBits
from bellwire.base.detections import OF_PHOTONS, Protocol, Side
from bellwire.distill.choice import Conditions, choose, reconciler
from bellwire.distill.reconciliation import Method


@pytest.mark.parametrize(
    ("conditions", "method"),
    [
        (Conditions(0.0, 10**6, 0.02), Method.CASCADE),
        (Conditions(20e-6, 10**6, 0.02), Method.CASCADE),
        (Conditions(0.01, 10**6, 0.02), Method.CASCADE),
        (Conditions(0.03, 60_000, 0.02), Method.CASCADE),
        (Conditions(0.05, 10**6, 0.02), Method.LDPC),
        (Conditions(1.0, 10**6, 0.02), Method.LDPC),
        (Conditions(1.0, 10**8, 0.02), Method.LDPC),
        (Conditions(1.0, 5_000, 0.02), Method.CASCADE),
        (Conditions(1.0, 10**6, 0.3), Method.CASCADE),
    ],
)
def test_latency_and_length_decide(conditions: Conditions, method: Method) -> None:
    assert choose(conditions) is method


@given(
    key_bits=st.integers(1, 10**8),
    qber=st.floats(0.0, 0.5),
    round_trip_s=st.floats(0.0, 2.0),
    longer=st.floats(0.0, 2.0),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_more_latency_never_turns_to_the_method_of_more_rounds(
    key_bits: int, qber: float, round_trip_s: float, longer: float
) -> None:
    if choose(Conditions(round_trip_s, key_bits, qber)) is Method.LDPC:
        assert choose(Conditions(round_trip_s + longer, key_bits, qber)) is Method.LDPC


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("size", [5_000, 60_000])
def test_the_engine_is_the_methods_or_cascade_where_no_code_fits(method: Method, size: int) -> None:
    key = PackedBits.of(np.zeros(size, np.uint8))
    used, made = reconciler(method, key, (size,), 0.02, bytes(32), corrects=True)
    assert used is (method if size == 60_000 else Method.CASCADE)
    assert type(made).__name__.lower() == used.value


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_a_block_by_codes_gives_both_sides_one_key_in_few_steps(protocol: Protocol) -> None:
    pulses = 200_000 if protocol.judged_on_chsh else 120_000
    block = opening(protocol, pulses, reconciliation=Method.LDPC)
    outcome = run(block)
    assert outcome.accepted
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    for report in outcome.reports.values():
        assert report.reconciliation is Method.LDPC
        assert report.rounds <= 8
        assert report.efficiency is not None
        assert report.efficiency < 1.6


def test_a_block_too_small_for_a_code_is_reconciled_by_cascade() -> None:
    outcome = run(opening(reconciliation=Method.LDPC))
    assert outcome.accepted
    assert {report.reconciliation for report in outcome.reports.values()} == {Method.CASCADE}
