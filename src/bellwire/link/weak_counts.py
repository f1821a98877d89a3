"""Any number of weak pulses, streamed: what clicked, counted by choice, in constant memory.

The state after any gate is a small value; whoever holds it and the seed goes on from there, and the
counts are the same however the way was cut. Randomness is AES-256 in counter mode, addressed by
row; OpenSSL makes 5 GB/s of it, 3 ns a click of the 14 that all takes, so none is made in Numba.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.crypto.stream import KeyStream
from bellwire.link.kernels import clicks as kernel
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, check_pulses
from bellwire.link.weak_law import CHOICES, SHAPE, alias_tables, both_tables, joint_law

Counts = NDArray[np.int64]

ROWS = 8192
"""Rows of randomness at a time: 128 kB, with their waits 192 kB, which stay in a core's cache."""

RARE_ROWS = 2048
_FARTHEST = 2.0**61


@dataclass(frozen=True, slots=True)
class State:
    """Where a stream of pulses stands.

    Attributes:
        pulses: Gates that are done.
        registers: Of the kernel.
        tallies: CHOICES · 5 counts of the kernel.
    """

    pulses: int
    registers: tuple[int, ...]
    tallies: tuple[int, ...]

    @classmethod
    def start(cls) -> "State":
        """Before the first pulse."""
        registers = [0] * kernel.REGISTERS
        registers[kernel.LIGHT] = kernel.NONE
        registers[kernel.A0] = registers[kernel.A1] = kernel.FAR
        return cls(0, tuple(registers), (0,) * (CHOICES * kernel.TALLIES))


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


class WeakStream:
    """Pulses of one link under one seed.

    Args:
        config: The link.
        eve: Who is on it.
        seed: 32 bytes, else ValueError.
    """

    def __init__(self, config: WeakConfig, eve: WeakEve | None, seed: bytes) -> None:
        law = joint_law(config, eve)
        self._config = config
        self._dark, self._prior = law[:, 0], law.sum(axis=1)
        choice = np.arange(CHOICES, dtype=np.int64)[:, None]
        lit = alias_tables(law[:, 1:].ravel(), (choice * 4 + np.arange(1, 4)).ravel())
        unlit = alias_tables(self._dark, choice.ravel() * 4)
        self._tables = both_tables(lit, unlit)
        self._any = min(1.0, math.fsum(law[:, 1:].ravel()))
        self._rows = KeyStream(seed, "weak pulses: clicks")
        self._rare = KeyStream(seed, "weak pulses: afterpulses")
        self._unseen = KeyStream(seed, "weak pulses: choices without a click")

    def advance(self, state: State, pulses: int) -> State:
        """Go on by so many pulses; work and time grow with the clicks in them.

        Raises:
            ParameterError: more than 10¹⁵ pulses in all.
        """
        end = check_pulses(state.pulses + pulses)
        registers, tallies = np.array(state.registers), np.array(state.tallies)
        if self._any:
            self._run(registers, tallies, end)
        return State(end, tuple(registers.tolist()), tuple(tallies.tolist()))

    def _run(self, registers: Counts, tallies: Counts, end: int) -> None:
        config, done = self._config, False
        first = rare_first = -1  # rows in hand
        words, rare = np.empty(0, np.uint64), np.empty((0, 4), np.uint64)
        gap = np.empty(0, np.int64)
        while not done:
            at, rare_at = int(registers[kernel.ROW]), int(registers[kernel.RARE])
            if first < 0 or at - first >= ROWS:
                first = at
                rows = self._rows.at(16 * at, 16 * ROWS).view(np.uint64).reshape(-1, 2)
                gap, words = self._gaps(rows[:, 0]), np.ascontiguousarray(rows[:, 1])
            if rare_first < 0 or rare_at - rare_first >= RARE_ROWS:
                rare_first = rare_at
                rare = self._rare.at(32 * rare_at, 32 * RARE_ROWS).view(np.uint64).reshape(-1, 4)
            done = kernel.advance(
                registers,
                tallies,
                end,
                gap[at - first :],
                words[at - first :],
                rare[rare_at - rare_first :],
                *self._tables,
                config.dead_gates,
                config.dead_time is DeadTime.COMMON,
                config.afterpulse,
                -config.afterpulse_gates,
            )

    def _gaps(self, words: NDArray[np.uint64]) -> Counts:
        """Gates without light before the next one with it: ⌊ln u / ln(1 − p)⌋, u of 53 bits."""
        if self._any >= 1.0:
            return np.zeros(words.size, np.int64)
        u = (words >> np.uint64(11)).astype(np.float64)
        u += 0.5
        u *= 2.0**-53
        np.log(u, out=u)
        u *= 1.0 / math.log1p(-self._any)
        return np.minimum(u, _FARTHEST, out=u).astype(np.int64)

    def counts(self, state: State) -> WeakCounts:
        """What was counted so far, with the choices of pulses that nobody saw.

        Those are read as sums only, and a sum of independent choices is one multinomial draw: gates
        that no light made click follow the law given that, blind gates the law of the choices.
        """
        tallies = np.array(state.tallies).reshape(*SHAPE, kernel.TALLIES)
        free = min(state.registers[kernel.D0], state.registers[kernel.D1])
        blind = state.registers[kernel.BLIND] - max(0, free - state.pulses)
        words = self._unseen.at(0, 32).view("<u4").tolist()
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))
        silent = state.pulses - blind - int(tallies.sum())
        unlit = generator.multinomial(silent, self._dark / self._dark.sum()) if silent else 0
        unseen = generator.multinomial(blind, self._prior / self._prior.sum())
        single, double = tallies[..., :2], tallies[..., 2:4]
        return WeakCounts(
            pulses=state.pulses,
            live=tallies.sum(axis=-1) + np.reshape(unlit, SHAPE if silent else ()),
            blind=np.reshape(unseen, SHAPE),
            clicks=single + double,
            doubles=double.sum(axis=-1),
        )
