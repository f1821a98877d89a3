"""Reconciliation: keys become equal or the block fails, in step, at the stated price."""

import hashlib
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.cascade import COLOURS, SlowCascade, by_columns

from bellwire.base.bits import Bits, PackedBits, binary_entropy
from bellwire.bench.textbook import textbook_cascade
from bellwire.distill import cascade
from bellwire.distill import layout as layouts
from bellwire.distill.cascade import Cascade
from bellwire.distill.errors import MalformedMessage, ReconciliationFailed
from bellwire.distill.kernels.opening import SETS
from bellwire.distill.kernels.transposing import columns, rearrange, restore
from bellwire.distill.layout import Layout, layout

SEED = bytes(range(32))


def keys(n: int, qber: float, seed: int) -> tuple[Bits, Bits]:
    rng = np.random.default_rng(seed)
    alice: Bits = rng.integers(0, 2, n, np.uint8)
    errors: Bits = (rng.random(n) < qber).astype(np.uint8)
    return alice, alice ^ errors


def engines(
    alice: Bits,
    bob: Bits,
    estimate: float,
    seed: bytes = SEED,
) -> tuple[Cascade, Cascade]:
    return (
        Cascade(PackedBits.of(alice), (alice.size,), estimate, seed, corrects=False),
        Cascade(PackedBits.of(bob), (bob.size,), estimate, seed, corrects=True),
    )


def reconcile(a: Cascade, b: Cascade) -> int:
    """Run both to the end, checking every round that they are in step; return bytes sent."""
    from_a, from_b = a.first(), b.first()
    sent = 0
    while True:
        assert len(from_a) == len(from_b)
        assert (a.rounds, a.leaked_bits, a.errors) == (b.rounds, b.leaked_bits, b.errors)
        assert (a.finished, b.finished) == (False, False)
        sent += len(from_a)
        next_a, next_b = a.receive(from_b), b.receive(from_a)
        if next_a is None or next_b is None:
            break
        from_a, from_b = next_a, next_b
    assert (next_a, next_b) == (None, None)
    assert (a.finished, b.finished) == (True, True)
    assert (a.rounds, a.leaked_bits, a.errors) == (b.rounds, b.leaked_bits, b.errors)
    return sent


def with_errors(alice: Bits, positions: list[int]) -> Bits:
    bob = alice.copy()
    bob[positions] ^= 1
    return bob


# --- the keys become equal


@given(
    n=st.integers(0, 3000),
    qber=st.sampled_from([0.0, 0.005, 0.02, 0.05, 0.08, 0.15]),
    estimate=st.sampled_from([0.001, 0.01, 0.03, 0.11]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_keys_agree_and_both_sides_stay_in_step(
    n: int, qber: float, estimate: float, seed: int
) -> None:
    alice, bob = keys(n, qber, seed)
    public = hashlib.sha256(seed.to_bytes(8, "little")).digest()
    a, b = engines(alice, bob, estimate, public)
    reconcile(a, b)
    np.testing.assert_array_equal(a.corrected.unpack(), alice)
    np.testing.assert_array_equal(b.corrected.unpack(), alice)
    assert a.errors == (int((alice ^ bob).sum()),)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 63, 64, 65, 127, 128, 129, 1000, 4095, 4097])
@pytest.mark.parametrize("qber", [0.0, 0.03, 0.5, 1.0])
def test_any_length_and_any_error_rate_is_corrected(n: int, qber: float) -> None:
    alice, bob = keys(n, qber, seed=n)
    a, b = engines(alice, bob, 0.03)
    reconcile(a, b)
    np.testing.assert_array_equal(b.corrected.unpack(), alice)
    assert a.leaked_bits <= n


def test_keys_of_millions_of_bits_are_corrected() -> None:
    alice, bob = keys(3_000_001, 0.01, seed=5)
    a, b = engines(alice, bob, 0.01)
    reconcile(a, b)
    np.testing.assert_array_equal(b.corrected.unpack(), alice)


def test_bursts_cost_no_more_than_scattered_errors() -> None:
    alice, _ = keys(60_000, 0.0, seed=2)
    bursts = [start + i for start in range(0, 60_000, 200) for i in range(4)]
    a, b = engines(alice, with_errors(alice, bursts), 0.02)
    reconcile(a, b)
    np.testing.assert_array_equal(b.corrected.unpack(), alice)
    assert a.leaked_bits < 1.05 * 60_000 * binary_entropy(0.02)


