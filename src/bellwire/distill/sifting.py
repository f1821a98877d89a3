"""What each common slot serves, by the announced settings: key, test, or nothing.

Everything is on packed bits: a plane of settings, or of outcomes, has a bit for each common slot.
"""

from dataclasses import dataclass

import numpy as np

from bellwire.base.angles import KEY_PAIRS
from bellwire.base.bits import PackedBits
from bellwire.base.detections import Protocol
from bellwire.crypto.stream import KeyStream
from bellwire.distill.announcements import select
from bellwire.distill.choices import Choices
from bellwire.distill.kernels import sifting as kernels

SHARE_BITS = 16
"""A share of slots is taken to the nearest of so many binary places."""

_GROUP_WORDS = 64
_GROUPS_AT_ONCE = 64

Cell = tuple[int, int]
"""Alice's setting and Bob's."""


@dataclass(frozen=True, slots=True, eq=False)
class Shade:
    """The common slots of one intensity of decoy states.

    Attributes:
        detected: How many, in whatever bases.
        key: How many of them become key.
        tested: Which bits of the test slots are of them.
    """

    detected: int
    key: int
    tested: PackedBits


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """One side's outcomes at the common slots, by what they serve.

    Attributes:
        key: Outcomes that stay secret and become key, part after part. Secret.
        parts: Bits of `key` per part (basis of BB84 and BBM92, key setting of E91).
        test: Outcomes that are opened: in BB84 and BBM92 those of basis 0, then of basis 1.
        tests: Bits of `test` per basis; (0, 0) in E91.
        cells: E91: for each pair of settings that is tested, which bits of `test` are of it.
        shades: Decoy states: the slots of each intensity, the signal's first.
    """

    key: PackedBits
    parts: tuple[int, int]
    test: PackedBits
    tests: tuple[int, int]
    cells: tuple[tuple[Cell, PackedBits], ...] = ()
    shades: tuple[Shade, Shade, Shade] | None = None


def sift(
    protocol: Protocol,
    settings: tuple[Choices, Choices],
    outcomes: PackedBits,
    sample_share: float,
    seed: bytes,
    *,
    rare: int | None = None,
    intensities: Choices | None = None,
) -> Sifted:
    """Divide this side's outcomes at the common slots by the settings of both, Alice's first.

    BB84 and BBM92 keep equal bases and test a random `sample_share` of each basis, drawn from the
    public `seed`. A `rare` basis, the other one being preferred, is tested whole: key comes from
    the preferred basis alone, and what the rare one shows limits Eve there. So it is of decoy
    states, whose `intensities` Alice said; nothing of their key's basis is tested. E91 keys on
    `KEY_PAIRS` and tests every other pair of settings. Unequal bases serve nothing.
    """
    alice, bob = settings
    if protocol.judged_on_chsh:
        return _by_settings(alice, bob, outcomes)
    if intensities is not None:
        assert rare is not None
        return _by_intensities(alice, bob, outcomes, rare, intensities)
    keys, tests = [], []
    for basis in (0, 1):
        sifted = select(outcomes, alice.equal(basis) & bob.equal(basis))
        if basis == rare:
            keys.append(PackedBits.zeros(0))
            tests.append(sifted)
            continue
        sample = draw(sifted.size, sample_share, seed, f"sample {basis}")
        keys.append(select(sifted, ~sample))
        tests.append(select(sifted, sample))
    return Sifted(
        PackedBits.join(keys),
        (keys[0].size, keys[1].size),
        PackedBits.join(tests),
        (tests[0].size, tests[1].size),
    )


def _by_settings(alice: Choices, bob: Choices, outcomes: PackedBits) -> Sifted:
    masks = {(a, b): alice.equal(a) & bob.equal(b) for a in range(3) for b in range(3)}
    first, second = (select(outcomes, masks[pair]) for pair in KEY_PAIRS)
    test = ~(masks[KEY_PAIRS[0]] | masks[KEY_PAIRS[1]])
    cells = tuple((pair, select(m, test)) for pair, m in masks.items() if pair not in KEY_PAIRS)
    return Sifted(
        PackedBits.join([first, second]),
        (first.size, second.size),
        select(outcomes, test),
        (0, 0),
        cells,
    )


def _by_intensities(
    alice: Choices, bob: Choices, outcomes: PackedBits, rare: int, intensities: Choices
) -> Sifted:
    basis = 1 - rare
    of_key = alice.equal(basis) & bob.equal(basis)
    of_test = alice.equal(rare) & bob.equal(rare)
    key, test = select(outcomes, of_key), select(outcomes, of_test)
    signal, decoy, vacuum = (
        Shade(where.count(), (where & of_key).count(), select(where, of_test))
        for where in (intensities.equal(k) for k in range(3))
    )
    sizes = (key.size, 0), (0, test.size)
    parts, tests = sizes if rare else (sizes[0][::-1], sizes[1][::-1])
    return Sifted(key, parts, test, tests, shades=(signal, decoy, vacuum))


def draw(count: int, share: float, seed: bytes, label: str) -> PackedBits:
    """A random subset of `count` places: each is in it with probability `share`, independently.

    Given how many it has, every subset is as likely. A place's word of `SHARE_BITS` bits lies
    across as many planes of its group's stretch of the stream; it is in the subset if the word is
    below the share. The stream is read a few groups at a time: memory that is new costs more than
    the bits in it.

    Args:
        count: Places.
        share: In [0, 1], taken to the nearest 2⁻¹⁶, but neither 0 nor 1.
        seed: 32 bytes; public.
        label: Of the stream.
    """
    limit = min(max(round(share * 2**SHARE_BITS), 1), 2**SHARE_BITS - 1)
    stream = KeyStream(seed, label)
    groups = -(-count // (64 * _GROUP_WORDS))
    below = np.empty((groups, _GROUP_WORDS), np.uint64)
    buffer = np.empty(min(groups, _GROUPS_AT_ONCE) * SHARE_BITS * _GROUP_WORDS, np.uint64)
    for first in range(0, groups, _GROUPS_AT_ONCE):
        part = below[first : first + _GROUPS_AT_ONCE]
        room = buffer[: SHARE_BITS * part.size]
        stream.into(8 * SHARE_BITS * _GROUP_WORDS * first, room.view(np.uint8))
        planes = room.astype("<u8", copy=False).reshape(-1, SHARE_BITS, _GROUP_WORDS)
        kernels.below(planes, limit, part)
    return PackedBits(below.ravel(), 64 * below.size).cut(0, count)
