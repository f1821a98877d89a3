"""How far a listener has got: what is under way to it, and whether it has all that is older."""

from typing import Final

from bellwire.chat.relay.bundles import Bundle
from bellwire.chat.relay.jobs import Parcel, State

WINDOW: Final = 64
"""Payloads that a listener may have without having said that they are safe: at most a megabyte."""


class Listening:
    """What one connection gets delivered; numbers count its deliveries, from 1.

    A new payload is delivered at once only while the listener has all that came before it: nothing
    of the account is in the store that is not under way to it (`caught_up`), and nothing that must
    be stored first waits for the store (`behind`).

    Attributes:
        account: Whose mailboxes.
        flying: What was delivered and not said to be safe, by its number.
        tokens: The same, as far as it is stored or may be, by mailbox and token together.
        bundles: What was delivered in bundles that still are such, by the number of the first.
        bundled: Their tokens, whatever the mailbox.
        caught_up: Whether the store has nothing that the listener did not get.
        behind: Parcels of the account that wait for the store undelivered.
        fetching: Whether the store was asked for more.
        again: Whether the store must be asked once more after that.
        highest: The highest number in the store of what a fetch gave.
        claim: Of a store that is shared: under which it listens; 0: not yet.
        looked: The highest number of the account that was seen there, fetched or not.
    """

    __slots__ = (
        "_last",
        "account",
        "again",
        "behind",
        "bundled",
        "bundles",
        "caught_up",
        "claim",
        "fetching",
        "flying",
        "highest",
        "looked",
        "tokens",
    )

    def __init__(self, account: bytes) -> None:
        self.account = account
        self.flying: dict[int, Parcel] = {}
        self.tokens: dict[bytes, Parcel] = {}
        self.bundles: dict[int, Bundle] = {}
        self.bundled: set[bytes] = set()
        self._last = 0
        self.caught_up = False
        self.behind = 0
        self.fetching = False
        self.again = False
        self.highest = 0
        self.claim = 0
        self.looked = 0

    @property
    def room(self) -> int:
        """How many more may be under way."""
        return WINDOW - len(self.flying) - len(self.bundled)

    @property
    def open(self) -> bool:
        """Whether a new payload may be delivered before it is stored."""
        return self.caught_up and not self.behind and self.room > 0

    def add(self, parcel: Parcel) -> int:
        """One more is under way; its number."""
        self._last = number = self._last + 1
        self.flying[number] = parcel
        key = parcel.key
        if not key:
            parcel.key = key = parcel.mailbox + parcel.token
        self.tokens[key] = parcel
        parcel.delivered = True
        return number

    def take(self, number: int) -> Parcel | None:
        """The listener has it; None if nothing of that number is under way."""
        parcel = self.flying.pop(number, None)
        if parcel is None and self.bundles:
            self.unpack()
            parcel = self.flying.pop(number, None)
        if parcel is not None:
            self.lose(parcel)
        return parcel

    def lose(self, parcel: Parcel) -> None:
        """It was not stored: who drops it again is not told that it is there."""
        if self.tokens.get(parcel.key) is parcel:
            del self.tokens[parcel.key]

    def lingering(self) -> list[Parcel]:
        """What is neither stored, nor on its way there, nor said to be safe, oldest first.

        Not counting what is still in bundles.
        """
        return [each for each in self.flying.values() if each.state is State.LINGERING]

    def add_bundle(self, bundle: Bundle) -> int | None:
        """As many more are under way; the number of the first.

        None, and nothing is: a token of it is under way already, there are two alike, or it is too
        much at once.
        """
        tokens = bundle.tokens
        if len(tokens) > self.room or not self.bundled.isdisjoint(tokens):
            return None
        if self.tokens and not self.tokens.keys().isdisjoint(
            bundle.mailbox + token for token in tokens
        ):
            return None
        before = len(self.bundled)
        self.bundled.update(tokens)
        if len(self.bundled) != before + len(tokens):
            self.bundled.difference_update(tokens)
            return None
        number = self._last + 1
        self._last += len(tokens)
        self.bundles[number] = bundle
        return number

    def take_bundle(self, number: int) -> Bundle | None:
        """The first bundle, if the listener has all up to this number, and that is in it or behind.

        One of which it has a part is no bundle any more.
        """
        for first, bundle in self.bundles.items():
            if first + bundle.count - 1 <= number:
                del self.bundles[first]
                self.bundled.difference_update(bundle.tokens)
                return bundle
            if first <= number:
                self.unpack()
            break
        return None

    def unpack(self, before: float = float("inf")) -> None:
        """What came in bundles until then, in s of the relay's clock, is under way by itself."""
        if not self.bundles:
            return
        for first, bundle in list(self.bundles.items()):
            if bundle.since > before:
                break
            del self.bundles[first]
            self.bundled.difference_update(bundle.tokens)
            for number, parcel in enumerate(bundle.parcels(), first):
                parcel.state = State.LINGERING
                parcel.delivered = True
                parcel.key = parcel.mailbox + parcel.token
                self.flying[number] = self.tokens[parcel.key] = parcel
        self.flying = dict(sorted(self.flying.items()))
