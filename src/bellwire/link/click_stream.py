"""Any number of gates, streamed in constant memory: what clicked, counted and kept if asked.

The state after any gate is a small value; whoever holds it and the seed goes on from there, and
what comes is the same however the way was cut. Randomness is AES-256 in counter mode, addressed by
row: 8 bytes a click.
"""

import json
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bellwire.crypto.stream import KeyStream
from bellwire.link.alias import both_tables
from bellwire.link.errors import ParameterError
from bellwire.link.kernels import clicks as kernel
from bellwire.link.weak import MAX_PULSES

ROWS = 16384
"""Rows of randomness at a time: 256 kB with their waits, which stay in a core's second cache."""

RARE_WORDS = 4096

_FORMAT = "bellwire clicks 1"


Rows = tuple[NDArray[np.int64], NDArray[np.uint64]]
"""Waits, and the words that they came of."""


class Clicks(NamedTuple):
    """Some of the clicks of a run.

    Attributes:
        gates: (n,) int64, increasing; from 0.
        codes: (n,) uint8, what each was.
    """

    gates: NDArray[np.int64]
    codes: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class State:
    """Where a stream of gates stands.

    Attributes:
        pulses: Gates that are done.
        registers: Of the kernel.
        tallies: Counts of the kernel.
    """

    pulses: int
    registers: tuple[int, ...]
    tallies: tuple[int, ...]

    @classmethod
    def start(cls, tallies: int = kernel.CODES) -> "State":
        """Before the first gate."""
        registers = [0] * kernel.REGISTERS
        registers[kernel.LIGHT] = registers[kernel.FILL] = kernel.NONE
        registers[kernel.A0] = registers[kernel.A1] = kernel.FAR
        return cls(0, tuple(registers), (0,) * tallies)

    def to_json(self) -> str:
        """The state as one line of JSON, to go on from it later. It holds no secret."""
        return json.dumps([_FORMAT, self.pulses, self.registers, self.tallies])

    @classmethod
    def from_json(cls, text: str) -> "State":
        """A state that `to_json` wrote.

        Raises:
            ParameterError: it did not.
        """
        try:
            name, pulses, registers, tallies = json.loads(text)
            state = cls(pulses, tuple(registers), tuple(tallies))
        except (ValueError, TypeError, RecursionError):
            raise ParameterError("a saved state", "as a list of four in JSON", "none") from None
        if name != _FORMAT or len(state.registers) != kernel.REGISTERS:
            raise ParameterError("a saved state", f"of the format '{_FORMAT}'", "another")
        numbers = (pulses, *state.registers, *state.tallies)
        if not all(type(n) is int and kernel.NONE <= n <= kernel.FAR for n in numbers):
            raise ParameterError("a saved state", "of whole numbers from -1 to 2^62", "others")
        counts = (pulses, *state.tallies, *(state.registers[i] for i in _COUNTING))
        if min(counts) < 0 or max(pulses, sum(state.tallies)) > MAX_PULSES:
            raise ParameterError("a saved state", f"of counts in 0 … {MAX_PULSES}", "others")
        return state


_COUNTING = (kernel.BASE, kernel.D0, kernel.D1, kernel.A0, kernel.A1, kernel.ROW, kernel.RARE)


@dataclass(frozen=True, slots=True)
class Memory:
    """What detectors keep of a click.

    Attributes:
        dead_gates: Gates that a detector is blind.
        common: Whether a click blinds both.
        afterpulse: Probability that a click fills its detector's trap.
        afterpulse_gates: Decay time of what is trapped, gates.
    """

    dead_gates: int = 0
    common: bool = True
    afterpulse: float = 0.0
    afterpulse_gates: float = 1.0

    @property
    def forgets(self) -> bool:
        """Whether nothing but the common blind gates lasts, so that clicks renew everything."""
        return not self.afterpulse and (self.common or not self.dead_gates)


