"""Ideal links at billions of slots a second: everything as bit planes, 64 slots a word.

Without losses and dark counts every slot is detected cleanly. What is left are uniform settings and
outcomes that are equal or not with a probability of the settings, so that E91, BBM92 and BB84 are
one kernel, and the same law as `bellwire.link.simulate`: two engines that check each other. Eve's
own data are kept where she intercepts and resends in the two bases of BB84 or BBM92; elsewhere what
she leaves of the correlations is the whole of her (`theory` gives it, averaged over her choices).

Alice, Bob, Eve and nature draw from streams of their own, addressed by slot. So any part of a run
can be made by itself; a run is the same however it was cut, and its state is how far it came.
Whoever holds a `PackedLink` holds both halves: the lab and tests, nobody else.
"""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bellwire.base import cores
from bellwire.base.detections import Detections, Protocol, Slots
from bellwire.crypto.counter import Generator, counter_key
from bellwire.crypto.kernels.aes import Key
from bellwire.crypto.stream import SEED_BYTES
from bellwire.link import theory
from bellwire.link.config import Clicks, LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.eve import BB84_ANGLES, Eve, EveKind
from bellwire.link.kernels import packed as kernel

Words = NDArray[np.uint64]
Counts = NDArray[np.int64]
_Found = TypeVar("_Found")

WORD_BITS = 64
GROUP_SLOTS = kernel.GROUP_WORDS * WORD_BITS
"""Slots of a group, which is made at once: 4096."""

MAX_SLOTS = 10**13
"""Longest run, over an hour of two fast cores; the streams would reach further."""

CHUNK_GROUPS = 256
"""Groups at a time when only counts are wanted: their planes stay in a core's cache."""

_SHARE_GROUPS = 64
"""Groups worth a thread of their own: 0.15 ms of work, what starting a thread costs."""

_AHEAD = 32
"""Parts that are handed to a thread at once."""

_CORRELATION = {
    Protocol.BB84: theory.bb84_correlation,
    Protocol.BBM92: theory.bbm92_correlation,
    Protocol.E91: theory.e91_correlation,
}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SidePlanes:
    """One side's half: its settings and outcomes, packed.

    Slot `start` + 64·w + i is bit i of word w, bit 0 being the least significant one. Bits behind
    the last slot are 0.

    Attributes:
        start: First slot, a multiple of 4096.
        slots: How many.
        settings: (1 or 2, words) uint64; a setting is the sum of plane k · 2ᵏ. Two planes in E91.
        outcomes: (words,) uint64. Secret.
        detects: Whether this side has detectors; Alice has none in BB84.
    """

    start: int
    slots: int
    settings: Words
    outcomes: Words
    detects: bool

    def __repr__(self) -> str:
        return f"SidePlanes({self.slots} slots)"

    @property
    def received(self) -> Slots | None:
        """All slots, or None of a side without detectors."""
        return np.arange(self.start, self.start + self.slots) if self.detects else None

    def at(self, slots: Slots) -> Detections:
        """Settings and outcomes at (n,) slots, strictly increasing.

        Raises:
            KeyError: a slot outside this part.
        """
        index = slots - self.start
        if index.size and (index.min() < 0 or index.max() >= self.slots):
            raise KeyError("a slot is asked for that is outside the block")
        word, bit = index // WORD_BITS, (index % WORD_BITS).astype(np.uint64)
        settings = np.zeros(index.size, np.uint8)
        for k, plane in enumerate(self.settings):
            settings |= _bits(plane[word], bit) << np.uint8(k)
        return Detections(slots, settings, _bits(self.outcomes[word], bit))

    def detections(self) -> Detections:
        """All of it, unpacked: 10 bytes a slot."""
        return self.at(np.arange(self.start, self.start + self.slots))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class EvePlanes:
    """What Eve holds, (words,) uint64 each, in the order of `SidePlanes`.

    Attributes:
        touched: Whether she measured this photon.
        bases: Hers; 0 where she did not.
        bits: What she found; 0 where she did not.
    """

    touched: Words
    bases: Words
    bits: Words

    def __repr__(self) -> str:
        return f"EvePlanes({self.touched.size} words)"


@dataclass(frozen=True, slots=True)
class Planes:
    """Everybody's planes of some slots; Eve's only where she intercepts in the two bases."""

    alice: SidePlanes
    bob: SidePlanes
    eve: EvePlanes | None


@dataclass(frozen=True, slots=True, repr=False)
class Seeds:
    """32 bytes each, else ValueError. Secret.

    Attributes:
        alice: Of her choices.
        bob: Of his choices.
        noise: Of everything that nature and Eve decide.
    """

    alice: bytes
    bob: bytes
    noise: bytes

    def __post_init__(self) -> None:
        for seed in (self.alice, self.bob, self.noise):
            if len(seed) != SEED_BYTES:
                raise ValueError(f"expected a seed of {SEED_BYTES} bytes, got {len(seed)}")

    @classmethod
    def fresh(cls) -> "Seeds":
        """Drawn from the operating system."""
        return cls(*(secrets.token_bytes(SEED_BYTES) for _ in range(3)))

    def __repr__(self) -> str:
        return "Seeds()"


