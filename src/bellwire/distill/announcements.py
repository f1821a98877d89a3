"""How lists of slots and planes of settings travel: as bits, or as a code of the rarer of the two.

A plane is a bit string whose length both sides know. A list of slots is the plane that has ones
there. One byte says the form: 0 the bits, packed; 1 a Rice code of where the ones are; 2 of where
the zeros are. Both have a header of 5 bytes: how many (4 bytes, little-endian) and the parameter.
A code is sent where it halves the bits at least: it costs some 5 ns a place and side.

For independent bits of probability p the code takes within 5 % of p⁻¹·h(p) bits for each one,
Shannon's limit, where p is below ¼ (`tests/distill/test_announcements.py` measures it).

Source: Rice and Plaunt, "Adaptive variable-length coding for efficient compression of spacecraft
television data", IEEE Trans. Commun. 19 (1971).
"""

import math

import numpy as np

from bellwire.base.bits import PackedBits, PackedBitsError
from bellwire.base.detections import Slots
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.kernels import sifting as kernels

_BITS, _ONES, _ZEROS = 0, 1, 2
_HEADER = 6
_MAX_PARAMETER = 31
_WORTH_CODING = 0.11
"""Above this share of the rarer value h(p) exceeds ½, so that no code halves the bits."""


def encode_plane(plane: PackedBits) -> bytes:
    """Encode a plane: as its bits, or as a code of half of them or less."""
    ones = plane.count()
    rare = min(ones, plane.size - ones)
    if rare <= _WORTH_CODING * plane.size:
        form, rarer = (_ONES, plane) if ones == rare else (_ZEROS, ~plane)
        coded = _code(form, positions(rarer, rare), plane.size)
        if coded is not None:
            return coded
    return bytes([_BITS]) + plane.to_bytes()


def decode_plane(data: bytes, size: int, what: str) -> PackedBits:
    """Decode a plane of `size` bits.

    Args:
        data: What came.
        size: Bits of the plane.
        what: Names it in the error.

    Raises:
        MalformedMessage: unknown form, wrong length or padding, or a position beyond the end.
    """
    try:
        if data[:1] == bytes([_BITS]):
            return PackedBits.from_bytes(data[1:], size)
        plane = PackedBits.zeros(size)
        kernels.set_ones(_numbers(data, size), plane.words)
    except PackedBitsError as error:
        raise MalformedMessage(f"{what}: {error}") from error
    return plane if data[0] == _ONES else ~plane


def _code(form: int, numbers: Slots, size: int) -> bytes | None:
    """The code of these places among `size`; None where it does not halve the bits."""
    k = _parameter(numbers.size, size)
    bits = int(kernels.rice_bits(numbers, k))
    if 2 * (_HEADER + (bits + 7) // 8) > (size + 7) // 8:
        return None
    code = np.zeros((bits + 63) // 64 + 1, np.uint64)
    kernels.rice_encode(numbers, k, code)
    header = bytes([form]) + numbers.size.to_bytes(4, "little") + bytes([k])
    return header + PackedBits(code, bits).to_bytes()


def _numbers(data: bytes, size: int) -> Slots:
    """The places below `size` that a code names; PackedBitsError if it is none."""
    if len(data) < _HEADER or data[0] not in (_ONES, _ZEROS):
        raise PackedBitsError("expected form 0, 1 or 2")
    body = np.frombuffer(data, np.uint8)[_HEADER:]
    count, k = int.from_bytes(data[1:5], "little"), data[5]
    if k > _MAX_PARAMETER or count > min(size, 8 * body.size // (k + 1)):
        raise PackedBitsError("expected a code's count and parameter to fit its length")
    code = np.zeros(body.size // 8 + 2, np.uint64)
    code.view(np.uint8)[: body.size] = body
    numbers = np.empty(count, np.int64)
    used = int(kernels.rice_decode(code, 8 * body.size, k, size, numbers))
    if used == kernels.MALFORMED:
        raise PackedBitsError(f"expected a code of {count} places below {size}")
    PackedBits.from_bytes(data[_HEADER:], used)
    return numbers


def positions(plane: PackedBits, count: int) -> Slots:
    """Where the ones of a plane are, `count` of them."""
    found = np.empty(count, np.int64)
    kernels.ones(plane.words, found)
    return found


def select(plane: PackedBits, mask: PackedBits) -> PackedBits:
    """The bits of a plane where the mask has ones, moved together.

    Raises:
        ValueError: the two have not one length.
    """
    if plane.size != mask.size:
        raise ValueError(f"expected a mask of {plane.size} bits, got {mask.size}")
    count = mask.count()
    words = np.zeros((count + 63) // 64 + 1, np.uint64)
    kernels.compress(plane.words, mask.words, words)
    return PackedBits(words[: (count + 63) // 64], count)


def deposit(bits: PackedBits, mask: PackedBits) -> PackedBits:
    """A plane with these bits where the mask has ones, one after the other, and zeros elsewhere.

    Raises:
        ValueError: the mask has not as many ones as there are bits.
    """
    if mask.count() != bits.size:
        raise ValueError(f"expected a mask of {bits.size} ones, got {mask.count()}")
    places = positions(mask, bits.size)
    plane = PackedBits.zeros(mask.size)
    kernels.set_ones(places[bits.unpack().view(np.bool_)], plane.words)
    return plane


def _parameter(count: int, size: int) -> int:
    """The k for gaps of the mean length that `count` positions among `size` leave."""
    if not count:
        return 0
    return min(_MAX_PARAMETER, max(0, int(math.log2(max(1.0, math.log(2.0) * size / count)))))


def warm() -> None:
    """Have every kernel compiled, or loaded from its cache; the first block would wait for it."""
    plane = PackedBits.zeros(64)
    kernels.set_ones(np.array([5], np.int64), plane.words)
    positions(decode_plane(encode_plane(plane), plane.size, "plane"), 1)
    select(plane, plane)
    kernels.below(np.zeros((1, 1, 1), np.uint64), 1, np.zeros((1, 1), np.uint64))
