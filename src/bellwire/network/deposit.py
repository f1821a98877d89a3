"""A deposit: keys that the KME of a master hands to the KME of its slaves, and the answer to it.

Both are covered by one part of a relayed block: nobody who does not have it, whatever computer they
have, reads a key, changes one, or says that it was kept.

    part = r 16 ‖ s 16 ‖ t 16 ‖ pad of the length of the keys

r is the point of the hash, s and t are the masks of its two values, of the deposit and its answer
(Wegman–Carter, as `bellwire.crypto.one_time_mac`). Layout: spec/key-relay.md, *Deposits*.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.secret import Secret
from bellwire.crypto.errors import LengthError, TagMismatch
from bellwire.crypto.labels import KEY_RELAY
from bellwire.crypto.one_time_mac import HASH_KEY_BYTES, PAD_BYTES, TAG_BYTES, tag, verify_tag
from bellwire.keys.kme import KEY_ID_BYTES, MAX_KEY_BYTES, MAX_SAE_ID
from bellwire.network.errors import Malformed, NotAuthentic
from bellwire.network.hop import xor
from bellwire.network.identity import NodeName
from bellwire.network.model import MAX_BLOCK_BYTES, TRANSFER_BYTES

VERSION: Final = 1
PART_OVERHEAD: Final = HASH_KEY_BYTES + 2 * PAD_BYTES
"""Bytes of a part beyond those of the keys."""

MAX_DEPOSIT_BYTES: Final = 16 * 1024
"""Keys of one deposit, together; of more keys several deposits are made."""

MAX_SLAVES: Final = 32
MAX_KEYS: Final = MAX_DEPOSIT_BYTES
_MAX_HEADER: Final = 512 * 1024

_LABEL: Final = KEY_RELAY + b" deposit"
_ANSWER_LABEL: Final = KEY_RELAY + b" deposit answer"

Sae = Annotated[str, Meta(min_length=1, max_length=MAX_SAE_ID)]
TransferId = Annotated[bytes, Meta(min_length=TRANSFER_BYTES, max_length=TRANSFER_BYTES)]
Offset = Annotated[int, Meta(ge=0, lt=MAX_BLOCK_BYTES)]


class Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a deposit says in the open.

    Attributes:
        origin: Site of the master.
        target: Site of the slaves.
        transfer: The relayed block whose part covers it.
        at: Where the part lies.
        master: SAE that gets the keys at the origin.
        slaves: SAEs of the target that may have them.
        ids: 16 bytes for each key.
        bits: Length of each key.
    """

    origin: NodeName
    target: NodeName
    transfer: TransferId
    at: Offset
    master: Sae
    slaves: Annotated[tuple[Sae, ...], Meta(min_length=1, max_length=MAX_SLAVES)]
    ids: Annotated[bytes, Meta(min_length=KEY_ID_BYTES, max_length=MAX_KEYS * KEY_ID_BYTES)]
    bits: Annotated[int, Meta(ge=8, le=8 * MAX_KEY_BYTES, multiple_of=8)]

    @property
    def key_bytes(self) -> int:
        """Of all keys together."""
        return len(self.ids) // KEY_ID_BYTES * (self.bits // 8)


