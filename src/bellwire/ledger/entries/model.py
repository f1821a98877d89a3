"""The kinds of entries.

Each says what happened, when, and which writer says so. A writer numbers its entries without gaps,
so that whoever reads the log sees whether one is missing. There is no field for key material.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from bellwire.ledger.entries.fields import (
    Chsh,
    Commitment,
    Digest,
    Epoch,
    Handle,
    KeyId,
    Name,
    Number,
    Packets,
    Party,
    ProtocolName,
    PublicKey,
    Qber,
    Source,
    Time,
    Words,
)


class _Entry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    gc=False,
):
    """What every entry has.

    Attributes:
        v: Version of its form.
        at: When it happened.
        writer: Who says so.
        epoch: Of the writer's outbox.
        sequence: Its number in that; the first is 1, and none is left out.
    """

    v: Literal[1]
    at: Time
    writer: Name
    epoch: Epoch
    sequence: Number


class Registration(_Entry, frozen=True, kw_only=True, tag="registration", gc=False):
    """Somebody joined under a handle, with these keys, or was refused.

    Attributes:
        handle: Public from now on, for ever.
        keys: Their public keys.
        verdict: Of the admission.
        evidence: What the verdict rests on.
    """

    handle: Handle
    keys: Annotated[tuple[PublicKey, ...], Meta(min_length=1, max_length=6)]
    verdict: Literal["secure", "insecure"]
    evidence: Commitment | None = None

    def __post_init__(self) -> None:
        names = [each.algorithm.value for each in self.keys]
        if names != sorted(set(names)):
            raise ValueError("expected one key of each algorithm, in the order of their names")


class Revocation(_Entry, frozen=True, kw_only=True, tag="revocation", gc=False):
    """Keys of a handle hold no more.

    Attributes:
        handle: Whose.
        keys: SHA-256 of each public key, ascending.
        reason: Why.
    """

    handle: Handle
    keys: Annotated[tuple[Digest, ...], Meta(min_length=1, max_length=16)]
    reason: Literal["superseded", "compromised", "closed", "operator"]

    def __post_init__(self) -> None:
        if list(self.keys) != sorted(set(self.keys)):
            raise ValueError("expected each key once, ascending")


class KeyExchange(_Entry, frozen=True, kw_only=True, tag="key-exchange", gc=False):
    """Parties have a key in common.

    Attributes:
        id: Of the key, which says nothing about its bits.
        parties: Who was granted it, the master first.
        bits: Its size.
        source: Where its bits came from.
        node: Whose node gave it.
        block: Which block its first bits are of; None for a key of no block.
        qber: Of that block.
        chsh: S of that block.
    """

    id: KeyId
    parties: Annotated[tuple[Party, ...], Meta(min_length=2, max_length=16)]
    bits: Annotated[int, Meta(ge=1, le=2**40)]
    source: Source
    node: Name
    block: Number | None = None
    qber: Qber | None = None
    chsh: Chsh | None = None


class BlockRejected(_Entry, frozen=True, kw_only=True, tag="block-rejected", gc=False):
    """A block, or a probe, of a link gave no key.

    Attributes:
        link: Of which link.
        node: Whose node says so.
        block: Its number; None for a probe, which has none.
        protocol: How it was made, if it came so far.
        reason: Why it was rejected.
        qber: Its error rate, if it came so far.
        chsh: Its S.
    """

    link: Name
    node: Name
    reason: Words
    block: Number | None = None
    protocol: ProtocolName | None = None
    qber: Qber | None = None
    chsh: Chsh | None = None


class LinkStatus(_Entry, frozen=True, kw_only=True, tag="link-status", gc=False):
    """The status of a link changed.

    Attributes:
        link: Of which link.
        node: Whose node says so.
        status: What it is now.
        stale: Whether nothing recent was decided about the link.
        reason: Why.
        qber: Mean of its last accepted blocks.
    """

    link: Name
    node: Name
    status: Literal["GREEN", "YELLOW", "RED"]
    stale: bool
    reason: Words
    qber: Qber | None = None


class GuardAction(_Entry, frozen=True, kw_only=True, tag="guard-action", gc=False):
    """A guard let packets pass, or stopped them.

    Attributes:
        guard: Which.
        packets: What it did.
        reason: Why.
    """

    guard: Name
    packets: Packets
    reason: Words


class Override(_Entry, frozen=True, kw_only=True, tag="override", gc=False):
    """An operator decided in the place of a guard, or gave the decision back.

    Attributes:
        guard: Which.
        operator: Who.
        packets: What was decided; None gives the decision back.
        until: When that ends by itself.
        reason: Why, in the operator's words.
    """

    guard: Name
    operator: Party
    packets: Packets | None = None
    until: Time | None = None
    reason: Commitment | None = None


Entry: TypeAlias = (
    Registration | Revocation | KeyExchange | BlockRejected | LinkStatus | GuardAction | Override
)

KINDS = (Registration, Revocation, KeyExchange, BlockRejected, LinkStatus, GuardAction, Override)
