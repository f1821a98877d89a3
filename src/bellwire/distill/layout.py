"""How Cascade cuts a key into frames, and frames into blocks; public, and the same on both sides.

On the choice of block sizes: Martinez-Mateo, Pacher, Peev, Ciurana and Martin, "Demystifying the
information reconciliation protocol Cascade", Quantum Inf. Comput. 15 (2015); ours are measured.
"""

from dataclasses import dataclass

from bellwire.base.bits import binary_entropy

FRAME_BITS = 1 << 16
"""Longest frame: its bitmaps stay in the processor's nearest cache."""

ROWS = 64
"""Rows of the order that spreads bursts; a frame is a multiple of them."""

SET_PARITIES = 31
"""Parities of colours and masks that are announced for each frame."""

_LOWEST_QBER = 1e-4
_HIGHEST_QBER = 0.25
_LARGEST_BLOCK = 4096
_SMALLEST_SECOND = 64  # the second order is made 64 rows at a time


@dataclass(frozen=True, slots=True)
class Layout:
    """Frames and blocks of a key.

    Attributes:
        frames: Number of frames.
        frame: Places of each, a multiple of 64 and of both block sizes; the last frame ends with
            places that no key bit fills, zero on both sides.
        first: Block size of the first order.
        second: Block size of the second.
    """

    frames: int
    frame: int
    first: int
    second: int

    @property
    def opening(self) -> int:
        """Parities of one side's opening message."""
        return self.frames * (
            self.frame // self.first + self.frame // self.second - 1 + SET_PARITIES
        )

    @property
    def max_rounds(self) -> int:
        """Messages that a frame may take part in before it is told bit by bit, in one more.

        Honest frames of 65,536 bits, whose budget is 5,120, took at most 1,066 (10,240 frames at
        each of seven rates up to 11 %); where the estimate is four times too low, at most 4,017.
        So the estimate has no part in it: it is where it is too low that rounds are needed.
        """
        return 1024 + self.frame // 16


def layout(size: int, qber: float) -> Layout | None:
    """The layout for a key of `size` bits at an estimated error rate.

    Block sizes are powers of two. The first keeps the errors per block, q·k₁, at 0.7 … 1.4, and the
    second q²·k₁·k₂ at 4 or less: it says how often errors hide from both orders. Only products are
    compared, so that both machines round alike.

    Args:
        size: Bits of the key.
        qber: Estimate; taken as 10⁻⁴ … 0.25.

    Returns:
        None where all this would announce as many parities as there are bits: then every bit is.

    Raises:
        ValueError: qber is not in [0, 1].
    """
    if not 0.0 <= qber <= 1.0:
        raise ValueError(f"expected a QBER in [0, 1], got {qber}")
    q = min(max(qber, _LOWEST_QBER), _HIGHEST_QBER)
    frames = -(-size // FRAME_BITS)
    if 1.05 * size * binary_entropy(q) + SET_PARITIES * frames >= size:
        return None
    first, second = 1, _SMALLEST_SECOND
    while 2 * first * q <= 1.4 and first < _LARGEST_BLOCK:
        first *= 2
    while q * q * first * second > 6.4 and first > 2:
        first //= 2
    while q * q * first * 2 * second <= 4.0 and second < _LARGEST_BLOCK:
        second *= 2
    unit = max(ROWS, first, second)
    frame = unit * -(-size // (frames * unit))
    found = Layout(frames, frame, first, second)
    return found if found.opening < size else None
