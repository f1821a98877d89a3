"""What crosses the classical channel inside a block, step by step (spec/classical-channel.md).

Bodies are MessagePack arrays; elements that a later version appends are ignored by this one. Bits
are packed (`base.bits`); their number is public, so a body of the wrong length is malformed.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from bellwire.base.decoys import Decoys
from bellwire.base.detections import Protocol, Side
from bellwire.base.limits import MAX_PULSES
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.reconciliation import Method

VERSION = 1
MAX_BODY = 32 << 20
NONCE_BYTES = 32
TICKET_BYTES = 16
SESSION_BYTES = 16
MAX_PAD_BITS = 1 << 16
"""Longest pad of a session: 8 kB."""

PAD_SET_BITS = 512
"""What a block's tags use up."""

Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Short = Annotated[bytes, Meta(max_length=16)]


class Open(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=False):
    """Step 0. What this block is; Bob echoes Alice's, so that both bodies are equal."""

    version: Annotated[int, Meta(ge=1, le=255)]
    number: Annotated[int, Meta(ge=1, le=1 << 62)]
    probe: bool
    protocol: Protocol
    pulses: Annotated[int, Meta(ge=1, le=MAX_PULSES)]
    ticket: Annotated[bytes, Meta(min_length=TICKET_BYTES, max_length=TICKET_BYTES)]
    sample_share: Annotated[float, Meta(gt=0.0, lt=1.0)]
    epsilon: Annotated[float, Meta(gt=0.0, le=1e-3)]
    red_qber: Fraction
    chsh_floor: Annotated[float, Meta(ge=2.0, lt=2.83)]
    rectilinear: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.5
    decoys: Decoys | None = None
    reconciliation: Method = Method.CASCADE

    @property
    def rare_basis(self) -> int | None:
        """The basis that gives no key because the other is preferred; None if neither is.

        E91 has settings, none of them preferred. Of decoy states one basis is always for the test,
        the diagonal one if both are as likely.
        """
        if self.protocol.weak:
            return 1 if self.rectilinear >= 0.5 else 0
        if self.rectilinear == 0.5 or self.protocol.judged_on_chsh:
            return None
        return 1 if self.rectilinear > 0.5 else 0

    @property
    def sound(self) -> bool:
        """Whether decoy states say what they are, and nothing else does."""
        return self.protocol.weak == (self.decoys is not None)

    @property
    def extracted_bits(self) -> int | None:
        """So many bits are extracted, and no more; None for all that there are."""
        return None


class Fresh(Open, frozen=True, array_like=True, kw_only=True, tag="fresh"):
    """Step 0 of a session: a block whose key is one pad, for one master and one slave.

    A session that is a probe gives no pad: it says what the link is like to somebody who asked.

    Attributes:
        session: Its id, and the pad's.
        pad_bits: Length of the pad.
        master: The side of the master SAE.
        grant: Number of a grant of that side, which says who master and slave are.
    """

    session: Annotated[bytes, Meta(min_length=SESSION_BYTES, max_length=SESSION_BYTES)]
    pad_bits: Annotated[int, Meta(ge=8, le=MAX_PAD_BITS, multiple_of=8)]
    master: Side
    grant: Annotated[int, Meta(ge=1, le=(1 << 18) - 1)]

    @property
    def extracted_bits(self) -> int:
        """The pad, its own tags, and as much again for those of a session that failed."""
        return self.pad_bits + 2 * PAD_SET_BITS

    @property
    def sound(self) -> bool:
        """Sessions are of E91: they are judged on S."""
        return super().sound and self.protocol is Protocol.E91


MAX_SUPPLY_KEYS = 1024
MAX_SUPPLY_BITS = 1 << 23
SuppliedId = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\A[!-~]+\Z")]


class Supply(msgspec.Struct, frozen=True, array_like=True, tag="supply"):
    """Step 0 of a block of a vendor's keys: under which ids Alice's box gave them, and their size.

    A probe draws none: no ids, and size 0.
    """

    version: Annotated[int, Meta(ge=1, le=255)]
    number: Annotated[int, Meta(ge=1, le=1 << 62)]
    probe: bool
    key_bits: Annotated[int, Meta(ge=0, le=1 << 20, multiple_of=8)]
    key_ids: Annotated[list[SuppliedId], Meta(max_length=MAX_SUPPLY_KEYS)]

    @property
    def bits(self) -> int:
        """Bits of all keys together."""
        return self.key_bits * len(self.key_ids)

    @property
    def sound(self) -> bool:
        """Whether a probe has no keys and a block has some, no id twice and not too many bits."""
        if self.probe:
            return not self.key_ids and self.key_bits == 0
        return 0 < self.bits <= MAX_SUPPLY_BITS and len(set(self.key_ids)) == len(self.key_ids)


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """Step 1 of a probe of a vendor's boxes: the sender's box answers."""

    number: Annotated[int, Meta(ge=1, le=1 << 62)]


class Received(msgspec.Struct, frozen=True, array_like=True):
    """Step 1. Slots this side registered (empty for a side that prepares), and the tag on them."""

    slots: Annotated[bytes, Meta(max_length=MAX_BODY)]
    tag: Short


class Announced(msgspec.Struct, frozen=True, array_like=True):
    """Step 2. Settings at the common slots, as coded planes, and this side's public nonce.

    E91's `high` has a bit for each slot whose bit of `low` is 0. Alice's intensities of decoy
    states, 0 the signal, are said alike.
    """

    low: Annotated[bytes, Meta(max_length=MAX_BODY)]
    high: Annotated[bytes, Meta(max_length=MAX_BODY)]
    nonce: Nonce
    intensity_low: Annotated[bytes, Meta(max_length=MAX_BODY)] = b""
    intensity_high: Annotated[bytes, Meta(max_length=MAX_BODY)] = b""


class Tested(msgspec.Struct, frozen=True, array_like=True):
    """Step 3. Outcomes at the test slots."""

    outcomes: Annotated[bytes, Meta(max_length=MAX_BODY)]


class Decided(msgspec.Struct, frozen=True, array_like=True):
    """Step 4. The verdict, with the first parities; or, if there is no key, its own outcomes."""

    go: bool
    body: Annotated[bytes, Meta(max_length=MAX_BODY)]


class Proof(msgspec.Struct, frozen=True, array_like=True):
    """After reconciliation: Alice's hash of the key and seed of amplification; Bob's is empty."""

    hash_key: Short
    key_hash: Short
    seed: Annotated[bytes, Meta(max_length=MAX_BODY)]


class Tagged(msgspec.Struct, frozen=True, array_like=True):
    """Wegman–Carter tag over the whole transcript before it."""

    tag: Short


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """The sender has verified the block and keeps it durably."""

    number: Annotated[int, Meta(ge=1, le=1 << 62)]


_encoder = msgspec.msgpack.Encoder()
T = TypeVar("T", bound=msgspec.Struct)


def encode(message: msgspec.Struct) -> bytes:
    """Encode a message body."""
    return _encoder.encode(message)


def decode(body: bytes, kind: type[T]) -> T:
    """Decode a body as the message that this step must carry.

    Raises:
        MalformedMessage: it is anything else.
    """
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"expected {kind.__name__}: {error}") from error
