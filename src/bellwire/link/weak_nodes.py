"""Weak pulses for two nodes: each side's choices come from its own seed, and from nothing else.

Alice's intensity, basis and bit, and Bob's basis, are functions of a side's seed and the slot, as
in `bellwire.link.choices`; the link asks for them where a candidate of a click is, and each side
asks its own seed when it needs them. Noise and Eve are the link's. The law is that of
`weak_law`, given the choices: this engine and `weak_counts` check each other.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Detections, Settings, Slots
from bellwire.crypto.counter import Generator, available, counter_key
from bellwire.crypto.kernels.aes import Key
from bellwire.crypto.stream import SEED_BYTES, KeyStream
from bellwire.link.click_stream import RARE_WORDS, ROWS, Kept, Run, State
from bellwire.link.kernels import clicks as kernel
from bellwire.link.kernels.thinning import halves_at, thin, words_at
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve
from bellwire.link.weak_law import SHAPE, joint_law

ALICE, BOB = "link weak alice pulse", "link weak bob basis"
"""What a side's seed is asked for."""


class WeakPulses:
    """Alice's half: intensity, basis and bit of any of her pulses, from her 32-byte seed.

    A word of 64 bits a slot: the bit, 31 bits for the basis, 32 bits for the intensity, so that
    probabilities are true to 2⁻³¹. She detects nothing, so `received` is None.

    Args:
        config: Intensities and how often each, share of the rectilinear basis.
        seed: 32 bytes, else ValueError. Secret.
        first: First slot of the block.
        pulses: How many.
    """

    __slots__ = ("_cuts", "_key", "first", "pulses")

    def __init__(self, config: WeakConfig, seed: bytes, first: int, pulses: int) -> None:
        self.first, self.pulses = first, pulses
        self._cuts, self._key = cuts(config), choices_key(seed, ALICE)

    def __repr__(self) -> str:
        return f"WeakPulses({self.pulses} pulses)"

    @property
    def received(self) -> None:
        """Nothing: Alice has no detectors."""
        return

    def at(self, slots: Slots) -> Detections:
        """Bases, bits and intensities at `slots`, strictly increasing.

        Raises:
            KeyError: a slot is outside the block.
            ValueError: the slots are not strictly increasing.
        """
        words = self._words(slots)
        basis = (words >> np.uint64(1)) & np.uint64(0x7FFFFFFF) >= self._cuts[0]
        bits = (words & np.uint64(1)).astype(np.uint8)
        shade = words >> np.uint64(32)
        second, third = self._cuts[1:3]
        shades = np.asarray(shade >= second, np.uint8) + np.asarray(shade >= third, np.uint8)
        return Detections(slots, basis.view(np.uint8), bits, shades)

    def _words(self, slots: Slots) -> NDArray[np.uint64]:
        if slots.size and (slots.min() < self.first or slots.max() >= self.first + self.pulses):
            raise KeyError("a slot is asked for that is outside the block")
        found = np.empty(slots.size, np.uint64)
        words_at(slots, self._key, found)
        return found


class WeakBases:
    """Bob's bases, 0 or 1 for any slot, from his 32-byte seed; a word of 32 bits a slot. Secret."""

    __slots__ = ("_cut", "_key")

    def __init__(self, config: WeakConfig, seed: bytes) -> None:
        self._cut, self._key = cuts(config)[3], choices_key(seed, BOB)

    def __repr__(self) -> str:
        return "WeakBases()"

    def at(self, slots: Slots) -> Settings:
        """(n,) bases at (n,) slots in any order."""
        found = np.empty(slots.size, np.uint64)
        halves_at(slots, self._key, found)
        return np.asarray(found >= self._cut, np.uint8)


