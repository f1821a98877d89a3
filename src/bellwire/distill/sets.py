"""Sets of places that betray the errors which hide from both orders of Cascade.

Errors hide where every block of both orders holds an even number of them; a typical residue is one
or two pairs. Each place has one of 16 random colours, and 16 random masks hold each half of the
places; their parities are announced with the opening and kept, as errors are found, as a syndrome.
Two hidden errors show in the colours unless they have the same one, and a residue that is
independent of the masks keeps all of them even with probability 2⁻¹⁶.

A set is searched by halving the whole frame, counting members only. That is dear, log₂ n parities.
Of a pair one error would do, since its partner then makes a small interval of the first order odd;
yet all odd colours are searched at once. It costs 0.2 % of what is leaked and saves a tenth of the
rounds at an error rate of 2 %, and four tenths at 8 %.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.crypto.stream import KeyStream
from bellwire.distill.kernels.intervals import Words
from bellwire.distill.kernels.opening import COLOURS, SETS
from bellwire.distill.kernels.transposing import columns

_COLOUR_BITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """The sets of every frame: the colours first, then the masks.

    Attributes:
        planes: (SETS·n/64,) uint64; bit p of plane s says whether set s holds place p.
        members: (n,) uint32; bit s says the same.
    """

    planes: Words
    members: NDArray[np.uint32]


def draw_sets(public_seed: bytes, n: int) -> Sets:
    """The sets of frames of n places, a multiple of 64, from 32 public bytes."""
    colour = _planes(public_seed, "cascade colours", _COLOUR_BITS, n)
    masks = _planes(public_seed, "cascade masks", SETS - COLOURS, n)
    planes = np.empty((SETS, n // 64), np.uint64)
    low, high = _quarters(colour[0], colour[1]), _quarters(colour[2], colour[3])
    planes[:COLOURS] = (high[:, None] & low).reshape(COLOURS, -1)
    planes[COLOURS:] = masks
    members = np.empty(n, np.uint32)
    columns(planes.ravel(), SETS, members)
    return Sets(planes.ravel(), members)


def _quarters(low: Words, high: Words) -> Words:
    """Where two bits of a colour are 0, 1, 2 and 3; as (4, …)."""
    return np.stack([~(low | high), low & ~high, high & ~low, low & high])


def _planes(public_seed: bytes, label: str, count: int, n: int) -> Words:
    octets = KeyStream(public_seed, label).at(0, count * n // 8)
    return octets.view("<u8").astype(np.uint64, copy=False).reshape(count, n // 64)
