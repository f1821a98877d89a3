"""The engine under every table: waits, look-ups, the compiled loops, the state between blocks."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bellwire.link.alias import alias_tables, both_tables
from bellwire.link.click_stream import ClickStream, Memory, State
from bellwire.link.errors import ParameterError
from bellwire.link.kernels import clicks as kernel

SEED = bytes(range(32))
LAW = np.array([0.03, 0.0, 0.05, 0.001, 0.0004, 0.02, 0.0, 0.01])
DARK = np.array([0.5, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0])
KINDS = [
    Memory(),
    Memory(dead_gates=5),
    Memory(dead_gates=5, common=False),
    Memory(3, True, 0.3, 4.0),
    Memory(3, False, 0.3, 4.0),
    Memory(0, False, 0.9, 2.0),
]


def stream(memory: Memory, law: NDArray[np.float64] = LAW) -> ClickStream:
    return ClickStream(law, DARK, memory, SEED, "test")


@given(
    weights=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=256).filter(lambda w: sum(w) > 1e-6)
)
@settings(max_examples=40)
def test_alias_tables_hold_every_weight_to_48_bits(weights: list[float]) -> None:
    threshold, codes = alias_tables(np.array(weights))
    beyond, below = codes.reshape(-1, 2).T
    held = np.zeros(256)
    np.add.at(held, below, threshold.astype(float))
    np.add.at(held, beyond, 2.0**40 - threshold.astype(float))
    share = np.array(weights) / math.fsum(weights)
    # One unit each; the likeliest takes what rounding left of all the others.
    assert np.abs(held[: len(weights)] * 2.0**-48 - share).max() <= (len(weights) + 1) * 2.0**-48
    assert held[: len(weights)].sum() == held.sum() == 2.0**48


@given(
    words=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50),
    p=st.floats(1e-12, 1.0 - 1e-9),
)
@settings(max_examples=60, deadline=None)
def test_waits_are_logarithms_rounded_down(words: list[int], p: float) -> None:
    array = np.array([0, 2**64 - 1, *words], np.uint64)
    gap = np.empty(array.size, np.int64)
    scale = 1.0 / math.log1p(-p)
    kernel.waits(array, scale, gap)
    for word, wait in zip(array.tolist(), gap.tolist(), strict=True):
        exact = math.log(((word >> 16) + 0.5) * 2.0**-48) * scale
        # Where the floor is ambiguous within rounding, either side of it will do.
        assert math.floor(exact * (1 - 1e-14)) <= wait <= math.floor(exact * (1 + 1e-14))


@pytest.mark.parametrize("memory", [Memory(), Memory(dead_gates=9)], ids=["live", "blind"])
@given(p=st.floats(1e-3, 0.9))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_gaps_between_clicks_are_geometric(memory: Memory, p: float) -> None:
    source = stream(memory, np.array([p]))
    clicks, _ = source.clicks(source.start(), math.ceil(20_000 * (1 / p + memory.dead_gates)))
    gaps = np.diff(clicks.gates) - 1 - memory.dead_gates
    assert gaps.min() >= 0
    bins = np.unique(np.floor(np.log(np.linspace(1.0, 1e-3, 40)) / math.log1p(-p)))
    edges = np.append(bins, np.inf)
    wanted = -np.diff((1 - p) ** edges) * gaps.size
    found = np.histogram(gaps, edges)[0]
    statistic = ((found - wanted) ** 2 / wanted).sum()
    assert statistic < wanted.size + 5 * math.sqrt(2 * wanted.size) + 5


def test_codes_follow_the_law_whatever_ties_the_look_up_meets() -> None:
    # Weights near multiples of the 16 bits that are looked at first make ties decide.
    law = np.array([1.0, 2.0**-16, 2.0**-18, 3.0 * 2.0**-17, 0.25])
    source = stream(Memory(), law * 0.7)
    clicks, state = source.clicks(source.start(), 3_000_000)
    found = np.bincount(clicks.codes, minlength=5)
    wanted = clicks.codes.size * law / law.sum()
    assert ((found - wanted) ** 2 / wanted).sum() < 4 + 5 * math.sqrt(8)
    assert list(state.tallies[:5]) == found.tolist()
    assert state.registers[kernel.RARE] > 0


@pytest.mark.parametrize("memory", KINDS)
def test_the_compiled_loops_equal_their_python_form(memory: Memory) -> None:
    random = np.random.default_rng(3)
    words = random.integers(0, 1 << 64, 600, dtype=np.uint64)
    rare = random.integers(0, 1 << 64, 900, dtype=np.uint64)
    gaps = random.geometric(0.2, 600) - 1
    edges, codes = both_tables(LAW, DARK)
    ends: list[Any] = []
    function: Any = kernel.strike if memory.forgets else kernel.advance
    for run in (function, function.py_func):
        at, what = np.zeros(1500, np.int64), np.zeros(1500, np.uint8)
        start = State.start(kernel.CODES + 2)
        registers, tallies = np.array(start.registers), np.array(start.tallies)
        streams = (registers, tallies, 2400, gaps, words, rare)
        if memory.forgets:
            done, n = run(*streams, edges[0], codes[0], memory.dead_gates, at, what)
        else:
            fill = 1 / math.log1p(-memory.afterpulse) if memory.afterpulse else 0.0
            detectors = (memory.dead_gates, memory.common, fill, -memory.afterpulse_gates)
            done, n = run(*streams, edges, codes, *detectors, at, what)
        ends.append((bool(done), n, registers.tolist(), tallies.tolist(), at[:n].tolist()))
        assert np.bincount(what[:n], minlength=256).tolist() == tallies[:256].tolist()
    assert ends[0] == ends[1]
    assert ends[0][1] > 150


@pytest.mark.parametrize("memory", KINDS)
@given(cuts=st.lists(st.integers(1, 15_000), max_size=5))
@settings(max_examples=10, deadline=None)
def test_clicks_in_pieces_are_those_of_one_run(memory: Memory, cuts: list[int]) -> None:
    source, whole = stream(memory), 90_000
    at_once, end = source.clicks(source.start(), whole)
    state, parts = source.start(), []
    for cut in [*cuts, whole - sum(cuts)]:
        part, state = stream(memory).clicks(State.from_json(state.to_json()), cut)
        parts.append(part)
    assert state == end == source.advance(source.start(), whole)
    assert np.array_equal(np.concatenate([part.gates for part in parts]), at_once.gates)
    assert np.array_equal(np.concatenate([part.codes for part in parts]), at_once.codes)
    assert at_once.gates.size == sum(end.tallies[: kernel.CODES])


BROKEN = [
    "",
    "{}",
    "[1, 2, 3]",
    "[" * 100_000,
    '["bellwire clicks 2", 0, [], []]',
    '["bellwire clicks 1", 0, [1], [1]]',
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_state_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="saved state"):
        State.from_json(text)


@pytest.mark.parametrize(
    ("place", "value"),
    [(1, -1), (1, 10**15 + 1), (1, 2.5), (1, True), (2, -5), (3, 2**63), (3, -1)],
)
def test_a_state_of_impossible_numbers_is_refused(place: int, value: float) -> None:
    source = stream(Memory())
    document = json.loads(source.start().to_json())
    if place == 1:
        document[1] = value
    else:
        document[place][0] = value
    with pytest.raises(ParameterError, match="saved state"):
        State.from_json(json.dumps(document))


def test_a_state_of_other_detectors_is_refused() -> None:
    one, other = stream(Memory()), stream(Memory(afterpulse=0.1))
    with pytest.raises(ParameterError, match="a state of 258 tallies, got 256"):
        other.advance(one.start(), 10)