@pytest.mark.parametrize("estimate", [0.0, 0.002, 0.02, 0.2, 1.0])
@pytest.mark.parametrize("qber", [0.0, 0.004, 0.09])
def test_a_wrong_estimate_costs_bits_or_rounds_but_not_the_key(
    estimate: float, qber: float
) -> None:
    alice, bob = keys(5000, qber, seed=8)
    a, b = engines(alice, bob, estimate)
    reconcile(a, b)
    np.testing.assert_array_equal(b.corrected.unpack(), alice)


def hidden_errors(n: int, estimate: float, *, same_colour: bool) -> tuple[Bits, list[int]]:
    """Four errors that share blocks two by two in both orders, so that neither order sees them."""
    alice, _ = keys(n, 0.0, seed=1)
    (frame,) = SlowCascade(alice, estimate, SEED, corrects=False).frames
    plan = layout(n, estimate)
    assert plan is not None
    place = {p: i for i, p in enumerate(frame.orders[1])}
    colour = {p: c for c in range(COLOURS) for p in frame.sets[c]}
    pairs: dict[tuple[int, int], tuple[int, int]] = {}
    for start in range(0, n, plan.first):
        for p, q in combinations(range(start, min(start + plan.first, n)), 2):
            one, other = place[p] // plan.second, place[q] // plan.second
            columns = min(one, other), max(one, other)
            assert columns[0] != columns[1]  # neighbours in the first order stand in one row
            if columns in pairs and (colour[p] == colour[q]) == same_colour:
                errors = [*pairs[columns], p, q]
                if {frame.first[p] for p in errors} <= set(range(n)):
                    return alice, [frame.first[p] for p in errors]
            if (colour[p] == colour[q]) == same_colour:
                pairs[columns] = p, q
    raise AssertionError("no such errors under this seed")


@pytest.mark.parametrize("same_colour", [False, True])
def test_errors_hidden_from_both_passes_are_found_by_colours_or_masks(same_colour: bool) -> None:
    alice, errors = hidden_errors(8192, 0.02, same_colour=same_colour)
    a, b = engines(alice, with_errors(alice, errors), 0.02)
    reconcile(a, b)
    assert a.rounds > 5
    assert a.errors == (4,)
    np.testing.assert_array_equal(b.corrected.unpack(), alice)


def test_an_independent_cascade_corrects_to_the_same_key_at_a_higher_price() -> None:
    alice, bob = keys(20_000, 0.03, seed=3)
    textbook = textbook_cascade(alice, bob, 0.03, seed=4)
    a, b = engines(alice, bob, 0.03)
    reconcile(a, b)
    np.testing.assert_array_equal(b.corrected.unpack(), textbook.corrected)
    assert a.leaked_bits < textbook.leaked_bits


def test_keys_that_are_equal_need_one_message() -> None:
    alice, _ = keys(10_000, 0.0, seed=1)
    a, b = engines(alice, alice, 0.02)
    reconcile(a, b)
    assert (a.rounds, a.errors) == (1, (0,))


def test_the_callers_key_is_neither_changed_nor_read_again() -> None:
    alice, bob = keys(500, 0.05, seed=6)
    before = bob.copy()
    a, b = engines(alice, bob, 0.05)
    reconcile(a, b)
    np.testing.assert_array_equal(bob, before)
    bob[:] = 0
    np.testing.assert_array_equal(b.corrected.unpack(), alice)


# --- at the stated price


@pytest.mark.parametrize(
    ("qber", "limit"), [(0.01, 1.05), (0.02, 1.05), (0.03, 1.05), (0.05, 1.07), (0.08, 1.09)]
)
def test_leak_stays_near_the_shannon_limit(qber: float, limit: float) -> None:
    leaked = needed = 0.0
    for seed in range(12):
        alice, bob = keys(40_000, qber, seed)
        a, b = engines(alice, bob, qber)
        reconcile(a, b)
        np.testing.assert_array_equal(b.corrected.unpack(), alice)
        leaked += a.leaked_bits
        needed += 40_000 * binary_entropy(sum(a.errors) / 40_000)
    assert 1.0 < leaked / needed <= limit


