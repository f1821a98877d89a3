"""What anchoring asks of a chain, whichever it is, and how chains are called.

A chain's name says which of all chains of its kind it is: `eip155:1` is Ethereum (CAIP-2), `hive`
is Hive's main network, `hive:CHAINID` another one.

What always holds of an implementation: `prepare` sends nothing, and of the attempts of one slot the
chain takes at most one, however often they are sent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from bellwire.ledger.anchors.anchor import Anchor
from bellwire.ledger.anchors.errors import AnchorUnusable
from bellwire.ledger.tree import MAX_SIZE

HIVE_MAIN: Final = "beeab0de" + "0" * 56
_EVM: Final = re.compile(r"eip155:([1-9][0-9]{0,18})")
_HIVE: Final = re.compile(r"hive:([0-9a-f]{64})")
MAX_ID: Final = 80
MAX_RAW: Final = 8192

Number = Annotated[int, Meta(ge=0, le=MAX_SIZE)]
Identifier = Annotated[str, Meta(min_length=1, max_length=MAX_ID, pattern="^[0-9a-zA-Z.:-]+$")]


class Attempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signed transaction that carries an anchor.

    Attributes:
        id: By which the chain knows it.
        raw: As it is sent; public.
        slot: Of several attempts of one slot, at most one can come to be in the chain. EVM: the
            account's nonce. Hive: when it expires, in seconds since 1970.
        at: When it was signed, in seconds since 1970.
        fee: What it offers at most per unit of gas, in wei; 0 where nothing is paid.
        tip: What of that goes to the block's maker.
    """

    id: Identifier
    raw: Annotated[str, Meta(min_length=2, max_length=MAX_RAW)]
    slot: Number
    at: Number
    fee: Number = 0
    tip: Number = 0


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where in a chain a transaction is.

    Attributes:
        id: Of the transaction.
        block: Number of its block.
        block_id: Of its block.
        time: Of its block, in seconds since 1970.
        confirmations: Blocks that the chain had from this one on, itself among them.
        cost: What was paid, in wei; 0 where nothing is.
    """

    id: Identifier
    block: Number
    block_id: Identifier
    time: Number
    confirmations: Number
    cost: Annotated[str, Meta(pattern="^[0-9]{1,40}$")] = "0"


class Stage(StrEnum):
    """How far an anchor is."""

    SENT = "sent"
    """Signed, and given to a node; it may come into the chain, now or later."""
    INCLUDED = "included"
    """In a block that the chain may still take back."""
    FINAL = "final"
    """Deep enough."""
    VOID = "void"
    """No attempt can come into the chain any more."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a chain shows of an anchor's attempts."""

    stage: Stage
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An anchor as a chain has it.

    Attributes:
        anchor: What it says.
        place: Where.
        sender: Which account sent it.
        final: Whether it is deep enough.
    """

    anchor: Anchor
    place: Place
    sender: str
    final: bool


class Chain(Protocol):
    """A chain, by a node of it.

    Each call raises ChainUnreachable, ChainRefused or ChainUntrue where the node does not answer,
    does not do it, or contradicts itself.

    Attributes:
        name: As above.
    """

    name: str

    def find(self, transaction: str) -> Found:
        """The anchor that a transaction carries, its content checked against its id.

        Raises:
            AnchorAbsent: the chain has no such transaction.
            AnchorMalformed: it carries no anchor.
            AnchorUnusable: this is no id of a transaction.
        """


class Purse(Protocol):
    """A chain and an account of it, in whose name anchors are sent; raises as `Chain`.

    Attributes:
        name: The chain's.
        sender: The account.
    """

    name: str
    sender: str

    def prepare(self, anchor: Anchor, now: int, earlier: Attempt | None = None) -> Attempt:
        """Sign a transaction, and send nothing.

        Args:
            anchor: What it is to carry.
            now: Seconds since 1970.
            earlier: Of whose slot it is to be, offering more; None for a new slot.

        Raises:
            AnchorTooDear: the chain asks for more than is paid.
        """

    def send(self, attempt: Attempt) -> None:
        """Give an attempt to the node; again is harmless."""

    def look(self, attempts: Sequence[Attempt]) -> Sight:
        """How far the attempts of one slot have come."""

    def may_raise(self, attempt: Attempt, now: int) -> bool:
        """Whether an attempt has waited so long that another of its slot may offer more."""


def check_chain(text: str) -> str:
    """A chain's name in full.

    Raises:
        AnchorUnusable: it is none.
    """
    if text == "hive":
        return f"hive:{HIVE_MAIN}"
    if _EVM.fullmatch(text) or _HIVE.fullmatch(text):
        return text
    raise AnchorUnusable(
        f"expected a chain as eip155:NUMBER, hive or hive:CHAINID, got {text[:80]!r}",
        hint="eip155:1 is Ethereum; every EVM chain has such a number.",
    )


def chain_number(name: str) -> int | None:
    """The number of an EVM chain; None for another."""
    found = _EVM.fullmatch(name)
    return None if found is None else int(found[1])


def hive_id(name: str) -> str | None:
    """The id of a Hive chain, 64 hexadecimal digits; None for another."""
    found = _HIVE.fullmatch(name)
    return None if found is None else found[1]
