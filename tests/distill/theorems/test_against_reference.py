"""Every theorem equals its formula evaluated apart, with 60 digits."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import decoy_bounds as channels
from tests.reference import theorems as reference

from bellwire.distill.theorems import (
    acin_2007,
    arnon_friedman_2018,
    dupuis_fawzi_2019,
    lim_2014,
    rusca_2018,
    tomamichel_2012,
    tomamichel_leverrier_2017,
)

SECRECY, CORRECTNESS = 1e-10, 1e-12
MANY = settings(max_examples=60, deadline=None, derandomize=True)
EPSILONS = st.floats(-20, -3).map(lambda x: min(1e-3, max(1e-20, 10.0**x)))


def cut(value: object) -> int:
    return max(0, math.floor(float(str(value))))


def sizes(low: float, high: float) -> st.SearchStrategy[int]:
    return st.floats(low, high).map(lambda x: round(10.0**x))


@MANY
@given(n=sizes(2, 9), k=sizes(2, 9), error=st.floats(0.0, 0.11), secrecy=EPSILONS, cor=EPSILONS)
def test_tomamichel_2012(n: int, k: int, error: float, secrecy: float, cor: float) -> None:
    leaked = round(0.1 * n)
    found = tomamichel_2012.key_length(n, k, error, leaked, secrecy=secrecy, correctness=cor)
    if error + tomamichel_2012.deviation(n, k, secrecy) >= 0.5:
        assert found == 0
    else:
        wanted = reference.tomamichel_2012(n, k, error, leaked, secrecy, cor)
        assert abs(found - cut(wanted)) <= 1


@MANY
@given(
    m=sizes(3, 8),
    share=st.floats(0.01, 0.5),
    delta=st.floats(0.0, 0.1),
    nu=st.floats(0.001, 0.3),
    length=sizes(0, 6),
)
def test_tomamichel_leverrier_2017(
    m: int, share: float, delta: float, nu: float, length: int
) -> None:
    k, leaked, tag = round(share * m), round(0.3 * m), 40
    block = tomamichel_leverrier_2017.Block(
        rounds=m, tested=k, tolerated=delta, leaked_bits=leaked, hash_bits=tag
    )
    parts = (
        tomamichel_leverrier_2017.estimation_error(block, nu),
        tomamichel_leverrier_2017.amplification_error(block, nu, length),
        2.0**-tag,
    )
    wanted = (
        float(reference.tomamichel_leverrier_2017(m, k, delta, nu, leaked, tag, length))
        if block.entropy(nu) > length - 1000
        else math.inf
    )
    if max(parts) < 1.0:
        assert sum(parts) == pytest.approx(wanted, rel=1e-8)
    else:
        assert wanted >= 1.0


@MANY
@given(
    n=st.floats(5, 14).map(lambda x: 10.0**x),
    share=st.floats(0.001, 0.5),
    won=st.floats(0.76, 0.853),
    at=st.floats(0.76, 0.853),
    over_one=st.floats(-9, -1).map(lambda x: 10.0**x),
)
def test_arnon_friedman_2018_and_the_accumulated_entropy(
    n: float, share: float, won: float, at: float, over_one: float
) -> None:
    value, slope = arnon_friedman_2018.tangent(won, at)
    most = arnon_friedman_2018.QUANTUM_SCORE
    tradeoff = dupuis_fawzi_2019.Tradeoff(value, slope * most, slope**2 * most / share, 4)
    found = dupuis_fawzi_2019.accumulated_at(n, tradeoff, SECRECY / 4, SECRECY, over_one)
    found -= 2 * math.log2(1 / SECRECY) + math.log2(2 / CORRECTNESS)
    wanted = float(
        reference.arnon_friedman_2018(n, share, won, 0, 0, SECRECY, CORRECTNESS, at, over_one)
    )
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9 * n)
    whole = arnon_friedman_2018.key_length(
        n, share, won, 0.0, 0.0, secrecy=SECRECY, correctness=CORRECTNESS
    )
    # The search finds a tangent and an α at least as good as any, but for rounding of its steps.
    assert whole >= 0.995 * wanted - 1e-4 * n


@MANY
@given(qber=st.floats(0.001, 0.5), chsh=st.floats(2.0001, 2 * math.sqrt(2) - 1e-6))
def test_acin_2007(qber: float, chsh: float) -> None:
    wanted = max(0.0, float(reference.acin_2007(qber, chsh)))
    assert acin_2007.key_fraction(qber, chsh) == pytest.approx(wanted, abs=1e-12)


def pair(values: list[float]) -> tuple[float, float]:
    return values[0], values[1]


def triple(values: list[float]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]


@pytest.mark.parametrize("pulses", [1e9, 1e11, 1e13])
@pytest.mark.parametrize("q", [0.6, 0.9])
def test_lim_2014(pulses: float, q: float) -> None:
    means, shares = (0.45, 0.2, 2e-4), (0.5, 0.35, 0.15)
    key, _, _, _ = channels.channel(means, shares, pulses * q * q, 0.01, 1e-6, 0.01)
    tested, errors, _, _ = channels.channel(means, shares, pulses * (1 - q) ** 2, 0.01, 1e-6, 0.01)
    counts = lim_2014.DecoyCounts(
        means=means, shares=shares, key=triple(key), tested=triple(tested), errors=triple(errors)
    )
    found = lim_2014.decoy_key(counts, 1234.5, SECRECY, CORRECTNESS)
    assert found.bits > 0
    wanted = reference.lim_2014(
        *means, *shares, *key, *tested, *errors, 1234.5, SECRECY, CORRECTNESS
    )
    assert found.bits == pytest.approx(float(wanted), rel=1e-10)


@pytest.mark.parametrize("pulses", [1e9, 1e11, 1e13])
@pytest.mark.parametrize("q", [0.6, 0.9])
def test_rusca_2018(pulses: float, q: float) -> None:
    means, shares = (0.45, 0.15), (0.7, 0.3)
    key, wrong, _, _ = channels.channel(means, shares, pulses * q * q, 0.01, 1e-6, 0.01)
    tested, errors, _, _ = channels.channel(means, shares, pulses * (1 - q) ** 2, 0.01, 1e-6, 0.01)
    counts = rusca_2018.OneDecoyCounts(
        means=means,
        shares=shares,
        key=pair(key),
        key_errors=pair(wrong),
        tested=pair(tested),
        errors=pair(errors),
    )
    found = rusca_2018.one_decoy_key(counts, 1234.5, SECRECY, CORRECTNESS)
    assert found.bits > 0
    wanted = reference.rusca_2018(
        *means, *shares, *key, *wrong, *tested, *errors, 1234.5, SECRECY, CORRECTNESS
    )
    assert found.bits == pytest.approx(float(wanted), rel=1e-10)