def test_no_block_of_hundreds_keeps_an_error() -> None:
    for seed in range(400):
        alice, bob = keys(4000, 0.04, seed)
        a, b = engines(alice, bob, 0.04, hashlib.sha256(bytes([seed % 256, 7])).digest())
        reconcile(a, b)
        np.testing.assert_array_equal(b.corrected.unpack(), alice)


def test_every_announced_parity_is_counted() -> None:
    alice, bob = keys(20_000, 0.02, seed=9)
    a, b = engines(alice, bob, 0.02)
    sent = reconcile(a, b)
    assert 8 * sent - 7 * a.rounds <= a.leaked_bits <= 8 * sent


def test_a_small_block_announces_every_bit_and_no_more() -> None:
    alice, bob = keys(40, 0.1, seed=9)
    a, b = engines(alice, bob, 0.1)
    reconcile(a, b)
    assert (a.leaked_bits, a.rounds) == (40, 1)


@pytest.mark.parametrize(
    ("qber", "plan"),
    [
        (0.0, Layout(7, 57344, 4096, 4096)),
        (0.01, Layout(7, 57344, 128, 256)),
        (0.02, Layout(7, 57216, 64, 128)),
        (0.03, Layout(7, 57216, 32, 128)),
        (0.05, Layout(7, 57152, 16, 64)),
        (0.08, Layout(7, 57152, 8, 64)),
        (0.11, Layout(7, 57152, 8, 64)),
        (0.25, Layout(7, 57152, 2, 64)),
    ],
)
def test_block_sizes_follow_the_error_rate(qber: float, plan: Layout) -> None:
    assert layout(400_000, qber) == plan


@given(size=st.integers(1, 1 << 27), qber=st.floats(0, 1))
@settings(derandomize=True)
def test_a_layout_has_room_for_the_key_and_little_more(size: int, qber: float) -> None:
    plan = layout(size, qber)
    if plan is None:
        return
    assert plan.frame <= 1 << 16
    assert plan.frame % 64 == plan.frame % plan.first == plan.frame % plan.second == 0
    assert 0 <= plan.frames * plan.frame - size < plan.frames * max(64, plan.first, plan.second)
    assert plan.opening < size


# --- the twin