class ClickStream:
    """Gates of one law under one seed.

    Args:
        lit: (n,) probabilities of the codes 0 … n − 1 of a gate, n at most 256.
        unlit: (n,) probabilities by code where light makes no click; only of use with afterpulses.
        memory: Of the detectors.
        seed: 32 bytes, else ValueError.
        label: What the stream is for.
    """

    def __init__(
        self,
        lit: NDArray[np.float64],
        unlit: NDArray[np.float64],
        memory: Memory,
        seed: bytes,
        label: str,
    ) -> None:
        self._tables = both_tables(lit, unlit)
        self._memory = memory
        self._tallies = kernel.CODES + (0 if memory.forgets else -(-lit.size // 4))
        self.any = min(1.0, math.fsum(lit))
        self._rows = KeyStream(seed, f"{label}: clicks")
        self._rare = KeyStream(seed, f"{label}: rare events")

    def start(self) -> State:
        """The state before the first gate."""
        return State.start(self._tallies)

    def advance(self, state: State, pulses: int) -> State:
        """Go on by so many gates and count; work and time grow with the clicks in them.

        Raises:
            ParameterError: more than 10¹⁵ gates in all, or the state is of another kind of stream.
        """
        run = Run(state, pulses, self._tallies)
        self._go(run, None)
        return run.state()

    def clicks(self, state: State, pulses: int) -> tuple[Clicks, State]:
        """Go on by so many gates and keep every click: 9 bytes each.

        Raises:
            ParameterError: more than 10¹⁵ gates in all, or the state is of another kind of stream.
        """
        run, dead = Run(state, pulses, self._tallies), self._memory.dead_gates
        kept = Kept(math.ceil(pulses * self.any / (1.0 + self.any * dead)))
        self._go(run, kept)
        return kept.clicks(), run.state()

    def _go(self, run: "Run", kept: "Kept | None") -> None:
        if not self.any:
            return
        words, rare = np.empty(ROWS, np.uint64), np.empty(RARE_WORDS, np.uint64)
        gap = np.empty(ROWS, np.int64)
        first = rare_first = -1  # rows, rare words in hand
        scale = 0.0 if self.any >= 1.0 else 1.0 / math.log1p(-self.any)
        done = False
        while not done:
            row, rare_row = int(run.registers[kernel.ROW]), int(run.registers[kernel.RARE])
            if first < 0 or row - first >= ROWS:
                first = row - row % 2
                self._rows.into(8 * first, words.view(np.uint8))
                kernel.waits(words, scale, gap)
            if rare_first < 0 or rare_row - rare_first > RARE_WORDS - kernel.RESERVE:
                rare_first = rare_row - rare_row % 2
                self._rare.into(8 * rare_first, rare.view(np.uint8))
            rows = gap[row - first :], words[row - first :]
            room = _NO_ROOM if kept is None else kept.room()
            done, n = self._kernel(run, rows, rare[rare_row - rare_first :], room)
            if kept is not None:
                kept.size += n

    def _kernel(
        self, run: "Run", rows: Rows, rare: NDArray[np.uint64], found: Clicks
    ) -> tuple[bool, int]:
        edges, codes = self._tables
        memory = self._memory
        if memory.forgets:
            return kernel.strike(
                run.registers,
                run.tallies,
                run.end,
                *rows,
                rare,
                edges[0],
                codes[0],
                memory.dead_gates,
                *found,
            )
        fill = 1.0 / math.log1p(-memory.afterpulse) if memory.afterpulse else 0.0
        return kernel.advance(
            run.registers,
            run.tallies,
            run.end,
            *rows,
            rare,
            edges,
            codes,
            memory.dead_gates,
            memory.common,
            fill,
            -memory.afterpulse_gates,
            *found,
        )


class Run:
    """A state on its way to a gate.

    Args:
        state: Where it begins; it stays as it is.
        pulses: How many more gates to go.
        tallies: How many tallies a state must have.

    Raises:
        ParameterError: `state` has another number of tallies, `pulses` is less than 1, or the gate
            is beyond `MAX_PULSES`.
    """

    __slots__ = ("end", "registers", "tallies")

    def __init__(self, state: State, pulses: int, tallies: int) -> None:
        if len(state.tallies) != tallies:
            raise ParameterError("a state", f"of {tallies} tallies", len(state.tallies))
        self.end = state.pulses + pulses
        if pulses < 1 or self.end > MAX_PULSES:
            raise ParameterError(
                "pulses", f"in 1 … {MAX_PULSES}", self.end if pulses > 0 else pulses
            )
        self.registers, self.tallies = np.array(state.registers), np.array(state.tallies)

    def state(self) -> State:
        """Where it is."""
        return State(self.end, tuple(self.registers.tolist()), tuple(self.tallies.tolist()))


class Kept:
    """Clicks as they come, and room for more.

    Args:
        expected: About how many there will be; what is not used costs no memory.
    """

    __slots__ = ("_arrays", "size")

    def __init__(self, expected: int) -> None:
        capacity = expected + 8 * math.isqrt(expected) + 2 * _ROOM
        self._arrays = Clicks(np.empty(capacity, np.int64), np.empty(capacity, np.uint8))
        self.size = 0

    def room(self) -> Clicks:
        """Where the next clicks go: one for every row and rare word in hand, at least."""
        if self._arrays.gates.size - self.size < _ROOM:
            more = self.size // 2 + _ROOM
            self._arrays = Clicks(
                np.concatenate([self._arrays.gates, np.empty(more, np.int64)]),
                np.concatenate([self._arrays.codes, np.empty(more, np.uint8)]),
            )
        gates, codes = self._arrays
        return Clicks(gates[self.size :], codes[self.size :])

    def clicks(self) -> Clicks:
        """What came."""
        gates, codes = self._arrays
        return Clicks(gates[: self.size], codes[: self.size])


_ROOM = ROWS + RARE_WORDS
_NO_ROOM = Clicks(np.empty(0, np.int64), np.empty(0, np.uint8))
