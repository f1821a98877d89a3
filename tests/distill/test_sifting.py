"""Every common slot serves what the settings say, and the sample is a random one."""

import numpy as np
import pytest
from tests.reference.sampling import sample_of

from bellwire.base.angles import KEY_PAIRS
from bellwire.base.bits import Bits, PackedBits
from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.distill.choices import Choices
from bellwire.distill.sifting import Sifted, draw, sift

SEED = bytes(range(32))
N = 8_000


def drawn(protocol: Protocol) -> tuple[Bits, Bits, Bits]:
    """Both sides' settings, and an outcome."""
    rng = np.random.default_rng(2)
    alice, bob = (rng.integers(0, protocol.settings, N).astype(np.uint8) for _ in range(2))
    return alice, bob, rng.integers(0, 2, N).astype(np.uint8)


def choices(settings: Bits, protocol: Protocol) -> Choices:
    high = PackedBits.of(settings >> np.uint8(1)) if protocol is Protocol.E91 else None
    return Choices(PackedBits.of(settings & np.uint8(1)), high)


def sifted(
    protocol: Protocol, outcomes: Bits | None = None, share: float = 0.25, rare: int | None = None
) -> tuple[Bits, Bits, Bits, Sifted]:
    alice, bob, chance = drawn(protocol)
    outcomes = chance if outcomes is None else outcomes
    both = (choices(alice, protocol), choices(bob, protocol))
    found = sift(protocol, both, PackedBits.of(outcomes), share, SEED, rare=rare)
    return alice, bob, outcomes, found


def places(
    protocol: Protocol, share: float = 0.25, rare: int | None = None
) -> tuple[list[int], list[int]]:
    """Which common slots are key, and which are tested: each place's number, bit by bit."""
    key: list[int] = []
    test: list[int] = []
    for bit in range(13):
        numbers = ((np.arange(N) >> bit) & 1).astype(np.uint8)
        found = sifted(protocol, numbers, share, rare)[3]
        for into, got in ((key, found.key), (test, found.test)):
            into.extend([0] * (got.size - len(into)))
            for i, one in enumerate(got.unpack().tolist()):
                into[i] += one << bit
    return key, test


def test_e91_keys_on_equal_angles_and_tests_all_else() -> None:
    alice, bob, outcomes, found = sifted(Protocol.E91)
    key, test = places(Protocol.E91)
    assert sorted([*key, *test]) == list(range(N))
    assert np.array_equal(found.key.unpack(), outcomes[key])
    assert np.array_equal(found.test.unpack(), outcomes[test])
    at = 0
    for pair, size in zip(KEY_PAIRS, found.parts, strict=True):
        part = key[at : at + size]
        assert part == sorted(part)
        assert {(int(alice[i]), int(bob[i])) for i in part} == {pair}
        at += size
    cells = dict(found.cells)
    assert cells.keys() == {(a, b) for a in range(3) for b in range(3)} - set(KEY_PAIRS)
    for (a, b), mask in cells.items():
        of = [i for i, one in zip(test, mask.unpack(), strict=True) if one]
        assert of == np.flatnonzero((alice == a) & (bob == b)).tolist()


@pytest.mark.parametrize("protocol", [Protocol.BB84, Protocol.BBM92])
def test_equal_bases_are_kept_and_the_share_of_each_is_tested(protocol: Protocol) -> None:
    alice, bob, outcomes, found = sifted(protocol)
    key, test = places(protocol)
    same = np.flatnonzero(alice == bob).tolist()
    assert sorted([*key, *test]) == same
    assert np.array_equal(found.key.unpack(), outcomes[key])
    assert np.array_equal(found.test.unpack(), outcomes[test])
    for both, sizes in ((key, found.parts), (test, found.tests)):
        for basis, part in enumerate((both[: sizes[0]], both[sizes[0] :])):
            assert len(part) == sizes[basis]
            assert part == sorted(part)
            assert set(alice[part].tolist()) == {basis}
    for tested, kept in zip(found.tests, found.parts, strict=True):
        assert abs(tested - 0.25 * (tested + kept)) < 4 * np.sqrt(0.25 * 0.75 * (tested + kept))


@pytest.mark.parametrize("rare", [0, 1])
def test_a_rare_basis_is_tested_whole_and_gives_no_key(rare: int) -> None:
    alice, bob, _, found = sifted(Protocol.BB84, rare=rare)
    key, test = places(Protocol.BB84, rare=rare)
    assert found.parts[rare] == 0
    assert set(alice[key].tolist()) == {1 - rare}
    assert set(np.flatnonzero((alice == bob) & (alice == rare)).tolist()) <= set(test)
    assert sorted([*key, *test]) == np.flatnonzero(alice == bob).tolist()


def test_another_seed_draws_another_sample_and_the_same_seed_the_same() -> None:
    one, again, other = (draw(N, 0.25, seed, "sample 0") for seed in (SEED, SEED, bytes(32)))
    assert np.array_equal(one.words, again.words)
    # A random quarter of a random quarter is common to both.
    assert abs((one & other).count() - N / 16) < 5 * np.sqrt(N / 16)


@pytest.mark.parametrize("share", [1e-4, 0.02, 0.2, 0.5, 0.75, 0.9999])
def test_every_place_is_drawn_with_the_share(share: float) -> None:
    n = 2_000_000
    sample = draw(n, share, SEED, "sample 0")
    assert sample.size == n
    taken = round(share * 2**16) / 2**16
    assert abs(sample.count() - n * taken) < 5 * np.sqrt(n * taken * (1 - taken))
    assert abs((sample.count() / n) - share) < 5 * np.sqrt(share / n) + 2**-17
    # And no place of a word is preferred.
    by_place = sample.unpack()[: n // 64 * 64].reshape(-1, 64).sum(axis=0)
    spread = n / 64 * taken * (1 - taken)
    assert ((by_place - by_place.mean()) ** 2).sum() / spread < 63 + 5 * np.sqrt(2 * 63)


@pytest.mark.parametrize(
    ("count", "share"),
    [(1, 0.5), (4096, 0.01), (4097, 0.999), (9000, 2**-16), (270_000, 0.2), (5000, 1.0)],
)
def test_the_sample_is_that_of_the_slow_twin(count: int, share: float) -> None:
    taken = draw(count, share, SEED, "sample 1")
    assert taken.unpack().tolist() == sample_of(count, share, SEED, "sample 1")


def test_no_common_slots_give_nothing() -> None:
    for protocol in OF_PHOTONS:
        nothing = Choices(
            PackedBits.zeros(0), PackedBits.zeros(0) if protocol is Protocol.E91 else None
        )
        found = sift(protocol, (nothing, nothing), PackedBits.zeros(0), 0.2, SEED)
        assert (found.key.size, found.test.size, found.parts) == (0, 0, (0, 0))
