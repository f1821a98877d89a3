"""Lists of slots survive the wire, and every common slot serves what the settings say."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.base.angles import KEY_PAIRS
from bellwire.base.detections import Protocol
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.sifting import assign, decode_slots, encode_slots

FEW = settings(max_examples=60, derandomize=True, deadline=None)
SEED = bytes(range(32))


@FEW
@given(
    pulses=st.sampled_from([1, 7, 8, 300, 70_000, 1 << 22]),
    share=st.sampled_from([0.0, 1e-5, 0.001, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 9),
)
def test_a_list_of_slots_survives_the_wire(pulses: int, share: float, seed: int) -> None:
    slots = np.flatnonzero(np.random.default_rng(seed).random(pulses) < share).astype(np.int64)
    data = encode_slots(slots, pulses)
    assert np.array_equal(decode_slots(data, pulses), slots)
    assert len(data) <= 1 + (pulses + 7) // 8


@pytest.mark.parametrize(("gap", "form"), [(200, 1), (60_000, 2), (1 << 20, 4)])
def test_the_gaps_take_the_bytes_they_need(gap: int, form: int) -> None:
    slots = np.array([0, gap], np.int64)
    data = encode_slots(slots, 1 << 26)
    assert data[0] == form
    assert np.array_equal(decode_slots(data, 1 << 26), slots)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\3abc",
        b"\xff",
        b"\0" + bytes(11),
        b"\0" + bytes(14),
        b"\0" + bytes(12) + b"\x80",
        b"\1" + bytes([99, 0]),
        b"\2\0",
        b"\4\0\0\0",
        b"\4\xff\xff\xff\xff",
        b"\1" + bytes(101),
    ],
)
def test_a_list_that_is_none_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage, match="list of slots"):
        decode_slots(data, 100)


def test_thousands_of_random_lists_are_slots_of_the_block_or_malformed() -> None:
    rng = random.Random(6)
    good = 0
    for _ in range(3_000):
        pulses = rng.choice([1, 9, 100, 5_000])
        data = bytes([rng.choice([0, 1, 2, 4, rng.randrange(256)])]) + rng.randbytes(
            rng.choice([0, 1, 2, 8, (pulses + 7) // 8, 40])
        )
        try:
            slots = decode_slots(data, pulses)
        except MalformedMessage:
            continue
        good += 1
        assert slots.dtype == np.int64
        assert (np.diff(slots) > 0).all()
        assert not slots.size or (slots[0] >= 0 and slots[-1] < pulses)
    assert good


def draw(protocol: Protocol, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    alice, bob = (rng.integers(0, protocol.settings, n).astype(np.uint8) for _ in range(2))
    return alice, bob


def test_e91_keys_on_equal_angles_and_tests_all_else() -> None:
    alice, bob = draw(Protocol.E91, 5_000)
    roles = assign(Protocol.E91, alice, bob, 0.2, SEED)
    assert sorted([*roles.key, *roles.test]) == list(range(5_000))
    at = 0
    for pair, size in zip(KEY_PAIRS, roles.parts, strict=True):
        part = roles.key[at : at + size]
        assert set(zip(alice[part].tolist(), bob[part].tolist(), strict=True)) == {pair}
        at += size
    used = {(int(a), int(b)) for a, b in zip(alice[roles.test], bob[roles.test], strict=True)}
    assert used.isdisjoint(KEY_PAIRS)


@pytest.mark.parametrize("protocol", [Protocol.BB84, Protocol.BBM92])
def test_equal_bases_are_kept_and_the_share_of_each_is_tested(protocol: Protocol) -> None:
    alice, bob = draw(protocol, 8_000)
    roles = assign(protocol, alice, bob, 0.25, SEED)
    assert (alice[roles.key] == bob[roles.key]).all()
    assert (alice[roles.test] == bob[roles.test]).all()
    assert set(roles.key.tolist()).isdisjoint(roles.test.tolist())
    assert roles.key.size + roles.test.size == int((alice == bob).sum())
    assert (alice[roles.key[: roles.parts[0]]] == 0).all()
    assert (alice[roles.key[roles.parts[0] :]] == 1).all()
    assert roles.test.size == pytest.approx(0.25 * int((alice == bob).sum()), abs=1)


@pytest.mark.parametrize("rare", [0, 1])
def test_a_rare_basis_is_tested_whole_and_gives_no_key(rare: int) -> None:
    alice, bob = draw(Protocol.BB84, 8_000)
    roles = assign(Protocol.BB84, alice, bob, 0.25, SEED, rare=rare)
    same = alice == bob
    assert (alice[roles.key] == 1 - rare).all()
    assert roles.parts[rare] == 0
    assert set(np.flatnonzero(same & (alice == rare))) <= set(roles.test.tolist())
    assert roles.key.size + roles.test.size == int(same.sum())
    preferred = int((same & (alice != rare)).sum())
    assert roles.key.size == pytest.approx(0.75 * preferred, abs=1)


def test_another_seed_tests_other_slots_and_the_same_seed_the_same() -> None:
    alice, bob = draw(Protocol.BB84, 8_000)
    one, again, other = (
        assign(Protocol.BB84, alice, bob, 0.25, seed).test for seed in (SEED, SEED, bytes(32))
    )
    assert np.array_equal(one, again)
    # A random quarter of a random quarter is common to both.
    assert np.intersect1d(one, other).size < 0.3 * one.size


def test_no_common_slots_give_empty_roles() -> None:
    nothing = np.zeros(0, np.uint8)
    for protocol in Protocol:
        roles = assign(protocol, nothing, nothing, 0.2, SEED)
        assert (roles.key.size, roles.test.size, sum(roles.parts)) == (0, 0, 0)
