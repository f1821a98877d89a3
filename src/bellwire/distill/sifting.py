"""Which slots both sides registered, how the lists travel, and what each slot serves.

A list of slots travels as a bitmap of the block, or as the gaps between slots in one, two or four
bytes each, whichever is shortest; both sides can tell the forms apart by a leading byte.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bellwire.base.angles import KEY_PAIRS
from bellwire.base.bits import PackedBitsError, unpack
from bellwire.base.detections import Protocol, Settings, Slots
from bellwire.crypto.stream import NoiseStream
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.estimation import ErrorRate

_BITMAP = 0
_GAP_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4")}


def encode_slots(slots: Slots, pulses: int) -> bytes:
    """Encode strictly increasing slots below `pulses` in the shortest form."""
    gaps = np.diff(slots, prepend=-1) - 1
    largest = int(gaps.max()) if gaps.size else 0
    width = 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
    if width * slots.size < (pulses + 7) // 8:
        return bytes([width]) + gaps.astype(_GAP_TYPES[width]).tobytes()
    bitmap = np.zeros(pulses, np.uint8)
    bitmap[slots] = 1
    return bytes([_BITMAP]) + np.packbits(bitmap, bitorder="little").tobytes()


def decode_slots(data: bytes, pulses: int) -> Slots:
    """Decode a list of slots.

    Raises:
        MalformedMessage: unknown form, wrong length, or a slot at or beyond `pulses`.
    """
    form, body = data[:1], data[1:]
    if form == bytes([_BITMAP]):
        try:
            return np.flatnonzero(unpack(body, pulses)).astype(np.int64)
        except PackedBitsError as error:
            raise MalformedMessage(f"list of slots: {error}") from error
    dtype = _GAP_TYPES.get(form[0]) if form else None
    if dtype is None:
        raise MalformedMessage("list of slots: expected form 0, 1, 2 or 4")
    if len(body) % dtype.itemsize or len(body) // dtype.itemsize > pulses:
        raise MalformedMessage(f"list of slots: {len(body)} bytes are not a list of gaps")
    gaps = np.frombuffer(body, dtype).astype(np.int64)
    slots = np.cumsum(gaps + 1) - 1
    if slots.size and slots[-1] >= pulses:
        raise MalformedMessage(f"list of slots: expected slots below {pulses}, got {slots[-1]}")
    return np.asarray(slots, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Roles:
    """What each common slot serves, as positions into the list of common slots.

    Attributes:
        key: Positions whose outcomes stay secret and become key, part after part.
        parts: Bits of `key` per part (basis of BB84 and BBM92, key setting of E91).
        test: Positions whose outcomes are opened.
    """

    key: NDArray[np.int64]
    parts: tuple[int, ...]
    test: NDArray[np.int64]

    def errors(self, wrong: NDArray[np.integer[Any]]) -> tuple[ErrorRate, ErrorRate]:
        """Errors of each of the two parts, from the positions in the key that differ."""
        first, second = self.parts
        of_first = int((wrong < first).sum())
        return ErrorRate(of_first, first), ErrorRate(wrong.size - of_first, second)


def assign(
    protocol: Protocol,
    alice: Settings,
    bob: Settings,
    sample_share: float,
    seed: bytes,
    *,
    rare: int | None = None,
) -> Roles:
    """Divide the common slots by the announced settings of both sides.

    BB84 and BBM92 keep equal bases and test a random `sample_share` of each basis, drawn from the
    public `seed`. A `rare` basis, the other one being preferred, is tested whole: key comes from
    the preferred basis alone, and what the rare one shows limits Eve there. E91 keys on
    `KEY_PAIRS` and tests every other pair of settings. Unequal bases serve nothing.
    """
    if protocol.judged_on_chsh:
        parts = [np.flatnonzero((alice == a) & (bob == b)) for a, b in KEY_PAIRS]
        used = np.zeros(alice.size, bool)
        for part in parts:
            used[part] = True
        return Roles(np.concatenate(parts), tuple(p.size for p in parts), np.flatnonzero(~used))
    noise = NoiseStream(seed, "sample")
    keys: list[NDArray[np.int64]] = []
    tests: list[NDArray[np.int64]] = []
    for basis in (0, 1):
        sifted = np.flatnonzero((alice == basis) & (bob == basis))
        order = np.argsort(noise.uniform(sifted.size), kind="stable")
        cut = sifted.size if basis == rare else round(sample_share * sifted.size)
        tests.append(np.sort(sifted[order[:cut]]))
        keys.append(np.sort(sifted[order[cut:]]))
    return Roles(np.concatenate(keys), tuple(k.size for k in keys), np.concatenate(tests))
