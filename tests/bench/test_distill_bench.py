"""The distillation benchmark gives its named figures, and its alternatives are right."""

import math

import numpy as np
import pytest

from bellwire.base.bits import Bits
from bellwire.bench import distill
from bellwire.bench.distill import stages
from bellwire.bench.textbook import textbook_cascade
from bellwire.distill.cascade import Cascade


def test_a_quick_run_gives_every_named_figure() -> None:
    figures = {figure.name: figure for figure in distill.run(quick=True)}
    assert figures.keys() >= {
        *("secret_rate_per_party", "end_to_end_rate", "wire_bytes_per_secret_bit"),
        *("cascade_efficiency", "cascade_rate", "cascade_rounds", "cascade_efficiency_5pc"),
        *("ldpc_efficiency", "ldpc_efficiency_first", "ldpc_rate", "ldpc_rounds"),
        *("ldpc_alice_ns", "ldpc_efficiency_5pc", "ldpc_rate_5pc"),
        *("amplify_rate", "amplify_vs_fft", "authenticate_rate", "verify_rate", "sift_rate"),
        *("stage_sift_ns", "stage_cascade_ns", "stage_verify_ns", "stage_amplify_ns"),
        *("latency_1ms_cascade_rate", "latency_1ms_cascade_rounds", "latency_1ms_ldpc_rate"),
        *("start_cold_s", "start_warm_s"),
    }
    assert all(math.isfinite(figure.value) and figure.value > 0 for figure in figures.values())
    for method in ("cascade", "ldpc"):
        rate = figures[f"latency_1ms_{method}_rate"].value
        rounds = figures[f"latency_1ms_{method}_rounds"].value
        assert rate < 300_000 / (1e-3 * rounds), "the latency was not there"
    efficiency = figures["cascade_efficiency"]
    assert 1.0 < efficiency.value < 1.06
    assert efficiency.ratio is not None
    assert efficiency.ratio < 1
    assert 1.0 < figures["ldpc_efficiency"].value < 1.25
    for name in ("cascade_rate", "amplify_rate", "authenticate_rate", "sift_rate"):
        assert figures[name].against
        assert figures[name].ratio is not None


@pytest.mark.parametrize("qber", [0.01, 0.05, 0.11])
def test_the_textbook_cascade_corrects_and_counts(qber: float) -> None:
    rng = np.random.default_rng(4)
    alice = rng.integers(0, 2, 5000, np.uint8)
    errors: Bits = (rng.random(5000) < qber).astype(np.uint8)
    bob = alice ^ errors
    result = textbook_cascade(alice, bob, qber, seed=1)
    np.testing.assert_array_equal(result.corrected, alice)
    assert result.leaked_bits < 5000


def test_a_wrong_reconciliation_is_not_reported_as_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cascade, "corrected", property(lambda engine: engine._key))
    with pytest.raises(ArithmeticError, match="differ"):
        stages.run(quick=True)
