"""Any number of windows of pairs, streamed: coincidences counted, or all detections kept.

The engine is that of weak pulses (`bellwire.link.click_stream`); only the table differs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Protocol
from bellwire.link.click_stream import ClickStream, Memory, State
from bellwire.link.coded import CodedHalf, Read
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve
from bellwire.link.kernels.clicks import CODES
from bellwire.link.pair_law import NOTHING, STATES, joint_law
from bellwire.link.pairs import PairSource


@dataclass(frozen=True, slots=True)
class PairBlock:
    """Raw data of some successive windows, 9 bytes a detection.

    Attributes:
        first: First window.
        windows: How many.
        alice: Her half: every window that she registered.
        bob: His half.
    """

    first: int
    windows: int
    alice: CodedHalf
    bob: CodedHalf


class PairStream:
    """Windows of one source and link under one seed, with whatever either side registers.

    Args:
        protocol: E91 or BBM92; of BB84 every pulse of Alice's counts as registered.
        config: The link.
        source: Of pairs; None for one in every window.
        eve: Who is on the line.
        seed: 32 bytes, else ValueError.

    Raises:
        ParameterError: an Eve or a source that this protocol has not.
    """

    def __init__(
        self,
        protocol: Protocol,
        config: LinkConfig,
        source: PairSource | None,
        eve: Eve | None,
        seed: bytes,
    ) -> None:
        law = joint_law(protocol, config, source, eve)
        cells = np.argwhere(np.arange(law.size).reshape(law.shape) % STATES**2 != _SILENCE)
        self._cells, self._shape = cells, law.shape
        lit = law[tuple(cells.T)]
        self._stream = ClickStream(lit, np.zeros(1), Memory(), seed, "pairs: windows")
        self._read = tuple(_table(column) for column in cells.T)

    def start(self) -> State:
        """The state before the first window."""
        return self._stream.start()

    def block(self, state: State, windows: int) -> tuple[PairBlock, State]:
        """Go on by so many windows, and give both halves of them.

        Raises:
            ParameterError: more than 10¹⁵ windows in all.
        """
        clicks, after = self._stream.clicks(state, windows)
        a, b, x, y = self._read
        alice, bob = (
            CodedHalf(clicks, setting, read % 2, (read != NOTHING).astype(np.uint8))
            for setting, read in ((a, x), (b, y))
        )
        return PairBlock(state.pulses, windows, alice, bob), after

    def counts(self, state: State) -> NDArray[np.int64]:
        """(settings, settings, STATES, STATES) windows in which either side registered something.

        What nobody registered is not counted: its last cells are 0.
        """
        counts = np.zeros(self._shape, np.int64)
        counts[tuple(self._cells.T)] = state.tallies[: len(self._cells)]
        return counts


class CoincidenceStream:
    """Windows of which only those that both sides registered are looked at, and counted.

    Its cost is that of coincidences, however many windows or lone detections there are. BB84 is
    that of an Alice who registers whatever she sends. Arguments as of `PairStream`.
    """

    def __init__(
        self,
        protocol: Protocol,
        config: LinkConfig,
        source: PairSource | None,
        eve: Eve | None,
        seed: bytes,
    ) -> None:
        law = joint_law(protocol, config, source, eve)[..., :NOTHING, :NOTHING]
        # States 0 and 2 read 0, states 1 and 3 read 1.
        read = law.reshape(*law.shape[:2], 2, 2, 2, 2).sum(axis=(2, 4))
        self._shape = read.shape
        self._stream = ClickStream(read.ravel(), np.zeros(1), Memory(), seed, "pairs: coincidences")

    def start(self) -> State:
        """The state before the first window."""
        return self._stream.start()

    def advance(self, state: State, windows: int) -> State:
        """Go on by so many windows.

        Raises:
            ParameterError: more than 10¹⁵ windows in all.
        """
        return self._stream.advance(state, windows)

    def counts(self, state: State) -> NDArray[np.int64]:
        """(settings, settings, 2, 2) coincidences by Alice's setting, Bob's, her outcome, his."""
        cells = int(np.prod(self._shape))
        return np.array(state.tallies[:cells]).reshape(self._shape)


_SILENCE = NOTHING * STATES + NOTHING


def _table(column: NDArray[np.int64]) -> Read:
    """A column of the cells by code."""
    table = np.zeros(CODES, np.uint8)
    table[: column.size] = column
    return table
