"""The codes: their tables, checks and decoder are what the slow twins say; plans are sensible."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import ldpc as slow
from tools import ldpc_degrees

from bellwire.base.bits import PackedBits, binary_entropy
from bellwire.distill.kernels import ldpc as kernels
from bellwire.distill.ldpc_code import (
    ENSEMBLES,
    FEWEST_CHECKS,
    Plan,
    column_degrees,
    graph,
    plan,
)


def tables(chosen: Plan) -> list[list[slow.Entry]]:
    degrees = column_degrees(chosen.columns, chosen.rows, ENSEMBLES[chosen.ensemble].shares)
    return slow.table(degrees.tolist(), chosen.rows, chosen.width)


SMALL = [(11_000, 0.11), (17_500, 0.08), (19_100, 0.05), (40_000, 0.02)]


@pytest.fixture(scope="module", params=SMALL)
def small(request: pytest.FixtureRequest) -> tuple[Plan, list[list[slow.Entry]]]:
    chosen = plan(*request.param)
    assert chosen is not None
    return chosen, tables(chosen)


def test_a_table_is_what_its_slow_twin_makes(small: tuple[Plan, list[list[slow.Entry]]]) -> None:
    chosen, rows = small
    table = graph(chosen.width, chosen.columns, chosen.rows, chosen.ensemble)
    assert np.diff(table.ptr).tolist() == [len(row) for row in rows]
    flat = [entry for row in rows for entry in row]
    assert table.col.tolist() == [column for column, _ in flat]
    assert table.shift.tolist() == [shift for _, shift in flat]


@pytest.mark.parametrize(("size", "qber"), [*SMALL, (400_000, 0.01), (400_000, 0.02)])
def test_the_rows_announced_at_first_close_no_cycle_of_four(size: int, qber: float) -> None:
    chosen = plan(size, qber)
    assert chosen is not None
    table = graph(chosen.width, chosen.columns, chosen.rows, chosen.ensemble)
    seen: set[tuple[int, int, int]] = set()
    shifts = [
        dict(zip(table.col[a:b].tolist(), table.shift[a:b].tolist(), strict=True))
        for a, b in zip(table.ptr[: chosen.rows], table.ptr[1:], strict=False)
    ]
    for (r, one), (other, two) in combinations(enumerate(shifts), 2):
        for column in one.keys() & two.keys():
            cycle = (r, other, (one[column] - two[column]) % (64 * chosen.width))
            assert cycle not in seen
            seen.add(cycle)


@pytest.mark.parametrize("more", [0, 1, 4])
def test_parities_are_the_sums_of_the_bits_that_the_table_says(
    small: tuple[Plan, list[list[slow.Entry]]], more: int
) -> None:
    chosen, rows = small
    checks = chosen.checks + more
    table = graph(chosen.width, chosen.columns, chosen.rows, chosen.ensemble)
    bits = np.random.default_rng(more).integers(0, 2, 64 * chosen.columns * chosen.width, np.uint8)
    expected = PackedBits.of(slow.parities(rows, chosen.width, checks, bits)).words
    for first, count in ((0, checks), (1, 1), (chosen.width - 1, 3), (checks - 5, 5)):
        out = np.empty(count, np.uint64)
        kernels.syndrome(
            PackedBits.of(bits).words, chosen.width, table.ptr, table.col, table.shift, first, out
        )
        assert (out == expected[first : first + count]).all()


@pytest.mark.parametrize(("factor", "sweeps"), [(0.5, 40), (0.9, 12), (1.6, 6)])
@pytest.mark.parametrize("more", [0, 7])
def test_the_decoder_is_its_slow_twin_to_the_bit(
    small: tuple[Plan, list[list[slow.Entry]]], factor: float, sweeps: int, more: int
) -> None:
    chosen, rows = small
    checks = chosen.checks + more
    size = next(size for size, _ in SMALL if -(-size // 64) == chosen.words)
    qber = dict(SMALL)[size]
    table = graph(chosen.width, chosen.columns, chosen.rows, chosen.ensemble)
    errors = np.zeros(64 * chosen.columns * chosen.width, np.uint8)
    errors[:size] = np.random.default_rng(more).random(size) < factor * qber
    wanted = slow.parities(rows, chosen.width, checks, errors)
    prior = 11
    expected = slow.decode(rows, chosen.width, wanted, prior, size, sweeps, chosen.columns)
    beliefs = np.empty(64 * chosen.columns * (chosen.width + 1), np.int8)
    said = np.empty(64 * table.entries(checks, chosen.width), np.int8)
    found = np.zeros(chosen.columns * chosen.width, np.uint64)
    made = kernels.decode(
        chosen.width, table.ptr, table.col, table.shift, PackedBits.of(wanted).words,
        prior, size, sweeps, beliefs, said, found,
    )  # fmt: skip
    assert made == expected[0]
    stride = 64 * (chosen.width + 1)
    hard = (beliefs.reshape(-1, stride)[:, : 64 * chosen.width] < 0).astype(np.uint8)
    assert (hard.ravel() == expected[1]).all()
    if made:
        assert (found == PackedBits.of(errors).words).all()
    if factor != 0.9:
        assert (made > 0) == (factor < 1.0)


def test_a_shuffle_exchanges_from_the_end_as_the_numbers_say() -> None:
    words = np.random.default_rng(1).integers(0, 2**32, 99, np.uint32)
    items = np.arange(100, dtype=np.int32)
    kernels.shuffle(words, items)
    expected = list(range(100))
    for i, word in zip(range(99, 0, -1), words.tolist(), strict=True):
        j = word * (i + 1) >> 32
        expected[i], expected[j] = expected[j], expected[i]
    assert items.tolist() == expected


@pytest.mark.parametrize("size", [0, 1, 5, 300])
def test_turning_moves_every_bit_along_its_lane_and_back(size: int) -> None:
    rng = np.random.default_rng(size)
    numbers = rng.integers(0, 2**32, 64, np.uint32)
    words = rng.integers(0, 2**64, size, np.uint64)
    turned, again = np.empty_like(words), np.empty_like(words)
    kernels.turn(words, numbers, False, turned)
    lanes = PackedBits(words, 64 * size).unpack().reshape(size, 64)
    for b, number in enumerate(numbers.tolist()):
        lanes[:, b] = np.roll(lanes[:, b], -(number * size >> 32))
    assert (PackedBits(turned, 64 * size).unpack() == lanes.ravel()).all()
    kernels.turn(turned, numbers, True, again)
    assert (again == words).all()


# --- plans


@given(size=st.integers(0, 10**7), qber=st.floats(0.0, 1.0))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_plan_holds_the_key_and_leaves_some_of_it(size: int, qber: float) -> None:
    chosen = plan(size, qber)
    if chosen is None:
        return
    assert 64 * (chosen.words - 1) < size <= 64 * chosen.words
    longest = -(-chosen.words // chosen.frames)
    assert longest <= chosen.columns * chosen.width < longest + chosen.width
    assert FEWEST_CHECKS <= chosen.checks < longest
    assert 32 <= chosen.rows < 64
    assert chosen.checks <= chosen.rows * chosen.width < chosen.checks + chosen.width
    limit = binary_entropy(max(qber, 0.005))
    assert chosen.checks / longest > 1.05 * limit


@pytest.mark.parametrize("size", [0, 1, 63, 64, 1000, 5000])
@pytest.mark.parametrize("qber", [0.0, 0.01, 0.05, 0.11])
def test_keys_too_short_for_a_code_have_no_plan(size: int, qber: float) -> None:
    assert plan(size, qber) is None


def test_error_rates_above_the_highest_have_no_plan() -> None:
    assert plan(10**6, 0.12) is not None
    assert plan(10**6, 0.1201) is None


@pytest.mark.parametrize("qber", [-0.01, 1.01, float("nan")])
def test_a_rate_that_is_no_probability_is_refused(qber: float) -> None:
    with pytest.raises(ValueError, match="QBER"):
        plan(10**6, qber)


def test_columns_have_the_degrees_that_the_ensemble_asks_for() -> None:
    degrees = column_degrees(200, 40, ((24, 100), (8, 200), (2, 150))).tolist()
    assert degrees == [24] * 20 + [8] * 40 + [2] * 30 + [3] * 110
    few = column_degrees(200, 20, ((24, 100), (8, 200), (2, 150))).tolist()
    assert few == [20] * 20 + [8] * 40 + [2] * 18 + [3] * 122


@pytest.mark.parametrize("number", [6, 8, 10])
def test_very_long_frames_of_an_ensemble_decode_with_what_is_announced(number: int) -> None:
    ensemble = ENSEMBLES[number]
    qber = 0.97 * ensemble.highest_qber
    shares = {degree: share / 1000 for degree, share in ensemble.shares}
    degrees = {3: 1.0 - sum(shares.values()), **shares}
    rate = ensemble.threshold * binary_entropy(qber)
    prior = round(ensemble.units_per_nat * math.log((1.0 - qber) / qber))
    assert ldpc_degrees.sweeps(1.02 * rate, qber, max(8, prior), degrees, 120) is not None
    assert ldpc_degrees.sweeps(0.95 * rate, qber, max(8, prior), degrees, 120) is None
