"""Several relays over one store: each delivers to who is connected to it what any of them took.

What is taken is stored first, whoever it is for; then the relay at which the owner listens is told,
which fetches it, in the order of the store. A word between relays is a hint to look, and nothing
else: one that is lost, forged or repeated costs a look, or the time until the next one, which each
relay takes by itself. What counts is in the store.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, Protocol

from bellwire.chat.relay.frames import Reason
from bellwire.chat.relay.jobs import Claim, Claimed, Look, Outcome, Parcel, Release

if TYPE_CHECKING:
    from bellwire.chat.relay.connection import Connection
    from bellwire.chat.relay.listening import Listening
    from bellwire.chat.relay.server import Relay

LOOK_EVERY_S: Final = 0.5
"""How often a relay looks that hears nothing of the others."""

LOOK_SELDOM_S: Final = 5.0
"""And one that does: as long does a word that was lost hold anything up."""


class News(Protocol):
    """Words between the relays of one store."""

    @property
    def is_heard(self) -> bool:
        """Whether words come and go now."""

    def tell(self, relay: bytes, accounts: Collection[bytes]) -> None:
        """Say to a relay that it should look for these accounts; it may get lost."""

    async def run(self, heard: Callable[[bytes], None], changed: Callable[[], None]) -> None:
        """Listen until cancelled.

        Args:
            heard: Is given each account that we are told of.
            changed: Is called when words come and go again, or do not any more.
        """


class Company:
    """One relay's part in it; all methods are for the event loop's thread.

    Args:
        relay: Whose.
        instance: What it is called in the store.
        news: Words from and to the others; None: it looks by itself alone.
    """

    def __init__(self, relay: "Relay", instance: bytes, news: News | None) -> None:
        self._relay, self._instance, self.news = relay, instance, news
        self._here: set[bytes] = set()
        self._there: dict[bytes, set[bytes]] = {}
        self._hurry = asyncio.Event()
        self._looking = False

    async def run(self) -> None:
        """Hear the others, and look; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_again_and_again())
            if self.news is not None:
                tasks.create_task(self.news.run(self._heard, self._hurry.set))

    # Who listens where

    def claim(self, connection: "Connection", listening: "Listening") -> None:
        """An account listens at this connection from now on, and nowhere else."""
        account = listening.account

        def claimed(outcome: Outcome) -> None:
            if isinstance(outcome, Reason):
                if connection.listening is listening:
                    connection.hang_up()  # the store failed: the client comes again
                return
            assert isinstance(outcome, list)
            (made,) = outcome
            assert isinstance(made, Claimed)
            if made.relay not in {b"", self._instance}:
                self._tell(made.relay, {account})  # it hangs up whom it has there
            if connection.listening is not listening:
                self.release(account, made.claim)
                return
            listening.claim = made.claim
            connection.fetch()

        self._relay.ask(Claim(account, int(self._relay.now())), claimed)

    def release(self, account: bytes, claim: int) -> None:
        """An account does not listen here any more, unless it does under a newer claim."""
        if claim:
            self._relay.ask(Release(account, claim), lambda _: None)

    # What comes

    def stored(self, parcel: Parcel) -> None:
        """A payload is durable; `spread` tells of it."""
        if parcel.listener == self._instance:
            self._here.add(parcel.account)
        elif parcel.listener:
            self._there.setdefault(parcel.listener, set()).add(parcel.account)

    def spread(self) -> None:
        """Tell all for whom something was stored."""
        here, self._here = self._here, set()
        there, self._there = self._there, {}
        for account in here:
            connection = self._relay.listeners.get(account)
            if connection is not None:
                connection.wake()
        for relay, accounts in there.items():
            self._tell(relay, accounts)

    def _tell(self, relay: bytes, accounts: Collection[bytes]) -> None:
        if self.news is not None:
            self.news.tell(relay, accounts)

    def _heard(self, account: bytes) -> None:
        connection = self._relay.listeners.get(account)
        if connection is not None:
            connection.fetch()

    # Looking

    async def _look_again_and_again(self) -> None:
        while True:
            told = self.news is not None and self.news.is_heard
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SELDOM_S if told else LOOK_EVERY_S):
                    await self._hurry.wait()
            self._hurry.clear()
            if self._relay.listeners and not self._looking:
                self._looking = True
                self._relay.ask(Look(), self._looked)

    def _looked(self, outcome: Outcome) -> None:
        self._looking = False
        if isinstance(outcome, Reason):
            return  # the store failed; the next look is soon
        assert isinstance(outcome, list)
        found = {each.account: each for each in outcome if isinstance(each, Claimed)}
        for account, connection in list(self._relay.listeners.items()):
            listening = connection.listening
            if listening is None or not listening.claim:
                continue
            mine = found.get(account)
            if mine is None or mine.claim != listening.claim:
                connection.fetch()  # which says why
            elif mine.last > max(listening.highest, listening.looked):
                listening.looked = mine.last
                connection.wake()
