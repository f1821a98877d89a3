"""Key ids: where a key's bits lie and to whom they were granted, for the two KMEs alone to read.

An id is a UUID of version 4 (RFC 9562, 5.4), for there are clients that accept no later version.
Its 122 free bits are `tag (52) ‖ place ⊕ mask (70)`: the place says first unit, length and grant;
the tag is a function of the place under one key, the mask a function of the tag under another, both
known to the two KMEs of the link and to nobody else. This is the SIV construction (Rogaway and
Shrimpton, 2006): deterministic authenticated encryption, without a nonce, of texts that never
repeat.

Who sees ids, however many, learns nothing of the ids to come: else he could name one before its
owner does, and have that key burnt. An id that was made up passes with a chance of 2⁻⁵², and then
leads its maker, if the grant happens to be his, to bits that nobody else was told.

Keys differ by direction and by epoch, so that an id of one pool reads as made up in every other.
"""

import hmac
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.crypto.block_function import KEY_BYTES, BlockFunction
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import KEY_IDS
from bellwire.keys.errors import KeyGone
from bellwire.keys.kme import KEY_ID_BYTES, MAX_KEY_BYTES
from bellwire.keys.model import UNIT_BYTES

UNIT_FIELD = 42
"""Bits of a unit's number: 32 TiB of key in one epoch."""

LENGTH_FIELD = 10
GRANT_FIELD = 18

MAX_UNIT = 2**UNIT_FIELD
MAX_GRANT = 2**GRANT_FIELD

_PLACE = UNIT_FIELD + LENGTH_FIELD + GRANT_FIELD
_TAG = 122 - _PLACE
_PLACE_MASK = (1 << _PLACE) - 1

_TAG_SHIFT, _MASK_SHIFT = 128 - _TAG, 128 - _PLACE
_LOW = (1 << 62) - 1

_FEW = 16
"""Up to so many ids, Python's integers are faster than NumPy's arrays."""

Words = NDArray[np.uint64]

# Made once: a scalar of NumPy costs as much as it takes to shift sixteen words by it.
_2, _8, _12, _16, _62 = (np.uint64(each) for each in (2, 8, 12, 16, 62))
_LAST_12, _LAST_62 = np.uint64(0xFFF), np.uint64(_LOW)
_VERSION, _VARIANT = np.uint64(0x4000), np.uint64(0b10 << 62)
_LOW_BITS, _TO_UPPER = (
    np.uint64(LENGTH_FIELD + GRANT_FIELD),
    np.uint64(64 - LENGTH_FIELD - GRANT_FIELD),
)
_MASK_BY, _MASK_BACK = np.uint64(_MASK_SHIFT), np.uint64(64 - _MASK_SHIFT)


