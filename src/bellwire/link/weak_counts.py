"""Any number of weak pulses, streamed: what clicked, counted by choice and kept if asked.

A click is one byte, choice·4 + 2·(both detectors) + bit read, its choice as `weak_law` numbers
them. What a run leaves to be counted is in its state (`bellwire.link.click_stream`).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Detections, Slots
from bellwire.crypto.stream import KeyStream
from bellwire.link.click_stream import Clicks, ClickStream, Memory, State
from bellwire.link.coded import CodedHalf
from bellwire.link.kernels import clicks as kernel
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve
from bellwire.link.weak_law import CHOICES, SHAPE, joint_law

Counts = NDArray[np.int64]

_CODES = np.arange(kernel.CODES)
_INTENSITY = (_CODES // 32 % 3).astype(np.uint8)
_MEASURED_BASIS = (_CODES // 16 % 2).astype(np.uint8)
_SENT_BASIS = (_CODES // 8 % 2).astype(np.uint8)
_SENT_BIT = (_CODES // 4 % 2).astype(np.uint8)
_DOUBLE = (_CODES // 2 % 2).astype(np.uint8)
_READ = (_CODES % 2).astype(np.uint8)
_ALWAYS = np.ones(kernel.CODES, np.uint8)


@dataclass(frozen=True, slots=True)
class WeakCounts:
    """What a run counted. Arrays have the axes of `weak_law.SHAPE`.

    Attributes:
        pulses: Sent.
        live: Pulses of each choice in gates where a detector was live.
        blind: Pulses of each choice in gates where none was.
        clicks: (…, 2) clicks by Bob's outcome, double clicks as the coin fell.
        doubles: Of these, how many were double clicks.
    """

    pulses: int
    live: Counts
    blind: Counts
    clicks: Counts
    doubles: Counts

    @property
    def sent(self) -> Counts:
        """Pulses of each choice."""
        return self.live + self.blind


class AlicePulses(CodedHalf):
    """Alice's half of a block: intensity, basis and bit of the pulses that clicked at Bob's.

    She detects nothing, so `received` is None. What she chose for other pulses nobody asks, and
    this engine draws it only as sums: to ask is a KeyError.
    """

    __slots__ = ()

    def __init__(self, clicks: Clicks) -> None:
        super().__init__(clicks, _SENT_BASIS, _SENT_BIT, None)

    def at(self, slots: Slots) -> Detections:
        """Bases, bits and intensities at `slots`; KeyError where nothing clicked."""
        return replace(super().at(slots), intensities=_INTENSITY[self.codes(slots)])


class BobClicks(CodedHalf):
    """Bob's half of a block: slot, basis and outcome of every click, a coin's for double clicks."""

    __slots__ = ()

    def __init__(self, clicks: Clicks) -> None:
        super().__init__(clicks, _MEASURED_BASIS, _READ, _ALWAYS)

    @property
    def received(self) -> Slots:
        """The slots that he registered."""
        return self._clicks.gates

    @property
    def doubles(self) -> Slots:
        """The slots in which both detectors clicked."""
        slots: Slots = self._clicks.gates[_DOUBLE[self._clicks.codes] != 0]
        return slots


@dataclass(frozen=True, slots=True)
class WeakBlock:
    """Raw data of some successive gates, 9 bytes a click.

    Attributes:
        first: First gate.
        pulses: How many.
        alice: Her half.
        bob: His half.
    """

    first: int
    pulses: int
    alice: AlicePulses
    bob: BobClicks


class WeakStream:
    """Pulses of one link under one seed.

    Args:
        config: The link.
        eve: Who is on it.
        seed: 32 bytes, else ValueError.
    """

    def __init__(self, config: WeakConfig, eve: WeakEve | None, seed: bytes) -> None:
        law = joint_law(config, eve)
        self._dark, self._prior = law[:, 0], law.sum(axis=1)
        memory = Memory(
            config.dead_gates,
            config.dead_time is DeadTime.COMMON,
            config.afterpulse,
            config.afterpulse_gates,
        )
        read = np.stack([law[:, 1], law[:, 2], law[:, 3] / 2.0, law[:, 3] / 2.0], axis=1)
        unlit = np.stack([self._dark, *[np.zeros(CHOICES)] * 3], axis=1)
        self._stream = ClickStream(read.ravel(), unlit.ravel(), memory, seed, "weak pulses")
        self._unseen = KeyStream(seed, "weak pulses: choices without a click")

    def start(self) -> State:
        """The state before the first pulse."""
        return self._stream.start()

    def advance(self, state: State, pulses: int) -> State:
        """Go on by so many pulses; work and time grow with the clicks in them.

        Raises:
            ParameterError: more than 10¹⁵ pulses in all.
        """
        return self._stream.advance(state, pulses)

    def block(self, state: State, pulses: int) -> tuple[WeakBlock, State]:
        """Go on by so many pulses, and give both halves of them.

        Block after block, with one seed, gives what one long block would.

        Raises:
            ParameterError: more than 10¹⁵ pulses in all.
        """
        clicks, after = self._stream.clicks(state, pulses)
        halves = AlicePulses(clicks), BobClicks(clicks)
        return WeakBlock(state.pulses, pulses, *halves), after

    def counts(self, state: State) -> WeakCounts:
        """What was counted so far, with the choices of pulses that nobody saw.

        Those are read as sums only, and a sum of independent choices is one multinomial draw: gates
        that no light made click follow the law given that, blind gates the law of the choices.
        """
        tallies = np.array(state.tallies)
        clicks = tallies[: CHOICES * 4].reshape(*SHAPE, 2, 2)
        lost = np.zeros(SHAPE, np.int64)
        if tallies.size > kernel.CODES:
            lost += tallies[kernel.CODES :].reshape(SHAPE)
        free = min(state.registers[kernel.D0], state.registers[kernel.D1])
        blind = state.registers[kernel.BLIND] - max(0, free - state.pulses)
        words = self._unseen.at(0, 32).view("<u4").tolist()
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))
        silent = state.pulses - blind - int(tallies.sum())
        unlit = generator.multinomial(silent, self._dark / self._dark.sum()) if silent else 0
        unseen = generator.multinomial(blind, self._prior / self._prior.sum())
        return WeakCounts(
            pulses=state.pulses,
            live=clicks.sum(axis=(-2, -1)) + lost + np.reshape(unlit, SHAPE if silent else ()),
            blind=np.reshape(unseen, SHAPE),
            clicks=clicks.sum(axis=-2),
            doubles=clicks[..., 1, :].sum(axis=-1),
        )
