"""Messages of the peering (spec/kme-peering.md): MessagePack arrays, each tagged with its name."""

from typing import Annotated

import msgspec
from msgspec import Meta

from bellwire.keys.kme import MAX_SAE_ID

VERSION = 1

MAX_MESSAGE = 1 << 20
LADDER = 64
"""Blocks that a SYNC compares: more than are ever under way at once."""

MAX_SAES = 10_000
MAX_SLAVES = 64
MAX_RANGES = 4096

Number = Annotated[int, Meta(ge=0, le=2**62)]
SaeId = Annotated[str, Meta(min_length=1, max_length=MAX_SAE_ID)]
KmeId = Annotated[str, Meta(min_length=1, max_length=MAX_SAE_ID)]
Slaves = Annotated[tuple[SaeId, ...], Meta(min_length=1, max_length=MAX_SLAVES)]


class Sync(msgspec.Struct, frozen=True, array_like=True, tag="sync"):
    """Where this side's pool stands.

    Attributes:
        version: Of this protocol.
        kme: Who we are.
        epoch, next_unit, sequence, peer_sequence: As `rows.PoolMarks`.
        ladder: (block, unit behind it) of the last ready blocks, ascending.
        fence: Set when this side found that the two pools disagree.
    """

    version: Number
    kme: KmeId
    epoch: Number
    next_unit: Number
    sequence: Number
    peer_sequence: Number
    ladder: Annotated[list[tuple[Number, Number]], Meta(max_length=LADDER)]
    fence: bool


class Saes(msgspec.Struct, frozen=True, array_like=True, tag="saes"):
    """The SAEs of this side's site, all of them."""

    names: Annotated[list[SaeId], Meta(max_length=MAX_SAES)]


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """A block is ready here, and its last unit is the one before `stop`."""

    block: Number
    stop: Number


class Propose(msgspec.Struct, frozen=True, array_like=True, tag="propose"):
    """A grant of this side's master."""

    number: Number
    master: SaeId
    slaves: Slaves


class Agreed(msgspec.Struct, frozen=True, array_like=True, tag="agreed"):
    """The peer's grant is stored here."""

    number: Number


class Declined(msgspec.Struct, frozen=True, array_like=True, tag="declined"):
    """The peer's grant cannot be: none of its slaves is here, or its number means another.

    Attributes:
        number: Of the grant.
        last: The highest number of the peer's that is known here, if it means another; else 0.
    """

    number: Number
    last: Number


class Issued(msgspec.Struct, frozen=True, array_like=True, tag="issued"):
    """What left here since the last of these, and where the sequence is now.

    Attributes:
        sequence: As `rows.PoolMarks`.
        ranges: Units handed out to masters: first, and the one behind the last.
        free: Units that this side may still hand out.
        next_unit: The unit behind the last ready block that `free` counts.
    """

    sequence: Number
    ranges: Annotated[list[tuple[Number, Number]], Meta(max_length=MAX_RANGES)]
    free: Number
    next_unit: Number


class Give(msgspec.Struct, frozen=True, array_like=True, tag="give"):
    """Segments, by their first units, that the peer hands out from now on, and this side never."""

    firsts: Annotated[list[Number], Meta(min_length=1, max_length=MAX_RANGES)]


class Took(msgspec.Struct, frozen=True, array_like=True, tag="took"):
    """The peer's segments are stored as this side's; what it gave twice is said twice."""

    firsts: Annotated[list[Number], Meta(min_length=1, max_length=MAX_RANGES)]


Message = Sync | Saes | Ready | Propose | Agreed | Declined | Issued | Give | Took

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """The bytes of a message."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """Read a message; one of `base.decoding.UNDECODABLE` where it is none."""
    return _decoder.decode(data)
