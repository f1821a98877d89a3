"""The odds of a block's end are those of drawn counts, of real blocks, and of exact sums."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import block_endings

from bellwire.base.detections import Side
from bellwire.distill.verdict import Reason
from bellwire.lab import odds as odds_module
from bellwire.lab.dispatch import experiment
from bellwire.lab.experiment import Experiment, distilled
from bellwire.lab.odds import leak, odds, plain_caught

RUNS = 2000


def at(protocol: str, pulses: int, eve: str, **words: Any) -> Experiment:
    what = experiment(protocol, {"pulses": pulses, "eve": eve, **words})
    assert isinstance(what, Experiment)
    return what


PLACES = [
    at("bb84", 11_000, "none"),
    at("bb84", 16_384, "intercept-resend:0.35"),
    at("bb84", 12_000, "intercept-resend:0.37"),
    at("bb84", 65_536, "intercept-resend:0.21"),
    at("bb84", 40_000, "ghz:0.36"),
    at("bb84", 30_000, "breidbart:0.36", sample_share=0.4),
    at("bbm92", 60_000, "cloner:0.6", efficiency=0.7, dark=1e-3),
    at("e91", 16_384, "intercept-resend:0.4"),
    at("e91", 65_536, "intercept-resend:0.19"),
    at("e91", 40_000, "ghz:0.38", misalignment=0.01),
    at("e91", 60_000, "substitution:0.2", efficiency=0.8),
]


def place(what: Experiment) -> str:
    return f"{what.protocol}-{what.pulses}-{'nobody' if what.eve is None else what.eve.kind}"


@pytest.mark.parametrize("what", PLACES, ids=place)
def test_sums_and_lattice_are_what_drawn_counts_do(what: Experiment) -> None:
    expected, rng = odds(what), np.random.default_rng(1)
    ended = np.bincount([block_endings.ending(what, rng) for _ in range(RUNS)], minlength=3)
    # Each place is one where theory is not sure of the end, so that a wrong sum would show.
    assert max(expected.caught, expected.withheld, expected.key) < 0.999
    for count, probability in zip(
        ended.tolist(), (expected.caught, expected.withheld, expected.key), strict=True
    ):
        error = math.sqrt(RUNS * max(probability * (1.0 - probability), 1e-4))
        assert abs(count - RUNS * probability) <= 4.0 * error + 0.012 * RUNS


@pytest.mark.parametrize(
    "what",
    [
        at("bb84", 16_384, "intercept-resend:0.35"),
        at("bb84", 65_536, "intercept-resend:0.21"),
        at("e91", 16_384, "intercept-resend:0.4"),
    ],
    ids=place,
)
def test_blocks_that_are_sent_end_as_the_odds_say(what: Experiment) -> None:
    runs, expected = 40, odds(what)
    reports = [
        distilled(
            at(what.protocol, what.pulses, f"intercept-resend:{what.eve.share}", seed=seed)
        ).reports[Side.ALICE]
        for seed in range(runs)
        if what.eve is not None
    ]
    made = sum(report.accepted for report in reports)
    caught = sum(report.reason in {Reason.QBER, Reason.CHSH} for report in reports)
    for count, probability in ((made, expected.key), (caught, expected.caught)):
        error = math.sqrt(runs * probability * (1.0 - probability))
        assert abs(count - runs * probability) <= 4.0 * error + 0.02 * runs


@given(
    protocol=st.sampled_from(["bb84", "bbm92", "e91"]),
    pulses=st.integers(1, 300_000),
    share=st.floats(0.0, 1.0),
    misalignment=st.floats(0.0, 0.5),
    efficiency=st.floats(0.01, 1.0),
    dark=st.floats(0.0, 0.5),
)
@settings(max_examples=40, deadline=None)
def test_odds_add_up_and_stay_probabilities(
    protocol: str, pulses: int, share: float, misalignment: float, efficiency: float, dark: float
) -> None:
    link = {"misalignment": misalignment, "efficiency": efficiency, "dark": dark}
    what = at(protocol, pulses, f"intercept-resend:{share!r}", **link)
    ended = odds(what)
    assert min(ended.caught, ended.withheld, ended.key) >= 0.0
    assert ended.caught + ended.withheld + ended.key == pytest.approx(1.0, abs=1e-9)
    assert 0.0 <= plain_caught(what) <= 1.0 + 1e-12


def exactly(pulses: int, q: float) -> float:
    """The plain rule by binomial coefficients: half the photons sifted, a fifth of these opened."""

    def law(n: int, p: float, k: int) -> float:
        return math.comb(n, k) * p**k * (1.0 - p) ** (n - k)

    total = 0.0
    for n in range(pulses + 1):
        k = 2 * round(0.2 * n / 2)
        wrong = range(-(-11 * k // 100), k + 1) if k else range(0)
        total += law(pulses, 0.5, n) * math.fsum(law(k, q, m) for m in wrong)
    return total


@pytest.mark.parametrize(
    ("share", "misalignment"), [(1.0, 0.0), (1.0, 0.02), (0.1, 0.0), (0.1, 0.02)]
)
def test_the_plain_rule_is_the_sum_of_binomial_coefficients(
    share: float, misalignment: float
) -> None:
    what = at("bb84", 512, f"intercept-resend:{share}", misalignment=misalignment)
    q = misalignment + (1.0 - 2.0 * misalignment) * share / 4.0
    assert plain_caught(what) == pytest.approx(exactly(512, q), rel=1e-6)


def test_512_photons_and_a_fixed_limit_let_a_full_eve_pass_and_hardly_see_a_small_one() -> None:
    def plain(share: float, misalignment: float) -> float:
        return plain_caught(at("bb84", 512, f"intercept-resend:{share}", misalignment=misalignment))

    assert 1.0 - plain(1.0, 0.0) == pytest.approx(0.0063, abs=2e-4)
    assert 1.0 - plain(1.0, 0.02) == pytest.approx(0.0041, abs=2e-4)
    assert plain(0.1, 0.0) == pytest.approx(0.002, abs=1e-3)
    assert plain(0.1, 0.02) == pytest.approx(0.024, abs=2e-3)


def test_a_block_too_small_is_never_decided_and_a_large_one_surely() -> None:
    for protocol in ("bb84", "bbm92", "e91"):
        for eve in ("none", "intercept-resend"):
            assert odds(at(protocol, 512, eve)).withheld == 1.0
        assert odds(at(protocol, 200_000, "none")).key > 0.999999
        assert odds(at(protocol, 200_000, "intercept-resend")).caught > 0.999999


def test_nothing_detected_is_nothing_decided() -> None:
    for protocol in ("bb84", "e91"):
        dark = at(protocol, 1000, "none", km=1000)
        assert odds(dark).withheld == pytest.approx(1.0)
        assert plain_caught(dark) == pytest.approx(0.0 if protocol == "bb84" else 1.0)


@pytest.mark.parametrize("pulses", [16_384, 65_536])
@pytest.mark.parametrize("misalignment", [0.01, 0.03, 0.06])
def test_the_fit_of_leaked_bits_is_near_our_cascade(pulses: int, misalignment: float) -> None:
    ratios = []
    for seed in range(6):
        what = at("bb84", pulses, "none", misalignment=misalignment, seed=seed)
        report = distilled(what).reports[Side.ALICE]
        assert report.qber is not None
        errors = np.array([report.qber * report.key_bits])
        ratios.append(report.leaked_bits / float(leak(report.key_bits, errors)[0]))
    assert abs(np.mean(ratios) - 1.0) < 0.05


@given(n=st.integers(0, 400), p=st.floats(0.0, 1.0))
@settings(max_examples=60)
def test_binomial_laws_are_binomial_coefficients(n: int, p: float) -> None:
    low, law = odds_module._binomial(n, p)
    for k in range(n + 1):
        exact = math.comb(n, k) * p**k * (1.0 - p) ** (n - k)
        found = law[k - low] if low <= k < low + law.size else 0.0
        assert found == pytest.approx(exact, rel=1e-9, abs=1e-12)