class _Deposit(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    header: Annotated[bytes, Meta(max_length=_MAX_HEADER)]
    sealed: Annotated[bytes, Meta(min_length=1, max_length=MAX_DEPOSIT_BYTES)]
    tag: Annotated[bytes, Meta(min_length=TAG_BYTES, max_length=TAG_BYTES)]


class Outcome(StrEnum):
    """What became of a deposit."""

    KEPT = "kept"
    NO_PAD = "no such pad"
    UNKNOWN_SLAVE = "no such slave"
    FAILED = "not stored"


class Answer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What became of a deposit; only that it was kept is proved.

    Attributes:
        target: Who answers.
        transfer: The block of the deposit.
        at: Where its part lies.
        outcome: What became of it.
        tag: Proof of who has the part; empty where the keys were not kept.
    """

    target: NodeName
    transfer: TransferId
    at: Offset
    outcome: Outcome
    tag: Annotated[bytes, Meta(max_length=TAG_BYTES)] = b""


_deposits = msgspec.msgpack.Decoder(_Deposit)
_headers = msgspec.msgpack.Decoder(Header)
_answers = msgspec.msgpack.Decoder(Answer)


def part_bytes(key_bytes: int) -> int:
    """Bytes of a relayed block that a deposit of so many bytes of key takes."""
    return key_bytes + PART_OVERHEAD


def seal(header: Header, keys: Secret, part: Secret) -> bytes:
    """A deposit.

    Args:
        header: What it says in the open.
        keys: All keys, one after the other. Secret.
        part: `part_bytes(len(keys))` bytes of the block, never used before. Secret.
    """
    cut = _cut(part)
    told = msgspec.msgpack.encode(header)
    sealed = xor(keys.reveal(), cut.stream)
    mac = tag(cut.point, cut.mask, _text(told, sealed))
    return msgspec.msgpack.encode(_Deposit(VERSION, told, sealed, mac))


@dataclass(frozen=True, slots=True)
class Deposit:
    """A deposit as it came: to be believed only once `open` has returned.

    Attributes:
        header: What it says of itself.
    """

    header: Header
    _told: _Deposit

    @property
    def part_bytes(self) -> int:
        """Bytes of the block that it takes."""
        return part_bytes(len(self._told.sealed))

    def open(self, part: Secret) -> Secret:
        """The keys; returns only if who has the part made this.

        Raises:
            NotAuthentic: it, or the part, is another.
        """
        cut, told = _cut(part), self._told
        try:
            verify_tag(cut.point, cut.mask, _text(told.header, told.sealed), told.tag)
        except TagMismatch as error:
            raise NotAuthentic(
                f"expected keys from {self.header.origin}, got a deposit of somebody else"
            ) from error
        return Secret(xor(told.sealed, cut.stream))


def read(data: bytes) -> Deposit:
    """Take a deposit apart; nothing of it is believed yet.

    Raises:
        Malformed: it is none of this version.
    """
    try:
        told = _deposits.decode(data)
        header = _headers.decode(told.header)
    except UNDECODABLE as error:
        raise Malformed(f"expected a deposit, got something else: {error}") from error
    if told.version != VERSION:
        raise Malformed(f"expected a deposit of version {VERSION}, got {told.version}")
    if len(header.ids) % KEY_ID_BYTES or header.key_bytes != len(told.sealed):
        raise Malformed(f"expected {header.key_bytes} bytes of key, got {len(told.sealed)}")
    if len(_each(header.ids)) < len(header.ids) // KEY_ID_BYTES:
        raise Malformed("expected each id once, got one twice")
    return Deposit(header, told)


def kept(header: Header, part: Secret) -> bytes:
    """The answer that the keys are kept; only who has the part can give it."""
    cut = _cut(part)
    mac = tag(cut.point, cut.answer, _answer_text(header.target, header.transfer, header.at))
    answer = Answer(header.target, header.transfer, header.at, Outcome.KEPT, mac)
    return msgspec.msgpack.encode(answer)


def refused(header: Header, outcome: Outcome) -> bytes:
    """The answer that the keys are not kept, and why."""
    return msgspec.msgpack.encode(Answer(header.target, header.transfer, header.at, outcome))


def read_answer(data: bytes) -> Answer:
    """Take an answer apart; that keys are kept is believed only once `check_kept` has returned.

    Raises:
        Malformed: it is none.
    """
    try:
        return _answers.decode(data)
    except UNDECODABLE as error:
        raise Malformed(f"expected an answer to a deposit, got something else: {error}") from error


def check_kept(answer: Answer, part: Secret) -> None:
    """Return only if who has the part says that the keys are kept.

    Raises:
        NotAuthentic: it was said by somebody else.
    """
    cut = _cut(part)
    text = _answer_text(answer.target, answer.transfer, answer.at)
    try:
        verify_tag(cut.point, cut.answer, text, answer.tag)
    except (TagMismatch, LengthError) as error:
        raise NotAuthentic(
            f"expected the word of {answer.target} that keys are kept, got somebody else's"
        ) from error


@dataclass(frozen=True, slots=True)
class _Cut:
    point: Secret
    mask: Secret
    answer: Secret
    stream: bytes


def _cut(part: Secret) -> _Cut:
    data = part.reveal()
    ends = (HASH_KEY_BYTES, HASH_KEY_BYTES + PAD_BYTES, PART_OVERHEAD)
    return _Cut(
        Secret(data[: ends[0]]),
        Secret(data[ends[0] : ends[1]]),
        Secret(data[ends[1] : ends[2]]),
        data[ends[2] :],
    )


def _text(header: bytes, sealed: bytes) -> tuple[bytes, ...]:
    return (_LABEL, len(header).to_bytes(4), header, sealed)


def _answer_text(target: str, transfer: bytes, at: int) -> tuple[bytes, ...]:
    return (_ANSWER_LABEL, transfer, at.to_bytes(4), target.encode())


def _each(ids: bytes) -> set[bytes]:
    return {ids[at : at + KEY_ID_BYTES] for at in range(0, len(ids), KEY_ID_BYTES)}