@dataclass(frozen=True, slots=True)
class State:
    """How far a run came, and what was counted.

    Attributes:
        slots: Done.
        counts: Slots by Alice's setting, Bob's, her outcome, his; flattened in this order.
        known: Sifted bits that Eve measured in their basis; 0 where her planes are not kept.
    """

    slots: int
    counts: tuple[int, ...]
    known: int


class PackedLink:
    """An ideal link under given seeds.

    Args:
        protocol: E91, BBM92 or BB84.
        config: The link; without losses and dark counts, of any misalignment.
        seeds: Of the streams.
        eve: The attack, or None.
        generator: How random words are computed; None for the fastest. It changes no result.
        threads: At most; None for one a core. It changes no result.

    Raises:
        ParameterError: a link that loses photons or counts dark ones, or an Eve that this protocol
            has not.
        GeneratorUnavailable: this machine has not the instructions.
    """

    def __init__(
        self,
        protocol: Protocol,
        config: LinkConfig,
        seeds: Seeds,
        eve: Eve | None = None,
        *,
        generator: Generator | None = None,
        threads: int | None = None,
    ) -> None:
        if not is_ideal(protocol, config):
            raise ParameterError("link", "without losses and dark counts", config)
        if eve is not None:
            eve.check(protocol)
        if threads is not None and threads < 1:
            raise ParameterError("threads", "at least 1", threads)

        def key(seed: bytes, whose: str) -> Key:
            return counter_key(seed, f"packed {protocol} {whose}", generator)

        self.protocol = protocol
        self._threads = threads or cores.available()
        noise, alice = key(seeds.noise, "noise"), key(seeds.alice, "alice")
        source = noise if protocol.entangled else alice
        self._keys = alice, key(seeds.bob, "bob"), source, noise
        self._law = _classes(protocol, config, eve)
        self._attack: tuple[Key, Words, Words, bool] | None = None
        if eve is not None and _keeps_her_data(protocol, eve):
            law = np.array([_digits(config.misalignment), _digits(0.5)], np.uint64)
            digits = _digits(eve.share)
            always = digits == 1 << kernel.DIGITS  # which has one digit more than the kernel draws
            share = np.array([0 if always else digits], np.uint64)
            self._attack = key(seeds.noise, "eve"), law, share, always

    def __repr__(self) -> str:
        return f"PackedLink({self.protocol})"

    def planes(self, start: int, slots: int) -> Planes:
        """Everybody's data of `slots` slots from `start` on; 6 bits a slot in E91, else 4, or 7.

        Raises:
            ParameterError: `start` is no multiple of 4096, or the part ends behind slot 10¹³.
        """
        if start < 0 or start % GROUP_SLOTS:
            raise ParameterError("start", f"a multiple of {GROUP_SLOTS}, from 0", start)
        check_slots(slots)
        check_slots(start + slots)
        groups = -(-slots // GROUP_SLOTS)
        made = self._made(start // GROUP_SLOTS, groups, self._threads_for(groups))
        words = -(-slots // WORD_BITS)
        if slots % WORD_BITS:
            tail = np.uint64((1 << slots % WORD_BITS) - 1)
            for plane in made:
                plane[..., words - 1] &= tail
        a, x, b, y, *hers = (plane[..., :words] for plane in made)
        return Planes(
            SidePlanes(start, slots, a, x, self.protocol.entangled),
            SidePlanes(start, slots, b, y, detects=True),
            EvePlanes(*hers[0]) if hers else None,
        )

    def start(self) -> State:
        """Before the first slot."""
        return State(0, (0,) * (4 * self.protocol.settings**2), 0)

    def advance(self, state: State, slots: int) -> State:
        """Count so many further slots; memory does not depend on how many.

        Raises:
            ParameterError: none, or more than 10¹³ in all.
        """
        check_slots(slots)
        end = check_slots(state.slots + slots)
        first, last = state.slots // GROUP_SLOTS, -(-end // GROUP_SLOTS)
        threads = self._threads_for(last - first)
        step = min(CHUNK_GROUPS, -(-(last - first) // threads))
        n = self.protocol.settings
        counts, known = self.counts(state), state.known

        def count(chunk: int) -> tuple[Counts, int]:
            groups = min(step, last - chunk)
            a, x, b, y, *hers = self._made(chunk, groups, 1)
            mask = _mask(chunk, groups, state.slots, end)
            found = np.zeros((n, n, 2, 2), np.int64)
            kernel.tally(found, a, x, b, y, mask)
            return found, int(kernel.known(a, b, hers[0], mask)) if hers else 0

        for found, of_eve in _in_threads(threads, count, range(first, last, step)):
            counts += found
            known += of_eve
        return State(end, tuple(counts.ravel().tolist()), known)

    def counts(self, state: State) -> Counts:
        """(settings, settings, 2, 2) slots by Alice's setting, Bob's, her outcome, his."""
        n = self.protocol.settings
        return np.array(state.counts).reshape(n, n, 2, 2)

    @property
    def keeps_eve(self) -> bool:
        """Whether Eve's own data are made, so that `State.known` counts."""
        return self._attack is not None

    def _threads_for(self, groups: int) -> int:
        return max(1, min(self._threads, groups // _SHARE_GROUPS))

    def _made(self, first: int, groups: int, threads: int) -> tuple[Words, ...]:
        """Planes of whole groups: A, X, B, Y of the kernel, and E if Eve's are kept."""
        words, n = groups * kernel.GROUP_WORDS, self.protocol.settings - 1
        a, b = np.empty((n, words), np.uint64), np.empty((n, words), np.uint64)
        x, y = np.empty(words, np.uint64), np.empty(words, np.uint64)
        e = np.empty((3, words if self._attack else 0), np.uint64)
        share = -(-groups // threads)

        def part(begin: int) -> None:
            end = min(begin + share, groups)
            if self._attack is None:
                kernel.correlated(first, begin, end, a, x, b, y, *self._keys, *self._law)
            else:
                kernel.intercepted(first, begin, end, a, x, b, y, e, *self._keys, *self._attack)

        for _ in _in_threads(threads, part, range(0, groups, share)):
            pass
        return (a, x, b, y, e) if self._attack else (a, x, b, y)


def is_ideal(protocol: Protocol, config: LinkConfig) -> bool:
    """Whether every slot is detected cleanly: no losses, no dark counts, nobody ever blind."""
    clean = config.clicks(protocol) == Clicks(clean=1.0, any=1.0)
    return clean and not config.detectors.remember


def check_slots(slots: int) -> int:
    """`slots` if it is in 1 … 10¹³, else ParameterError."""
    if not 1 <= slots <= MAX_SLOTS:
        raise ParameterError("pulses", f"in 1 … {MAX_SLOTS}", slots)
    return slots


def _keeps_her_data(protocol: Protocol, eve: Eve) -> bool:
    return (
        eve.kind is EveKind.INTERCEPT_RESEND
        and protocol is not Protocol.E91
        and eve.axes_for(protocol).angles == BB84_ANGLES
    )


def _digits(probability: float) -> int:
    """To 48 binary digits, which makes the half of cos(π/2) = 6·10⁻¹⁷ a half."""
    return round(probability * 2.0**kernel.DIGITS)


def _classes(
    protocol: Protocol, config: LinkConfig, eve: Eve | None
) -> tuple[Words, Counts, Counts]:
    """T, cls and turned of the kernel."""
    n, half = protocol.settings, 1 << (kernel.DIGITS - 1)
    digits, turned = np.zeros((n, n), np.int64), np.zeros((n, n), np.int64)
    for a, b in product(range(n), repeat=2):
        differ = _digits(0.5 * (1.0 - _CORRELATION[protocol](config, a, b, eve)))
        if differ > half:
            differ, turned[a, b] = 2 * half - differ, 1
        digits[a, b] = differ
    thresholds, cls = np.unique(digits, return_inverse=True)
    return thresholds.astype(np.uint64), cls.reshape(n, n), turned


def _mask(first: int, groups: int, begin: int, end: int) -> Words:
    """Which slots of so many groups lie in begin … end − 1; (words,) uint64."""
    mask = np.full(groups * kernel.GROUP_WORDS, 2**WORD_BITS - 1, np.uint64)
    origin = first * GROUP_SLOTS
    for edge, before in ((begin - origin, True), (end - origin, False)):
        word, bit = divmod(edge, WORD_BITS)
        if before and edge > 0:
            mask[:word] = 0
            mask[word] &= np.uint64(2**WORD_BITS - (1 << bit))
        elif not before and word < mask.size:
            mask[word] &= np.uint64((1 << bit) - 1)
            mask[word + 1 :] = 0
    return mask


def _bits(words: Words, bit: Words) -> NDArray[np.uint8]:
    return ((words >> bit) & np.uint64(1)).astype(np.uint8)


def _in_threads(threads: int, work: Callable[[int], _Found], parts: range) -> Iterator[_Found]:
    """`work` of every part, in their order; kernels let go of the interpreter's lock."""
    if threads == 1 or len(parts) == 1:
        yield from map(work, parts)
        return
    # A few parts at a time: neither memory nor an interrupt waits for all of them.
    with ThreadPoolExecutor(threads) as pool:
        for at in range(0, len(parts), _AHEAD * threads):
            yield from pool.map(work, parts[at : at + _AHEAD * threads])