class WeakLink:
    """The link between two nodes that choose for themselves.

    Args:
        config: The link.
        eve: Who is on it.
        alice_seed: 32 bytes, Alice's choices. Secret.
        bob_seed: 32 bytes, Bob's choices. Secret.
        noise_seed: 32 bytes, everything nature and Eve decide. Secret.

    Raises:
        ValueError: a seed is not 32 bytes.
    """

    def __init__(
        self,
        config: WeakConfig,
        eve: WeakEve | None,
        alice_seed: bytes,
        bob_seed: bytes,
        noise_seed: bytes,
    ) -> None:
        self._config, self._alice_seed = config, alice_seed
        self._keys = choices_key(alice_seed, ALICE), choices_key(bob_seed, BOB)
        self._often, self._thresholds = thresholds(joint_law(config, eve))
        self._waits = KeyStream(noise_seed, "link weak waits")
        self._outcomes = KeyStream(noise_seed, "link weak outcomes")
        self._rare = KeyStream(noise_seed, "link weak rare events")

    def start(self) -> State:
        """The state before the first pulse."""
        return State.start()

    def block(self, state: State, pulses: int) -> tuple[WeakPulses, Detections, State]:
        """Go on by so many pulses: Alice's half, Bob's, and the state behind.

        Block after block gives what one long block would. Work grows with the candidates.

        Raises:
            ParameterError: more than 10¹⁵ pulses in all.
        """
        run = Run(state, pulses, kernel.CODES)
        kept = Kept(math.ceil(pulses * self._often / (1.0 + self._often * self._config.dead_gates)))
        if self._often:
            self._go(run, kept)
        gates, read = kept.clicks()
        bob = Detections(gates, read >> np.uint8(2), read & np.uint8(1))
        alice = WeakPulses(self._config, self._alice_seed, state.pulses, pulses)
        return alice, bob, run.state()

    def _go(self, run: Run, kept: Kept) -> None:
        config = self._config
        rare, wait_words = np.empty(RARE_WORDS, np.uint64), np.empty(ROWS, np.uint64)
        outcomes, gap = np.empty(ROWS, np.uint64), np.empty(ROWS, np.int64)
        fill = 1.0 / math.log1p(-config.afterpulse) if config.afterpulse else 0.0
        scale = 0.0 if self._often >= 1.0 else 1.0 / math.log1p(-self._often)
        first = rare_first = -1  # candidates, rare words in hand
        done = False
        while not done:
            row, rare_row = int(run.registers[kernel.ROW]), int(run.registers[kernel.RARE])
            if first < 0 or row - first >= ROWS:
                first = row - row % 2
                self._waits.into(8 * first, wait_words.view(np.uint8))
                self._outcomes.into(8 * first, outcomes.view(np.uint8))
                kernel.waits(wait_words, scale, gap)
            if rare_first < 0 or rare_row - rare_first > RARE_WORDS - kernel.RESERVE:
                rare_first = rare_row - rare_row % 2
                self._rare.into(8 * rare_first, rare.view(np.uint8))
            done, n = thin(
                run.registers,
                run.end,
                gap[row - first :],
                outcomes[row - first :],
                *self._keys,
                rare[rare_row - rare_first :],
                self._thresholds,
                cuts(config),
                config.dead_gates,
                config.dead_time is DeadTime.COMMON,
                fill,
                -config.afterpulse_gates,
                *kept.room(),
            )
            kept.size += n


def warm() -> None:
    """Have what Alice's look-ups take compiled, or loaded from its cache."""
    WeakPulses(WeakConfig(), bytes(SEED_BYTES), 0, 1).at(np.zeros(1, np.int64))


def choices_key(seed: bytes, label: str) -> Key:
    """A key for single blocks anywhere in the stream, as fast as this machine has them.

    Raises:
        ValueError: the seed is not 32 bytes.
    """
    single = Generator.AES_NI if Generator.AES_NI in available() else Generator.PORTABLE
    return counter_key(seed, label, single)


def cuts(config: WeakConfig) -> NDArray[np.uint64]:
    """From where on a word means the diagonal basis, the second intensity, the third; Bob's basis.

    (4,) uint64, in this order. Alice's basis in 31 bits, all others in 32.
    """
    first, second = (math.fsum(config.shares[:n]) for n in (1, 2))
    shades = (round(2.0**32 * min(1.0, share)) for share in (first, second))
    basis = config.rectilinear
    return np.array([round(2.0**31 * basis), *shades, round(2.0**32 * basis)], np.uint64)


def thresholds(law: NDArray[np.float64]) -> tuple[float, NDArray[np.uint64]]:
    """Greatest probability of a click, and (24, 3) cumulated thresholds given the choices.

    `law` is that of `weak_law.joint_law`; thresholds are shares of 2⁴⁸.
    """
    whole = law.reshape(*SHAPE, 4).sum(axis=0).reshape(-1, 4)
    prior = whole.sum(axis=1, keepdims=True)
    clicks = np.divide(whole[:, 1:], prior, out=np.zeros_like(whole[:, 1:]), where=prior > 0)
    often = float(min(1.0, clicks.sum(axis=1).max()))
    if not often:
        return 0.0, np.zeros(clicks.shape, np.uint64)
    shares = np.minimum(1.0, np.cumsum(clicks, axis=1) / often)
    return often, np.rint(shares * 2.0**48).astype(np.uint64)
