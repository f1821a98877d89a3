"""The frames of a key that Cascade searches: the arrays that its kernels work on."""

from mmap import mmap

import numpy as np

from bellwire.base.bits import PackedBits
from bellwire.crypto.stream import KeyStream
from bellwire.distill.kernels import cascade as kernels
from bellwire.distill.kernels.intervals import BITS, FOUND, Numbers, Words
from bellwire.distill.kernels.opening import LIMIT, SPENT, opening
from bellwire.distill.kernels.transposing import rearrange, restore
from bellwire.distill.layout import ROWS, Layout
from bellwire.distill.sets import draw_sets


class Frames:
    """The frames of one side.

    Args:
        key: As in `bellwire.distill.cascade.Cascade`.
        plan: The layout.
        public_seed: As in `bellwire.distill.cascade.Cascade`.
        corrects: As in `bellwire.distill.cascade.Cascade`.
    """

    def __init__(
        self, key: PackedBits, plan: Layout, public_seed: bytes, *, corrects: bool
    ) -> None:
        n, frames = plan.frame, plan.frames
        words = frames * n // 64
        self._plan = plan
        self._turns = _turns(public_seed, "cascade order 1", ROWS, n)
        turns = _turns(public_seed, "cascade order 2", plan.second, n)
        self._sets = draw_sets(public_seed, n)
        bits, first, second = (np.zeros(words + 1, np.uint64) for _ in range(3))
        bits[: key.words.size] = key.words
        rearrange(bits, n, ROWS, self._turns, first[:words])
        rearrange(first, n, plan.second, turns, second[:words])
        self._places = np.zeros((2, words + 1, 4), np.uint64)
        self._places[0, :, BITS] = first
        self._places[1, :, BITS] = second
        self._row = first[:words]
        self._sizes = n, plan.first, plan.second
        # A frame that has announced as many parities as it has bits costs nothing more when told.
        self._budgets = np.clip(key.size - n * np.arange(frames), 0, n).astype(np.uint32)
        self._table = np.zeros((frames, 5), np.uint32)
        self._table[:, SPENT] = plan.opening // frames
        self._table[:, LIMIT] = self._budgets
        # Searches of a frame at a time are disjoint and of two places at least, so they have half
        # as many parities as it has places. A frame that is told has as many bits.
        self._out = np.zeros(words + 1, np.uint64)
        self._arguments = (
            corrects,
            self._sizes,
            turns,
            self._sets.planes,
            self._sets.members,
            self._places,
            self._row,
            np.zeros((2, frames, (n // 64 + 63) // 64), np.uint64),
            self._table,
            _mostly_untouched(frames, n // 2),
            np.zeros(min(frames, kernels.GROUP) * n + 1, np.uint32),
        )

    def opening(self) -> PackedBits:
        """Blocks of the first order; of the second but each frame's last; sets but one colour."""
        opening(self._sizes, self._places, self._row, self._sets.planes, self._out)
        return self._announced(self._plan.opening)

    @property
    def leaked(self) -> int:
        """Parities announced, but of no frame more than it has bits."""
        return int(np.minimum(self._table[:, SPENT], self._budgets).sum())

    def take(self, differs: PackedBits, rounds: int) -> PackedBits | None:
        """Take how two announcements differ; gives our parities of the searches open now.

        Args:
            differs: Packed.
            rounds: How many announcements these are, the opening included.

        Returns:
            None if a place was found twice: an honest peer's difference, once corrected, never
            shows again.
        """
        first, last = rounds == 1, rounds == self._plan.max_rounds
        said = kernels.advance(first, last, *self._arguments, differs.words, self._out)
        return None if said == kernels.CONTRADICTION else self._announced(int(said))

    def _announced(self, count: int) -> PackedBits:
        """The first parities written; they stand until the next are."""
        return PackedBits(self._out[: (count + 63) // 64], count)

    def found(self) -> PackedBits:
        """What was found to differ, by the key's places and those that fill its last frame."""
        found = self._places[0, :-1, FOUND].copy()
        words = np.zeros(found.size + 1, np.uint64)
        restore(found, self._plan.frame, ROWS, self._turns, words)
        return PackedBits(words[:-1], 64 * found.size)


def _mostly_untouched(rows: int, columns: int) -> Words:
    """Zeros for lists of which only the beginnings will be used.

    NumPy asks for huge pages, of which each list's first entry would have one cleared and kept.
    """
    return np.frombuffer(mmap(-1, 8 * rows * columns), np.uint64).reshape(rows, columns)


def _turns(public_seed: bytes, label: str, rows: int, n: int) -> Numbers:
    """How far each row is turned: uniform on 0 … n / rows − 1, to within 2⁻³²·n."""
    words = KeyStream(public_seed, label).words(0, rows).astype(np.uint64)
    return ((words * np.uint64(n // rows)) >> np.uint64(32)).astype(np.uint32)
