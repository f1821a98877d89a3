"""What a relay's store is asked to do, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from bellwire.chat.relay.frames import Reason

if TYPE_CHECKING:
    from bellwire.chat.relay.connection import Connection
    from bellwire.chat.relay.listening import Listening


class State(Enum):
    """How far a payload has come."""

    QUEUED = auto()
    WRITING = auto()
    STORED = auto()
    SAFE = auto()
    """The owner has said so: it need not be stored any more."""
    REFUSED = auto()


@dataclass(slots=True, eq=False)
class Parcel:
    """A payload on its way through the relay: put in by whoever has the right, for one mailbox.

    Attributes:
        right_hash: SHA-256 of the right that was shown; empty of what was read from the store.
        token: The sender's, the same when it is sent again.
        gone_at: Until when it is kept, in seconds since the epoch.
        payload: What is in it.
        senders: Who waits for the word that it is done, with the number of the request.
        mailbox: Where it goes; known from the start if its owner listens here.
        account: The owner; as `mailbox`.
        number: In the store, growing in the order in which payloads were stored; 0 while it is not.
        state: Kept by the event loop's thread alone.
        delivered: Whether it is, or was, under way to a listener.
        holds_up: The listener that gets nothing newer at once until this is stored.
        listener: Which of several relays has the owner listening, once it is stored; empty: none.
    """

    right_hash: bytes
    token: bytes
    gone_at: int
    payload: bytes
    senders: "list[tuple[Connection, int]]"
    mailbox: bytes = b""
    account: bytes = b""
    number: int = 0
    state: State = State.QUEUED
    delivered: bool = False
    holds_up: "Listening | None" = None
    listener: bytes = b""


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """Give an account a mailbox."""

    account: bytes
    mailbox: bytes
    right_hash: bytes


@dataclass(frozen=True, slots=True)
class CloseMailbox:
    """Take a mailbox of an account away, with what is in it."""

    account: bytes
    mailbox: bytes


@dataclass(frozen=True, slots=True)
class Fetch:
    """The oldest payloads of an account, at most `limit`, without those under way to it.

    Of a store that is shared: under a claim, or `Reason.ELSEWHERE` if that is not the newest.
    """

    account: bytes
    flying: Sequence[Parcel]
    limit: int
    claim: int = 0


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """The mailboxes of an account, each with the hash of its right."""

    account: bytes


@dataclass(frozen=True, slots=True)
class Expire:
    """Forget what is due at `now`, in seconds since the epoch."""

    now: int


# Of a store that is shared:


@dataclass(frozen=True, slots=True)
class Claim:
    """An account listens here now; `now` is in seconds since the epoch."""

    account: bytes
    now: int


@dataclass(frozen=True, slots=True)
class Release:
    """It does not any more, under this claim."""

    account: bytes
    claim: int


@dataclass(frozen=True, slots=True)
class Look:
    """All claims of this relay."""


Job = OpenMailbox | CloseMailbox | Parcel | Fetch | Mailboxes | Expire | Claim | Release | Look


@dataclass(frozen=True, slots=True)
class Claimed:
    """At which relay an account listens.

    Attributes:
        account: Whose.
        relay: Which; of a claim that was just made, where it was until now; empty: nowhere.
        claim: Its number.
        last: Number of the newest payload that was stored since; 0: none.
    """

    account: bytes
    relay: bytes
    claim: int
    last: int


class Was(Enum):
    """What became of a parcel or a mailbox that was not refused."""

    DONE = auto()
    THERE = auto()
    """The same was there before, and the word that it was got lost."""


Outcome = Reason | Was | list[Parcel] | list[tuple[bytes, bytes]] | list[Claimed]
"""A refusal; done; what was fetched; mailboxes and hashes of their rights; or claims."""
