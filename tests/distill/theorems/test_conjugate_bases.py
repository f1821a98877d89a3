"""BB84 of single photons and BBM92: edges, growth with the block, the limit, what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.base.bits import binary_entropy
from bellwire.distill.bounds import upper_rest
from bellwire.distill.errors import ParameterError
from bellwire.distill.theorems import tomamichel_2012 as bb84
from bellwire.distill.theorems import tomamichel_leverrier_2017 as bbm92
from bellwire.distill.theorems.peak import log_peak, peak

EPSILONS = {"secrecy": 1e-10, "correctness": 1e-12}


def test_a_sample_larger_than_the_key_is_limited_by_the_papers_deviation() -> None:
    for n, k, secrecy in ((1e4, 3e4, 1e-10), (10**5, 10**6, 1e-12), (200, 20_000, 1e-3)):
        mine = upper_rest(0.0, int(k), int(n), (secrecy / 4) ** 2)
        assert bb84.deviation(n, k, secrecy) == pytest.approx(mine, rel=1e-12)


@pytest.mark.parametrize("error", [0.0, 0.01, 0.05, 0.11])
def test_a_smaller_sample_is_never_worth_less_to_our_blocks_than_to_the_paper(
    error: float,
) -> None:
    for n, k, secrecy in ((1e4, 3e3, 1e-10), (10**6, 10**5, 1e-12), (10**7, 10**4, 1e-10)):
        mine = upper_rest(error, int(k), int(n), (secrecy / 4) ** 2)
        assert mine < error + bb84.deviation(n, k, secrecy)


@pytest.mark.parametrize("error", [0.0, 0.01, 0.05, 0.1])
def test_keys_of_endless_blocks_reach_the_asymptotic_rate(error: float) -> None:
    limit = bb84.asymptotic_rate(error)
    assert limit == pytest.approx(1 - 2 * binary_entropy(error))
    rates, pairs = [], []
    for size in (1e3, 1e5, 1e7, 1e10, 1e16):
        rates.append(bb84.best_split(size, error, efficiency=1.0, **EPSILONS)[1] / size)
        pairs.append(bbm92.best_split(size, error, efficiency=1.0, **EPSILONS)[1] / size)
    for found in (rates, pairs):
        assert found == sorted(found)
        assert 0.98 * limit < found[-1] <= limit
    assert rates[0] == pairs[0] == 0.0 or error == 0.0


@pytest.mark.parametrize("size", [0.0, 1.0, 10.0, 100.0])
def test_tiny_blocks_give_no_key(size: float) -> None:
    assert bb84.best_split(size, 0.0, efficiency=1.0, **EPSILONS)[1] == 0
    assert bbm92.best_split(size, 0.0, efficiency=1.0, **EPSILONS)[1] == 0


@pytest.mark.parametrize("error", [0.12, 0.25, 0.5])
def test_too_many_errors_give_no_key_at_any_size(error: float) -> None:
    assert bb84.asymptotic_rate(error) == 0.0
    assert bb84.best_split(1e12, error, efficiency=1.0, **EPSILONS)[1] == 0
    assert bbm92.best_split(1e12, error, efficiency=1.0, **EPSILONS)[1] == 0


def test_nothing_compared_proves_nothing() -> None:
    assert bb84.deviation(100, 0, 1e-10) == math.inf
    assert bb84.deviation(0, 100, 1e-10) == 0.0
    assert bb84.key_length(1e9, 0, 0.0, 0, **EPSILONS) == 0
    assert bb84.key_length(0, 1e9, 0.0, 0, **EPSILONS) == 0
    nothing = bbm92.Block(rounds=1e9, tested=0, tolerated=0, leaked_bits=0, hash_bits=40)
    assert bbm92.estimation_error(nothing, 0.1) == 1.0
    assert bbm92.best_length(nothing, 1e-10) == 0
    everything = bbm92.Block(rounds=1e9, tested=1e9, tolerated=0, leaked_bits=0, hash_bits=40)
    assert bbm92.best_length(everything, 1e-10) == 0


def test_a_poor_source_or_overlapping_bases_give_less() -> None:
    good = bb84.key_length(1e6, 1e6, 0.02, 0, **EPSILONS)
    assert bb84.key_length(1e6, 1e6, 0.02, 0, quality=0.9, **EPSILONS) == pytest.approx(
        good - 1e5, abs=1
    )
    block = {"rounds": 2e6, "tested": 1e6, "tolerated": 0.02, "leaked_bits": 0, "hash_bits": 40}
    apart = bbm92.key_length(bbm92.Block(**block), 0.01, 1e-11)
    near = bbm92.key_length(bbm92.Block(**block, overlap=2**-0.9), 0.01, 1e-11)
    assert near == pytest.approx(apart - 1e5, abs=1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    size=st.floats(4, 8).map(lambda x: 10.0**x),
    share=st.floats(0.05, 0.5),
    error=st.floats(0.0, 0.08),
)
def test_more_leak_more_errors_and_less_epsilon_all_cost_key(
    size: float, share: float, error: float
) -> None:
    n, k = bb84.split(size, share)
    base = bb84.key_length(n, k, error, 100, **EPSILONS)
    assert bb84.key_length(n, k, error, 200, **EPSILONS) in {max(0, base - 100), 0}
    assert bb84.key_length(n, k, error + 0.01, 100, **EPSILONS) <= base
    assert bb84.key_length(n, k, error, 100, secrecy=1e-12, correctness=1e-12) <= base
    block = {"rounds": size, "tested": share * size, "leaked_bits": 100, "hash_bits": 40}
    whole = bbm92.best_length(bbm92.Block(**block, tolerated=error), 1e-10)
    assert bbm92.best_length(bbm92.Block(**block, tolerated=error + 0.01), 1e-10) <= whole
    assert bbm92.best_length(bbm92.Block(**block, tolerated=error), 1e-14) <= whole


def test_the_best_split_is_better_than_its_neighbours() -> None:
    share, length = bb84.best_split(1e6, 0.02, efficiency=1.1, **EPSILONS)
    for other in (0.8 * share, 1.25 * share):
        n, k = bb84.split(1e6, other)
        leaked = 1.1 * n * binary_entropy(0.02)
        assert bb84.key_length(n, k, 0.02, leaked, **EPSILONS) < length


def test_the_error_of_a_length_and_the_length_of_an_error_are_inverse() -> None:
    block = bbm92.Block(rounds=1e6, tested=6e4, tolerated=0.01, leaked_bits=8e4, hash_bits=44)
    for amplification in (1e-13, 1e-11, 3e-11):
        length = bbm92.key_length(block, 0.02, amplification)
        back = bbm92.amplification_error(block, 0.02, length)
        assert amplification / math.sqrt(2) < back <= amplification * (1 + 1e-9)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"rounds": math.nan}, "rounds"),
        ({"tested": -1}, "tested"),
        ({"tested": 2e6}, "tested: expected at most"),
        ({"tolerated": 1.5}, "tolerated"),
        ({"leaked_bits": -1}, "leaked bits"),
        ({"hash_bits": math.inf}, "hash bits"),
        ({"overlap": 0.3}, "overlap"),
    ],
)
def test_a_block_that_cannot_be_is_refused_by_name(changed: dict[str, float], named: str) -> None:
    good = {"rounds": 1e6, "tested": 1e5, "tolerated": 0.02, "leaked_bits": 0, "hash_bits": 40}
    with pytest.raises(ParameterError, match=named):
        bbm92.Block(**{**good, **changed})


def test_other_arguments_that_cannot_be_are_refused() -> None:
    block = bbm92.Block(rounds=1e6, tested=1e5, tolerated=0.02, leaked_bits=0, hash_bits=40)
    with pytest.raises(ParameterError, match="amplification"):
        bbm92.key_length(block, 0.01, 0.6)
    with pytest.raises(ParameterError, match="slack"):
        bbm92.estimation_error(block, -0.1)
    with pytest.raises(ParameterError, match="secrecy"):
        bb84.key_length(100, 100, 0.1, 0, secrecy=0.1, correctness=1e-10)
    with pytest.raises(ParameterError, match="tolerated"):
        bb84.key_length(100, 100, -0.1, 0, **EPSILONS)
    with pytest.raises(ParameterError, match="error"):
        bb84.best_split(1e6, 0.6, efficiency=1.0, **EPSILONS)


def test_a_peak_is_found_wherever_it_is() -> None:
    for at in (0.0, 0.013, 0.5, 0.999, 1.0):

        def height(x: float, at: float = at) -> float:
            return -abs(x - at)

        assert peak(height, 0.0, 1.0) == pytest.approx(at, abs=1e-8)
    assert log_peak(lambda x: -((math.log(x) - 3.0) ** 2), 1e-9, 1e9) == pytest.approx(
        math.exp(3.0), rel=1e-6
    )
    assert peak(lambda _: 0.0, 0.25, 1.0) == 0.25