@given(
    n=st.integers(0, 700),
    qber=st.sampled_from([0.0, 0.01, 0.04, 0.1, 0.3]),
    estimate=st.sampled_from([0.005, 0.02, 0.06]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_every_message_equals_the_slow_twins(
    n: int, qber: float, estimate: float, seed: int
) -> None:
    alice, bob = keys(n, qber, seed)
    check_against_the_twin(alice, bob, estimate, hashlib.sha256(seed.to_bytes(8, "big")).digest())


@pytest.mark.parametrize(
    ("n", "qber"), [(6000, 0.004), (5000, 0.01), (5000, 0.02), (4000, 0.04), (4000, 0.07)]
)
def test_every_message_of_many_frames_equals_the_slow_twins(
    n: int, qber: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "FRAME_BITS", 256)
    plan = layout(n, qber)
    assert plan is not None
    assert plan.frames > 15
    alice, bob = keys(n, qber, seed=n)
    check_against_the_twin(alice, bob, qber, SEED)


def check_against_the_twin(alice: Bits, bob: Bits, estimate: float, public: bytes) -> None:
    a, b = engines(alice, bob, estimate, public)
    twin_a = SlowCascade(alice, estimate, public, corrects=False)
    twin_b = SlowCascade(bob, estimate, public, corrects=True)
    ours: tuple[bytes | None, bytes | None] = a.first(), b.first()
    theirs: tuple[bytes | None, bytes | None] = twin_a.first(), twin_b.first()
    while ours[0] is not None and ours[1] is not None:
        assert ours == theirs
        assert theirs[0] is not None
        assert theirs[1] is not None
        ours = a.receive(ours[1]), b.receive(ours[0])
        theirs = twin_a.receive(theirs[1]), twin_b.receive(theirs[0])
    assert ours == theirs == (None, None)
    assert b.corrected.unpack().tolist() == twin_b.corrected
    assert (a.rounds, a.errors) == (twin_a.rounds, (len(twin_a.errors),))
    assert a.leaked_bits == twin_a.leaked


@pytest.mark.parametrize(
    ("n", "rows"),
    [(64, 64), (128, 64), (192, 64), (4096, 64), (8192, 128), (10240, 256), (41024, 64)],
)
def test_an_order_is_read_column_by_column(n: int, rows: int) -> None:
    rng = np.random.default_rng(n)
    frames, width = 3, n // rows
    bits = rng.integers(0, 2, frames * n, np.uint8)
    turns = rng.integers(0, width, rows, np.uint32)
    y = np.empty(frames * n // 64, np.uint64)
    x = np.append(PackedBits.of(bits).words, np.uint64(2**64 - 1))
    rearrange(x, n, rows, turns, y)
    order = by_columns(n, rows, turns.tolist())
    expected = np.concatenate([bits[f * n : (f + 1) * n][order] for f in range(frames)])
    np.testing.assert_array_equal(PackedBits(y, frames * n).unpack(), expected)
    back = np.zeros_like(x)
    restore(y, n, rows, turns, back)
    np.testing.assert_array_equal(back[:-1], x[:-1])


@pytest.mark.parametrize("words", [1, 8, 11])
def test_places_know_their_sets(words: int) -> None:
    rng = np.random.default_rng(3)
    planes = rng.integers(0, 2**64, (SETS, words), np.uint64)
    members = np.empty(64 * words, np.uint32)
    columns(planes.ravel(), SETS, members)
    for p in range(members.size):
        expected = [int(plane[p // 64]) >> p % 64 & 1 for plane in planes]
        assert [int(members[p]) >> s & 1 for s in range(SETS)] == expected


# --- hostile and broken peers


def mask_padding(data: bytes, bits: int) -> bytes:
    return (int.from_bytes(data, "little") & ((1 << bits) - 1)).to_bytes(len(data), "little")


@pytest.mark.parametrize("n", [0, 1, 64, 65, 100, 777, 4000])
@pytest.mark.parametrize("corrects", [False, True])
@pytest.mark.parametrize("peer", ["random", "zeros", "ones", "opposite"])
def test_whatever_the_peer_sends_the_engine_ends_within_its_budget(
    n: int, corrects: bool, peer: str
) -> None:
    alice, _ = keys(n, 0.0, seed=1)
    plan = layout(n, 0.02)
    for seed in range(12):
        engine = Cascade(PackedBits.of(alice), (alice.size,), 0.02, SEED, corrects=corrects)
        rng = np.random.default_rng(seed)
        ours: bytes | None = engine.first()
        try:
            while ours is not None:
                count = engine._ours.size
                reply = {
                    "random": rng.bytes(len(ours)),
                    "zeros": bytes(len(ours)),
                    "ones": b"\xff" * len(ours),
                    "opposite": bytes(b ^ 0xFF for b in ours),
                }[peer]
                ours = engine.receive(mask_padding(reply, count))
        except ReconciliationFailed:
            assert not engine.finished
        assert engine.leaked_bits <= n
        assert engine.rounds <= (1 if plan is None else plan.max_rounds + 1)
        assert sum(engine.errors) <= n


def test_parities_that_contradict_each_other_end_the_block() -> None:
    alice, _ = keys(600, 0.0, seed=1)
    failed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        engine = Cascade(PackedBits.of(alice), (alice.size,), 0.02, SEED, corrects=True)
        ours: bytes | None = engine.first()
        try:
            while ours is not None:
                ours = engine.receive(mask_padding(rng.bytes(len(ours)), engine._ours.size))
        except ReconciliationFailed:
            failed += 1
            with pytest.raises(ReconciliationFailed):
                engine.receive(bytes(1))
            with pytest.raises(ValueError, match="not finished"):
                _ = engine.corrected
    assert failed


# --- the budget of a frame


def frame_of_errors(plan: Layout, frame: int, share: float) -> Bits:
    """Errors in a share of one frame's bits, 1 % of all others."""
    rng = np.random.default_rng(frame)
    rate = np.full(plan.frames * plan.frame, 0.01)
    rate[frame * plan.frame : (frame + 1) * plan.frame] = share
    return (rng.random(rate.size) < rate).astype(np.uint8)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_hopeless_frame_costs_its_own_bits_and_no_other_frames(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "FRAME_BITS", 2048)
    plan = layout(20_480, 0.02)
    assert plan is not None
    n, hopeless = plan.frames * plan.frame, 3
    alice, _ = keys(n, 0.0, seed=4)
    leaked = []
    for rate in (share, 0.0):
        bob = alice ^ frame_of_errors(plan, hopeless, rate)
        a, b = engines(alice, bob, 0.02)
        reconcile(a, b)
        np.testing.assert_array_equal(b.corrected.unpack(), alice)
        assert a.errors == (int((alice ^ bob).sum()),)
        leaked.append(a.leaked_bits)
    assert leaked[0] - leaked[1] == plan.frame - plan.opening // plan.frames


@pytest.mark.parametrize("short", [0, 1])
def test_a_frame_is_told_bit_by_bit_exactly_after_its_last_round(
    short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = keys(5000, 0.02, seed=2)
    a, b = engines(alice, bob, 0.02)
    reconcile(a, b)
    usual = a.rounds, a.leaked_bits
    monkeypatch.setattr(Layout, "max_rounds", usual[0] - short)
    a, b = engines(alice, bob, 0.02)
    reconcile(a, b)
    np.testing.assert_array_equal(b.corrected.unpack(), alice)
    assert (a.rounds, a.leaked_bits) == ((usual[0], 5000) if short else usual)


@pytest.mark.parametrize("n", [300, 5000, 70_001])
def test_keys_that_never_agree_are_told_once_and_counted_once(n: int) -> None:
    alice, bob = keys(n, 0.5, seed=3)
    plan = layout(n, 0.02)
    assert plan is not None
    a, b = engines(alice, bob, 0.02)
    sent = reconcile(a, b)
    np.testing.assert_array_equal(b.corrected.unpack(), alice)
    assert a.leaked_bits == n
    assert a.rounds <= plan.max_rounds + 1
    assert 8 * sent <= 2 * plan.frames * plan.frame + 7 * a.rounds


@given(
    n=st.integers(100, 1500),
    qber=st.sampled_from([0.02, 0.1, 0.3, 0.5]),
    rounds=st.integers(1, 60),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_frames_beyond_their_budget_are_told_as_the_slow_twin_tells_them(
    n: int, qber: float, rounds: int, seed: int
) -> None:
    alice, bob = keys(n, qber, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "FRAME_BITS", 256)
        patch.setattr(Layout, "max_rounds", rounds)
        check_against_the_twin(alice, bob, 0.02, hashlib.sha256(seed.to_bytes(8, "big")).digest())


def test_bits_told_that_contradict_what_was_found_end_both_sides_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice, bob = keys(5000, 0.02, seed=2)
    monkeypatch.setattr(Layout, "max_rounds", 30)
    a, b = engines(alice, bob, 0.02)
    from_a, from_b = a.first(), b.first()
    while a.rounds <= 30:
        next_a, next_b = a.receive(from_b), b.receive(from_a)
        assert next_a is not None
        assert next_b is not None
        from_a, from_b = next_a, next_b
    assert a._ours.size == b._ours.size >= 5000
    assert sum(a.errors) > 0
    with pytest.raises(ReconciliationFailed, match="found twice"):
        a.receive(bytes(x ^ 0xFF for x in from_a))
    with pytest.raises(ReconciliationFailed, match="found twice"):
        b.receive(bytes(x ^ 0xFF for x in from_b))


def test_a_lie_told_of_a_place_behind_the_key_ends_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice, bob = keys(5001, 0.02, seed=2)
    monkeypatch.setattr(Layout, "max_rounds", 1)
    a, b = engines(alice, bob, 0.02)
    opened = a.first(), b.first()
    assert a.receive(opened[1]) is not None
    from_b = b.receive(opened[0])
    assert from_b is not None
    assert b._ours.size > 5001
    with pytest.raises(ReconciliationFailed, match="without a bit"):
        b.receive(bytes(x ^ 0xFF for x in from_b))


def test_a_last_frame_of_one_bit_leaks_one_bit() -> None:
    n = 15 * 65_536 + 1
    plan = layout(n, 0.0)
    assert plan is not None
    assert n - (plan.frames - 1) * plan.frame == 1
    alice, _ = keys(n, 0.0, seed=1)
    a, b = engines(alice, alice, 0.0)
    reconcile(a, b)
    assert a.leaked_bits == plan.opening // 16 * 15 + 1


@pytest.mark.parametrize("spoil", ["empty", "truncated", "overlong", "padded"])
def test_a_malformed_message_is_refused_and_changes_nothing(spoil: str) -> None:
    alice, bob = keys(5001, 0.03, seed=2)
    a, b = engines(alice, bob, 0.03)
    from_a, from_b = a.first(), b.first()
    spoilt = 0
    while True:
        padding = 8 * len(from_b) - b._ours.size
        bad = {
            "empty": b"",
            "truncated": from_b[:-1],
            "overlong": from_b + b"\0",
            "padded": from_b[:-1] + bytes([from_b[-1] | 0x80]),
        }[spoil]
        if spoil != "padded" or padding:
            spoilt += 1
            with pytest.raises(MalformedMessage):
                a.receive(bad)
        next_a, next_b = a.receive(from_b), b.receive(from_a)
        if next_a is None or next_b is None:
            break
        from_a, from_b = next_a, next_b
    assert spoilt > 2
    np.testing.assert_array_equal(b.corrected.unpack(), alice)


def test_a_message_after_the_end_is_refused() -> None:
    alice, bob = keys(200, 0.03, seed=2)
    a, b = engines(alice, bob, 0.03)
    reconcile(a, b)
    with pytest.raises(MalformedMessage):
        a.receive(b"")


def test_different_public_seeds_leave_different_keys_or_fail_but_never_crash() -> None:
    alice, bob = keys(3000, 0.02, seed=2)
    a = Cascade(PackedBits.of(alice), (alice.size,), 0.02, SEED, corrects=False)
    b = Cascade(PackedBits.of(bob), (bob.size,), 0.02, bytes(32), corrects=True)
    with pytest.raises((ReconciliationFailed, MalformedMessage)):
        reconcile_loosely(a, b)


def reconcile_loosely(a: Cascade, b: Cascade) -> None:
    from_a, from_b = a.first(), b.first()
    while True:
        next_a, next_b = a.receive(from_b), b.receive(from_a)
        if next_a is None or next_b is None:
            return
        from_a, from_b = next_a, next_b


# --- our own misuse


def test_the_order_of_calls_is_held() -> None:
    alice, _ = keys(200, 0.03, seed=2)
    engine = Cascade(PackedBits.of(alice), (alice.size,), 0.02, SEED, corrects=True)
    with pytest.raises(ValueError, match="opening"):
        engine.receive(b"")
    with pytest.raises(ValueError, match="not finished"):
        _ = engine.corrected
    engine.first()
    with pytest.raises(ValueError, match="made already"):
        engine.first()


@pytest.mark.parametrize("qber", [-0.1, 1.1, float("nan"), float("inf")])
def test_an_estimate_that_is_no_probability_is_refused(qber: float) -> None:
    with pytest.raises(ValueError, match="QBER"):
        Cascade(PackedBits.zeros(8), (8,), qber, SEED, corrects=True)


def test_a_key_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "MAX_BITS", 100)
    with pytest.raises(ValueError, match="at most 100"):
        Cascade(PackedBits.zeros(101), (101,), 0.02, SEED, corrects=True)


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Cascade(PackedBits.zeros(8), (8,), 0.02, b"short", corrects=True)


def test_the_repr_shows_no_bit() -> None:
    engine = Cascade(~PackedBits.zeros(8), (8,), 0.02, SEED, corrects=True)
    assert repr(engine) == "Cascade(8 bits, round 0, 0 leaked)"


def test_after_warming_a_block_finds_every_kernel_ready() -> None:
    program = """
import numpy as np
from bellwire.base.bits import PackedBits
from bellwire.distill.cascade import Cascade, warm
from bellwire.distill.kernels.cascade import advance
from bellwire.distill.kernels.opening import opening
from bellwire.distill.kernels.transposing import columns, rearrange, restore

def ready():
    return [len(k.signatures) for k in (advance, opening, columns, rearrange, restore)]

warm()
before = ready()
assert all(before), before
rng = np.random.default_rng(1)
alice = rng.integers(0, 2, 50_000, np.uint8)
bob = alice ^ (rng.random(alice.size) < 0.03).astype(np.uint8)
a, b = (
    Cascade(PackedBits.of(k), (k.size,), 0.03, bytes(32), corrects=c)
    for k, c in ((alice, False), (bob, True))
)
to_b, to_a = a.first(), b.first()
while to_b is not None:
    to_b, to_a = a.receive(to_a), b.receive(to_b)
assert (a.corrected.words == b.corrected.words).all()
assert ready() == before, (before, ready())
"""
    subprocess.run([sys.executable, "-c", program], check=True)
