"""A half is the same half, whether it comes as planes of bits or as a list of slots."""

import numpy as np
import pytest
from tests.simulators.blocks import opening, run
from tests.simulators.halves import halves

from bellwire.base.bits import PackedBits
from bellwire.base.detections import Detections, Half, Protocol, Side
from bellwire.distill.choices import Choices
from bellwire.distill.planes import Planes, PreparedPlanes, Registered
from bellwire.distill.verdict import Reason


def mask(slots: np.ndarray, pulses: int) -> PackedBits:
    plane = np.zeros(pulses, np.uint8)
    plane[slots] = 1
    return PackedBits.of(plane)


def planes(half: Half, protocol: Protocol, pulses: int) -> Planes:
    if half.received is None:
        found = half.at(np.arange(pulses))
        return PreparedPlanes(PackedBits.of(found.settings), PackedBits.of(found.outcomes))
    found = half.at(half.received)
    settings, outcomes = (
        Choices.of(found.settings, protocol.settings),
        PackedBits.of(found.outcomes),
    )
    return Registered(mask(half.received, pulses), settings, outcomes)


def lossy(half: Half, share: float, seed: int) -> Half:
    """What is left of a half whose detectors miss some."""
    if half.received is None:
        return half
    kept = np.random.default_rng(seed).random(half.received.size) < share
    found = half.at(half.received)
    return Detections(found.slots[kept], found.settings[kept], found.outcomes[kept])


@pytest.mark.parametrize("share", [1.0, 0.8])
@pytest.mark.parametrize("protocol", [Protocol.BB84, Protocol.BBM92, Protocol.E91])
def test_planes_and_lists_of_slots_make_the_same_block(protocol: Protocol, share: float) -> None:
    block = opening(protocol, 120_000)
    full = halves(protocol, block.pulses, np.random.default_rng(1))
    light = {side: lossy(half, share, n) for n, (side, half) in enumerate(full.items())}
    listed = run(block, light)
    assert listed.accepted
    for packed in (tuple(Side), (Side.ALICE,), (Side.BOB,)):
        mixed = {
            side: planes(half, protocol, block.pulses) if side in packed else half
            for side, half in light.items()
        }
        outcome = run(block, mixed)
        assert outcome.reports == listed.reports
        assert outcome.secrets == listed.secrets
        assert outcome.transcript == listed.transcript


@pytest.mark.parametrize("side", list(Side))
def test_planes_of_another_block_end_it(side: Side) -> None:
    block = opening(Protocol.BB84)
    light = halves(Protocol.BB84, block.pulses, np.random.default_rng(1))
    other = halves(Protocol.BB84, block.pulses + 64, np.random.default_rng(1))
    wrong = planes(other[side], Protocol.BB84, block.pulses + 64)
    outcome = run(block, {**light, side: wrong})
    assert outcome.reports[side].reason is Reason.LINK
    assert not outcome.secrets


def test_a_slot_that_was_not_registered_is_refused() -> None:
    half = Registered(
        PackedBits.of(np.array([1, 0, 1], np.uint8)),
        Choices.of(np.array([0, 1], np.uint8), 2),
        PackedBits.of(np.array([1, 1], np.uint8)),
    )
    with pytest.raises(KeyError):
        half.at(PackedBits.of(np.array([1, 1, 0], np.uint8)))
    prepared = PreparedPlanes(PackedBits.zeros(3), PackedBits.zeros(3))
    with pytest.raises(KeyError):
        prepared.at(PackedBits.zeros(4))


def test_halves_show_no_bit() -> None:
    bits = PackedBits.of(np.ones(9, np.uint8))
    assert repr(PreparedPlanes(bits, bits)) == "PreparedPlanes(9 slots)"
    half = Registered(bits, Choices.of(bits.unpack(), 2), bits)
    assert repr(half) == "Registered(9 detections)"
