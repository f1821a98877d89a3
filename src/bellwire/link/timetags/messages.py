"""What two sites tell each other to match their detections (spec/time-tags.md, Matching).

MessagePack arrays that begin with the message's name. Times travel as gaps, numbers of events as
four bytes each; all of it is public, and bounded before it is used.
"""

from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.detections import Protocol
from bellwire.base.matching import MatchingMalformed
from bellwire.link.kernels.tags import Times

VERSION = 1
MOST_TOLD = 1 << 19
"""Bob's events in one message."""

_GAPS: dict[int, np.dtype[Any]] = {
    1: np.dtype("<u1"),
    2: np.dtype("<u2"),
    4: np.dtype("<u4"),
    8: np.dtype("<u8"),
}
_MOST_BYTES = 8 * MOST_TOLD


class Hello(msgspec.Struct, array_like=True, frozen=True, tag="tags"):
    """Round 0, both: what is matched, and how.

    Attributes:
        version: Of the protocol.
        protocol: Of the block.
        generated: Whether the recording is a simulated one.
        window_ps: Width of the coincidence window, ps.
        clock_zero_s: Where its times count from, seconds since the epoch; 0 if not known.
    """

    version: Annotated[int, Meta(ge=1, le=255)]
    protocol: Protocol
    generated: bool
    window_ps: Annotated[int, Meta(ge=2, le=1_000_000)]
    clock_zero_s: Annotated[float, Meta(ge=0.0, le=1e11)]


class Told(msgspec.Struct, array_like=True, frozen=True, tag="times"):
    """Odd rounds, Bob: the times of his next events; none if he has no more.

    Attributes:
        first_ps: The first time, ps.
        width: Bytes of each gap: 1, 2, 4 or 8.
        gaps: From each time to the next, ps, little-endian; one less than times.
        count: Of times.
    """

    first_ps: Annotated[int, Meta(ge=-(1 << 61), le=1 << 61)]
    width: Annotated[int, Meta(ge=1, le=8)]
    gaps: Annotated[bytes, Meta(max_length=_MOST_BYTES)]
    count: Annotated[int, Meta(ge=0, le=MOST_TOLD)]


class Found(msgspec.Struct, array_like=True, frozen=True, tag="found"):
    """Even rounds, Alice: which of the events just told are coincidences, and whether to go on."""

    numbers: Annotated[bytes, Meta(max_length=_MOST_BYTES)]
    more: bool


_Message = TypeVar("_Message", Hello, Told, Found)


def tell(times: Times) -> Told:
    """Times as the message that tells of them: the first, then the gaps, as narrow as they fit."""
    if not times.size:
        return Told(0, 1, b"", 0)
    gaps = np.diff(times)
    largest = int(gaps.max()) if gaps.size else 0
    width = next(w for w in _GAPS if largest < 1 << (8 * w))
    return Told(int(times[0]), width, gaps.astype(_GAPS[width]).tobytes(), times.size)


def told_times(message: Told) -> Times:
    """The times in a message.

    Raises:
        MatchingMalformed: lengths disagree, times do not rise or leave the range.
    """
    kind = _GAPS.get(message.width)
    if kind is None:
        malformed(f"expected gaps of 1, 2, 4 or 8 bytes, got {message.width}")
    if len(message.gaps) != kind.itemsize * max(0, message.count - 1):
        malformed(f"expected the gaps of {message.count} times, got {len(message.gaps)} bytes")
    if not message.count:
        return np.zeros(0, np.int64)
    gaps = np.frombuffer(message.gaps, kind)
    if gaps.size and (gaps.min() < 1 or int(gaps.max()) > 1 << 61 or gaps.sum(dtype=float) > 2**61):
        malformed("expected times that rise, by 2⁶¹ ps at most")
    times = np.full(message.count, message.first_ps, np.int64)
    times[1:] += np.cumsum(gaps.astype(np.int64))
    return times


def numbers_of(data: bytes, size: int) -> Times:
    """The numbers of events in `Found`.

    Raises:
        MatchingMalformed: they do not rise, or reach `size`.
    """
    if len(data) % 4:
        malformed(f"expected numbers of four bytes, got {len(data)} bytes")
    numbers = np.frombuffer(data, "<u4").astype(np.int64)
    if numbers.size and (int(numbers[-1]) >= size or (np.diff(numbers) <= 0).any()):
        malformed(f"expected rising numbers below {size}")
    return numbers


_encoder = msgspec.msgpack.Encoder()


def encode(message: Hello | Told | Found) -> bytes:
    """A message's bytes."""
    return _encoder.encode(message)


def decode(body: bytes, kind: type[_Message]) -> _Message:
    """Read a message of the kind that is due; MatchingMalformed if it is none."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except UNDECODABLE as error:
        raise MatchingMalformed(f"expected {kind.__name__} of time tags: {error}") from error


def malformed(what: str) -> NoReturn:
    """Raise MatchingMalformed with these words."""
    raise MatchingMalformed(what)