class Place(NamedTuple):
    """Where a key lies, or several of one length and grant that follow each other.

    Attributes:
        first: Number of its first unit in the pool of the link.
        length: Bytes of the key, or of each.
        grant: To whom it was granted: a number that both KMEs know, of the master's direction.
        number: How many keys.
    """

    first: int
    length: int
    grant: int
    number: int = 1

    @property
    def units(self) -> int:
        """Units that each key covers."""
        return -(-self.length // UNIT_BYTES)

    @property
    def stop(self) -> int:
        """Number of the unit behind the last one."""
        return self.first + self.number * self.units

    def spans(self) -> list[tuple[int, int]]:
        """Of each key the first unit, and the one behind its last."""
        units = self.units
        return [(first, first + units) for first in range(self.first, self.stop, units)]


class KeyIds:
    """Makes and reads the ids of one direction of a link.

    Args:
        mac_key: The link's pre-placed MAC key; used through HKDF only. Secret.
        master: Whose SAEs are masters of these keys.
        epoch: Number of the pool's epoch, which changes when a pool is fenced.
    """

    __slots__ = ("_mask", "_tag")

    def __init__(self, mac_key: Secret, master: Side, epoch: int) -> None:
        info = b"".join((KEY_IDS, b"\0", master.value.encode(), b"\0", epoch.to_bytes(8, "big")))
        keys = hkdf(mac_key.reveal(), info=info, length=2 * KEY_BYTES)
        self._tag = BlockFunction(keys[:KEY_BYTES])
        self._mask = BlockFunction(keys[KEY_BYTES:])

    def __repr__(self) -> str:
        return "KeyIds()"

    def make(self, firsts: Sequence[int], length: int, grant: int) -> bytes:
        """Ids of keys of one length and grant.

        Args:
            firsts: First unit of each key, one at least; a range is to ascend.
            length: Bytes of each key.
            grant: As `Place.grant`.

        Returns:
            16 bytes for each, in order.

        Raises:
            ValueError: a number does not fit an id.
        """
        ascending = isinstance(firsts, range) or len(firsts) == 1
        ends = (firsts[0], firsts[-1]) if ascending else (min(firsts), max(firsts))
        if not (
            0 <= ends[0] <= ends[1] < MAX_UNIT
            and 1 <= length <= MAX_KEY_BYTES
            and 0 <= grant < MAX_GRANT
        ):
            raise ValueError("expected units, a length and a grant that fit an id")
        if len(firsts) == 1:
            return self._make_one(firsts[0], length, grant)
        if len(firsts) > _FEW:
            return self._make_many(_words(firsts), length, grant)
        return b"".join(self._make_one(first, length, grant) for first in firsts)

    def read(self, ids: bytes) -> list[Place | None]:
        """The places of ids; None where an id was not made under these keys.

        Ids in a row whose keys follow each other may be told as one place.

        Args:
            ids: 16 bytes for each.
        """
        count = len(ids) // KEY_ID_BYTES
        if count == 1:
            return [self._read_one(ids)]
        if count > _FEW:
            run = self._read_run(ids, count)
            return self._read_many(ids) if run is None else [run]
        ends = range(KEY_ID_BYTES, len(ids) + 1, KEY_ID_BYTES)
        return [self._read_one(ids[end - KEY_ID_BYTES : end]) for end in ends]

    def _make_one(self, first: int, length: int, grant: int) -> bytes:
        text = (first << LENGTH_FIELD | length - 1) << GRANT_FIELD | grant
        tag = self._tag.number(text) >> _TAG_SHIFT
        free = tag << _PLACE | text ^ self._mask.number(tag) >> _MASK_SHIFT
        high = free >> 62
        word = (high >> 12) << 16 | 0x4000 | high & 0xFFF
        return (word << 64 | 0b10 << 62 | free & _LOW).to_bytes(KEY_ID_BYTES, "big")

    def _read_one(self, key_id: bytes) -> Place | None:
        value = int.from_bytes(key_id, "big")
        word = value >> 64
        free = ((word >> 16) << 12 | word & 0xFFF) << 62 | value & _LOW
        tag = free >> _PLACE
        text = free & _PLACE_MASK ^ self._mask.number(tag) >> _MASK_SHIFT
        shaped = word >> 12 & 0xF == 4 and value >> 62 & 0b11 == 0b10
        if not shaped or self._tag.number(text) >> _TAG_SHIFT != tag:
            return None
        return Place(
            text >> LENGTH_FIELD + GRANT_FIELD,
            (text >> GRANT_FIELD & MAX_KEY_BYTES - 1) + 1,
            text & MAX_GRANT - 1,
        )

    # The same with two words of 64 bits for each id: the place's upper 6 bits, and its lower 64.

    def _make_many(self, firsts: Words, length: int, grant: int) -> bytes:
        upper = firsts >> _TO_UPPER
        lower = firsts << _LOW_BITS | np.uint64((length - 1) << GRANT_FIELD | grant)
        tags = self._tags(upper, lower)
        upper_mask, lower_mask = self._masks(tags)
        upper ^= upper_mask
        lower ^= lower_mask
        words = np.empty((len(firsts), 2), ">u8")
        high = tags << _8 | upper << _2 | lower >> _62
        words[:, 0] = high >> _12 << _16 | _VERSION | high & _LAST_12
        words[:, 1] = lower & _LAST_62 | _VARIANT
        return words.tobytes()

    def _read_run(self, ids: bytes, count: int) -> Place | None:
        """The place of ids whose keys follow each other, as a master gets them; else None.

        An id is the only one of its place: if these are those that would be made, they were.
        """
        first = self._read_one(ids[:KEY_ID_BYTES])
        if first is None:
            return None
        run = first._replace(number=count)
        if run.stop > MAX_UNIT:
            return None
        firsts = _words(range(run.first, run.stop, run.units))
        made = self._make_many(firsts, run.length, run.grant)
        return run if hmac.compare_digest(made, ids) else None

    def _read_many(self, ids: bytes) -> list[Place | None]:
        words = np.frombuffer(ids, ">u8").astype(np.uint64).reshape(-1, 2)
        high = words[:, 0] >> _16 << _12 | words[:, 0] & _LAST_12
        tags = high >> _8
        upper = high >> _2 & np.uint64(0x3F)
        lower = high << _62 | words[:, 1] & _LAST_62
        upper_mask, lower_mask = self._masks(tags)
        upper, lower = upper ^ upper_mask, lower ^ lower_mask
        good = (
            (self._tags(upper, lower) == tags)
            & (words[:, 0] >> _12 & np.uint64(0xF) == np.uint64(4))
            & (words[:, 1] >> _62 == np.uint64(0b10))
        )
        firsts = upper << _TO_UPPER | lower >> _LOW_BITS
        kinds = lower & np.uint64((1 << LENGTH_FIELD + GRANT_FIELD) - 1)
        units = (kinds >> np.uint64(GRANT_FIELD)) // np.uint64(UNIT_BYTES) + np.uint64(1)
        follows = (firsts[1:] == firsts[:-1] + units[:-1]) & (kinds[1:] == kinds[:-1])
        begins = np.flatnonzero(np.concatenate(([True], ~(follows & good[1:] & good[:-1]))))
        counts = np.diff(begins, append=len(firsts))
        columns = firsts[begins], kinds[begins], counts, good[begins]
        return [
            Place(first, (kind >> GRANT_FIELD) + 1, kind & MAX_GRANT - 1, count) if made else None
            for first, kind, count, made in zip(*(each.tolist() for each in columns), strict=True)
        ]

    def _tags(self, upper: Words, lower: Words) -> Words:
        blocks = np.empty((len(lower), 2), ">u8")
        blocks[:, 0], blocks[:, 1] = upper, lower
        return _native(self._tag, blocks)[:, 0] >> np.uint64(64 - _TAG)

    def _masks(self, tags: Words) -> tuple[Words, Words]:
        blocks = np.zeros((len(tags), 2), ">u8")
        blocks[:, 1] = tags
        words = _native(self._mask, blocks)
        return words[:, 0] >> _MASK_BY, words[:, 0] << _MASK_BACK | words[:, 1] >> _MASK_BY


def _native(function: BlockFunction, blocks: NDArray[np.uint64]) -> Words:
    """What becomes of blocks, as two words each."""
    return np.frombuffer(function(blocks.tobytes()), ">u8").astype(np.uint64).reshape(-1, 2)


def _words(numbers: Sequence[int]) -> Words:
    if isinstance(numbers, range):
        return np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.uint64)
    return np.array(numbers, np.uint64)


def each_id(ids: bytes) -> list[bytes]:
    """Ids that came one after the other."""
    return [ids[at : at + KEY_ID_BYTES] for at in range(0, len(ids), KEY_ID_BYTES)]


def unknown(key_id: bytes) -> KeyGone:
    """What is said of an id that no key of ours has, whatever the cause."""
    return KeyGone(str(UUID(bytes=key_id)), "it left before, or never was here")
