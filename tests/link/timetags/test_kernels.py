"""The loops over tags equal their slow twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import time_tags as twin

from bellwire.link.kernels import tags

TIMES = st.lists(st.integers(0, 400), max_size=60).map(sorted)
SPREAD = st.lists(st.integers(0, 2_000), max_size=40, unique=True).map(sorted)


def array(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 10**18 - 1), st.integers(0, 999_999)), max_size=30),
    ending=st.sampled_from([b"\n", b"\r\n"]),
)
def test_text_is_read_as_its_twin_reads_it(rows: list[tuple[int, int]], ending: bytes) -> None:
    text = b"".join(b"%d,%d" % row + ending for row in rows)
    times, starts = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    channels = np.empty(len(rows), np.int32)
    read, how, _ = tags.parse_csv(np.frombuffer(text, np.uint8), times, channels, starts)
    assert (read, how) == (len(rows), tags.PARSED)
    got = list(zip(times.tolist(), channels.tolist(), starts.tolist(), strict=True))
    assert got == twin.parse_csv(text)


@settings(deadline=None)
@given(text=st.binary(max_size=40), spoilt=st.sampled_from([b"", b"1,2\n", b"12345,6\n"]))
def test_other_bytes_are_refused_where_the_twin_refuses(text: bytes, spoilt: bytes) -> None:
    whole = spoilt + text + b"\n"
    size = whole.count(b"\n")
    out = np.empty(size, np.int64), np.empty(size, np.int32), np.empty(size, np.int64)
    read, how, _ = tags.parse_csv(np.frombuffer(whole, np.uint8), *out)
    try:
        expected = [row[:2] for row in twin.parse_csv(whole)]
    except ValueError:
        assert how != tags.PARSED
    else:
        if how == tags.PARSED:
            got = zip(out[0][:read].tolist(), out[1][:read].tolist(), strict=True)
            assert list(got) == expected
        else:  # bytes.splitlines also ends lines at a lone carriage return
            assert b"\r" in whole


@settings(deadline=None)
@given(times=TIMES, window=st.integers(1, 50))
def test_events_begin_where_the_twin_says(times: list[int], window: int) -> None:
    starts = np.empty(len(times), np.int64)
    n = tags.group(array(times), window, starts)
    assert starts[:n].tolist() == twin.group(times, window)


@settings(deadline=None)
@given(alice=TIMES, bob=TIMES, low=st.integers(-60, 20), width=st.integers(0, 80))
def test_near_pairs_are_all_of_them(alice: list[int], bob: list[int], low: int, width: int) -> None:
    expected = twin.near(alice, bob, low, low + width)
    n = tags.count_near(array(alice), array(bob), low, low + width)
    assert n == len(expected)
    at, apart = np.empty(n, np.int64), np.empty(n, np.int64)
    tags.near(array(alice), array(bob), low, low + width, at, apart)
    assert list(zip(at.tolist(), apart.tolist(), strict=True)) == expected


@settings(deadline=None)
@given(alice=SPREAD, bob=SPREAD, half=st.integers(1, 60))
def test_coincidences_are_those_of_the_twin(alice: list[int], bob: list[int], half: int) -> None:
    size = min(len(alice), len(bob))
    first, second = np.empty(size, np.int64), np.empty(size, np.int64)
    n = tags.match(array(alice), array(bob), half, first, second)
    got = list(zip(first[:n].tolist(), second[:n].tolist(), strict=True))
    assert got == twin.match(alice, bob, half)


@settings(deadline=None)
@given(
    clicks=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 3)), max_size=60).map(sorted),
    dead=st.integers(0, 90),
    cut=st.integers(0, 60),
)
def test_dead_time_goes_on_over_a_cut(clicks: list[tuple[int, int]], dead: int, cut: int) -> None:
    times, who = array([t for t, _ in clicks]), np.array([d for _, d in clicks], np.int32)
    last = np.full(4, -(1 << 62), np.int64)
    kept = [
        *tags.live(times[:cut], who[:cut], dead, last),
        *tags.live(times[cut:], who[cut:], dead, last),
    ]
    assert kept == twin.live(times.tolist(), who.tolist(), dead)


@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.2])
def test_a_tilted_histogram_is_that_of_the_twin(slope: float) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-100, 100, 400), rng.uniform(-40, 40, 400)
    counts = np.zeros((2, 30), np.int64)
    tags.tilted(x, y, np.array([slope, 0.1]), -30.0, 2.0, counts)
    assert counts[0].tolist() == twin.tilted(x, y, slope, -30.0, 2.0, 30).tolist()
    assert counts[1].tolist() == twin.tilted(x, y, 0.1, -30.0, 2.0, 30).tolist()


@pytest.mark.parametrize(
    ("times", "before", "place"),
    [([1, 2, 2, 5], 0, -1), ([1, 2, 1], 0, 2), ([4], 5, 0), ([], 9, -1)],
)
def test_the_first_fall_is_found(times: list[int], before: int, place: int) -> None:
    assert tags.first_fall(array(times), before) == place


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=50), neighbours=st.integers(2, 20))
def test_the_rarest_count_is_that_of_the_twin(counts: list[int], neighbours: int) -> None:
    tail, place = tags.rarest(np.array(counts, np.float64), neighbours)
    expected, there = twin.rarest(counts, neighbours)
    assert tail == pytest.approx(expected, abs=1e-9)
    assert place == there or tail == pytest.approx(expected)


@settings(deadline=None)
@given(
    alice=TIMES,
    bob=TIMES,
    half=st.integers(1, 9),
    step=st.integers(20, 60),
    most=st.integers(1, 4),
)
def test_pairs_beside_the_window_are_those_of_the_twin(
    alice: list[int], bob: list[int], half: int, step: int, most: int
) -> None:
    count = tags.count_beside(array(alice), array(bob), half, step, most)
    assert count == twin.beside(alice, bob, half, step, most)
