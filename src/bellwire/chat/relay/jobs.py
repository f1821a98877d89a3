"""What a relay's store is asked to do, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from bellwire.chat.relay.frames import Reason

if TYPE_CHECKING:
    from bellwire.chat.relay.bundles import Sender
    from bellwire.chat.relay.listening import Listening


class State(Enum):
    """How far a payload has come.

    LINGERING: a listener has got it, and may say that it is safe before it need be stored. QUEUED:
    it waits for the store. SAFE: its owner has it, and it need not be stored any more.
    """

    LINGERING = auto()
    QUEUED = auto()
    WRITING = auto()
    STORED = auto()
    SAFE = auto()
    REFUSED = auto()


@dataclass(eq=False)
class Parcel:
    """A payload on its way through the relay: put in by whoever has the right, for one mailbox.

    There is one for each message, so most of its fields cost nothing until they are set.

    Attributes:
        right_hash: SHA-256 of the right that was shown; empty of what was read from the store.
        token: The sender's, the same when it is sent again.
        gone_at: Until when it is kept, in seconds since the epoch.
        payload: What is in it.
        sender: Who waits for the word that it is done; None: nobody.
        request: The number of that request.
        others: Who waits for the same word besides, as sender and request.
        mailbox: Where it goes; known from the start if its owner listens here.
        account: The owner; as `mailbox`.
        key: By which a listening knows that the same comes again, while it is under way.
        since: When it was taken, in s of the relay's clock.
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
    sender: "Sender | None" = None
    request: int = 0
    since: float = 0.0
    others: "tuple[tuple[Sender, int], ...]" = field(default=(), init=False)
    mailbox: bytes = field(default=b"", init=False)
    account: bytes = field(default=b"", init=False)
    key: bytes = field(default=b"", init=False)
    number: int = field(default=0, init=False)
    state: State = field(default=State.QUEUED, init=False)
    delivered: bool = field(default=False, init=False)
    holds_up: "Listening | None" = field(default=None, init=False)
    listener: bytes = field(default=b"", init=False)

    def tell_done(self) -> None:
        """Say that it is done to all who wait for that, once."""
        sender, self.sender = self.sender, None
        if sender is not None:
            sender.done(self.request)
        for other, request in self.others:
            other.done(request)
        self.others = ()

    def waiting(self) -> "list[tuple[Sender, int]]":
        """Who waits to hear what became of it, with the number of the request."""
        first = [] if self.sender is None else [(self.sender, self.request)]
        return [*first, *self.others]


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
