"""Planes and lists of slots survive the wire in few bits, and nothing else is taken for one."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.announcements import plane_of
from tests.simulators.slots import decode_slots, encode_slots

from bellwire.base.bits import Bits, PackedBits, binary_entropy
from bellwire.distill.announcements import (
    decode_plane,
    deposit,
    encode_plane,
    select,
)
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.kernels import bitwise

FEW = settings(max_examples=60, derandomize=True, deadline=None)
SHARES = [0.0, 1e-5, 0.001, 0.05, 0.2, 0.37, 0.5, 0.7, 0.99, 1.0]


def plane(size: int, share: float, seed: int) -> Bits:
    return (np.random.default_rng(seed).random(size) < share).astype(np.uint8)


@FEW
@given(
    size=st.sampled_from([0, 1, 7, 8, 63, 64, 65, 300, 70_000]),
    share=st.sampled_from(SHARES),
    seed=st.integers(0, 9),
)
def test_a_plane_survives_the_wire_in_at_most_its_bits(size: int, share: float, seed: int) -> None:
    bits = plane(size, share, seed)
    data = encode_plane(PackedBits.of(bits))
    assert np.array_equal(decode_plane(data, size, "plane").unpack(), bits)
    assert len(data) <= 1 + (size + 7) // 8
    if size <= 300:
        assert plane_of(data, size) == bits.tolist()


@FEW
@given(
    pulses=st.sampled_from([1, 7, 8, 300, 70_000, 1 << 22]),
    share=st.sampled_from(SHARES),
    seed=st.integers(0, 9),
)
def test_a_list_of_slots_survives_the_wire(pulses: int, share: float, seed: int) -> None:
    slots = np.flatnonzero(plane(pulses, share, seed)).astype(np.int64)
    assert np.array_equal(decode_slots(encode_slots(slots, pulses), pulses), slots)


@pytest.mark.parametrize("share", [1e-4, 1e-3, 0.01, 0.1, 0.92])
def test_a_code_comes_near_to_shannons_limit(share: float) -> None:
    size = 2_000_000
    data = encode_plane(PackedBits.of(plane(size, share, 1)))
    limit = size * binary_entropy(share) / 8
    assert limit * 0.9 < len(data) < 1.05 * limit + 6


def test_three_settings_take_near_to_log_3_bits() -> None:
    settings = np.random.default_rng(4).integers(0, 3, 1_000_000, np.uint8)
    low, high = PackedBits.of(settings & np.uint8(1)), PackedBits.of(settings >> np.uint8(1))
    said = len(encode_plane(low)) + len(encode_plane(select(high, ~low)))
    assert 8 * said / settings.size < 1.06 * math.log2(3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\3abc",
        b"\xff",
        b"\0" + bytes(11),
        b"\0" + bytes(14),
        b"\0" + bytes(12) + b"\x80",
        b"\1",
        b"\1\1\0\0\0",
        b"\1\1\0\0\0\0",
        b"\1\0\0\0\0\0\0",
        b"\1\1\0\0\0\x20\1",
        b"\1\xff\xff\xff\xff\0" + bytes(40),
        b"\1\1\0\0\0\0" + bytes(13),
        b"\1\1\0\0\0\0" + bytes(12) + b"\x10",
        b"\1\1\0\0\0\x07\xc9",
        b"\1\2\0\0\0\1\xff\xff",
        b"\2\x65\0\0\0\0" + b"\xff" * 13,
    ],
)
def test_what_is_no_plane_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage, match="list of slots"):
        decode_slots(data, 100)


def test_thousands_of_random_messages_are_planes_or_malformed() -> None:
    rng = random.Random(6)
    forms = {0: 0, 1: 0, 2: 0}
    for _ in range(6_000):
        pulses = rng.choice([1, 9, 100, 5_000])
        form = rng.choice([0, 1, 2, rng.randrange(256)])
        header = bytes([rng.randrange(9), 0, 0, 0, rng.randrange(9)]) if form else b""
        length = rng.choice([1, 2, 8, (pulses + 7) // 8, 40])
        data = bytes([form]) + header + rng.randbytes(length)
        try:
            slots = decode_slots(data, pulses)
        except MalformedMessage:
            continue
        forms[form] += 1
        assert slots.dtype == np.int64
        assert (np.diff(slots) > 0).all()
        assert not slots.size or (slots[0] >= 0 and slots[-1] < pulses)
        if form == 0:
            assert plane_of(data, pulses) == decode_plane(data, pulses, "").unpack().tolist()
    assert forms[0]


@FEW
@given(size=st.integers(0, 400), share=st.sampled_from(SHARES), seed=st.integers(0, 9))
def test_what_is_selected_can_be_put_back(size: int, share: float, seed: int) -> None:
    bits, mask = plane(size, 0.5, seed), plane(size, share, seed + 1)
    packed, where = PackedBits.of(bits), PackedBits.of(mask)
    chosen = select(packed, where)
    assert np.array_equal(chosen.unpack(), bits[mask == 1])
    assert np.array_equal(deposit(chosen, where).words, (packed & where).words)


@FEW
@given(word=st.integers(0, 2**64 - 1), mask=st.integers(0, 2**64 - 1))
def test_bits_are_extracted_alike_with_and_without_the_instruction(word: int, mask: int) -> None:
    places = [i for i in range(64) if mask >> i & 1]
    wanted = sum((word >> place & 1) << i for i, place in enumerate(places))
    assert int(bitwise.extract_in_steps(np.uint64(word), np.uint64(mask))) == wanted
    one = PackedBits(np.array([word], np.uint64), 64)
    chosen = select(one, PackedBits(np.array([mask], np.uint64), 64))
    assert int.from_bytes(chosen.to_bytes(), "little") == wanted


def test_masks_and_planes_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="mask of 5 bits"):
        select(PackedBits.zeros(5), PackedBits.zeros(6))
    with pytest.raises(ValueError, match="mask of 5 ones"):
        deposit(PackedBits.zeros(5), PackedBits.zeros(6))
