"""Relays that move are followed, by what they have signed: by a person, or by a console.

What always holds: only a notice that counts (`channel.places`) changes where a relay is looked for,
and it is stored before it is followed. Where its places do not answer, or none counts any more, the
relay is looked for at the address under which it is known; where a person never met it there, its
notice is asked for where contacts' cards say that it was.

Source: spec/places.md, 3.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from secrets import SystemRandom
from typing import Final, Protocol

from bellwire.channel import places
from bellwire.channel.errors import NoticeRefused
from bellwire.channel.places import Level, Notice
from bellwire.chat.card import MAX_HINTS, MAX_WORD_BYTES
from bellwire.chat.errors import RelayChanged
from bellwire.chat.store.person import Person
from bellwire.chat.store.relays import KeptRelay, home_of

MAX_EARLIER: Final = 4
MAX_ASKED: Final = 4
"""Hints of cards that are tried in one search. They are drawn anew for each one, so that cards with
bad ones delay the good ones, and do not crowd them out."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a relay.

    Attributes:
        relay_id: Fingerprint of its identity; None: it was never met.
        sequence: Of its last notice; 0: there was none.
        notice: That, while it counts.
        places: Where to look for it, in order.
        hints: Where else to ask for its notice, by cards of contacts; none while a notice counts.
    """

    relay_id: bytes | None
    sequence: int
    notice: Notice | None
    places: tuple[str, ...]
    hints: tuple[str, ...] = ()

    @property
    def is_locked(self) -> bool:
        """Whether it has said that nothing passes."""
        return self.notice is not None and self.notice.level is Level.LOCKDOWN


class Shelf(Protocol):
    """What is kept of relays, by the addresses under which they are known."""

    def get(self, url: str) -> KeptRelay | None:
        """What is known of one."""

    def put(self, url: str, relay: KeptRelay) -> None:
        """Keep it, in the place of what was known."""

    def forget(self, url: str) -> bool:
        """Know nothing of it; whether there was something."""


class KnownRelays:
    """All relays that somebody knows, by the addresses under which they are known.

    Args:
        shelf: What is kept of them, durable when it closes, and for one caller at a time.
        now: Seconds since the epoch.
    """

    def __init__(
        self, shelf: Callable[[], AbstractContextManager[Shelf]], now: Callable[[], float]
    ) -> None:
        self._shelf, self._now = shelf, now
        self._last: dict[str, Known] = {}

    def known(self, url: str) -> Known:
        """What is known of the relay at this address."""
        known = self._last[url] = self._look(url)
        return known

    def told(self, url: str) -> tuple[bytes, tuple[str, ...]]:
        """What a card says of a relay that has moved: who it is, and where it was found.

        Nothing of one that is at home, or of which no notice counts. It does not ask the store,
        and tells what `known` found last: cards are made within transactions.
        """
        known = self._last.get(url)
        notice = None if known is None else known.notice
        if known is None or known.relay_id is None or notice is None:
            return b"", ()
        if notice.level is Level.HOME or notice.expires_at <= self._now():
            return b"", ()
        found = [each.url for each in notice.places if len(each.url) <= MAX_WORD_BYTES]
        hints = tuple(dict.fromkeys(found))[:MAX_HINTS]
        return known.relay_id if hints else b"", hints

    def _look(self, url: str) -> Known:
        home, _ = home_of(url)
        with self._shelf() as relays:
            kept = relays.get(url) or _named(url)
        if kept is None:
            return Known(None, 0, None, (home,))
        notice = self._counting(kept)
        if notice is None:
            hints = self._hints(home, kept.relay_id)
            return Known(kept.relay_id, kept.sequence, None, (home,), hints)
        # A lockdown ends somewhere.
        found = tuple(each.url for each in notice.places) or (home, *kept.earlier)
        return Known(kept.relay_id, kept.sequence, notice, tuple(dict.fromkeys((*found, home))))

    def _hints(self, home: str, relay_id: bytes) -> tuple[str, ...]:
        """Where else the relay of this home and id may have been."""
        del home, relay_id
        return ()

    def meet(self, url: str, relay_id: bytes) -> None:
        """A relay answered: keep who it is, the first time.

        Raises:
            RelayChanged: another relay was known there, or was meant.
        """
        named = _named(url)
        with self._shelf() as relays:
            kept = relays.get(url)
            expected = kept or named
            if expected is not None and expected.relay_id != relay_id:
                hint = "Ask its operator. If it is new: bellwire chat relay --forget"
                if named is not None:
                    hint = "A contact says that their relay is this one; ask them for another link."
                raise RelayChanged(
                    f"expected the relay {expected.relay_id.hex()[:16]}…, "
                    f"got {relay_id.hex()[:16]}…",
                    hint=hint,
                )
            if kept is None:
                relays.put(url, KeptRelay(relay_id))

    def learn(self, url: str, data: bytes) -> Known:
        """A notice came, from wherever; what is known now.

        Raises:
            NoticeRefused: it does not count; nothing has changed.
        """
        with self._shelf() as relays:
            kept = relays.get(url) or _named(url)
            if kept is None:
                raise NoticeRefused("expected a relay that is known, got a notice of another")
            notice = places.read(data, kept.relay_id, now=self._now(), after=kept.sequence)
            if notice.sequence > kept.sequence:
                found = tuple(each.url for each in notice.places)[:MAX_EARLIER]
                relays.put(
                    url, KeptRelay(kept.relay_id, notice.sequence, data, found or kept.earlier)
                )
        return self.known(url)

    def trust(self, url: str, relay_id: bytes) -> None:
        """Who the relay at an address is, by its operator's word; what it said before is gone."""
        with self._shelf() as relays:
            relays.put(url, KeptRelay(relay_id))

    def forget(self, url: str) -> bool:
        """Take whoever answers the next time; whether anybody was known."""
        with self._shelf() as relays:
            return relays.forget(url)

    def _counting(self, kept: KeptRelay) -> Notice | None:
        if not kept.notice:
            return None
        try:
            return places.read(kept.notice, kept.relay_id, now=self._now(), after=kept.sequence)
        except NoticeRefused:  # its time has passed
            return None


class Following(KnownRelays):
    """All relays of one person.

    Args:
        person: In whose store it is kept.
        now: Seconds since the epoch.
    """

    def __init__(self, person: Person, now: Callable[[], float]) -> None:
        super().__init__(person.relays, now)
        self._person = person

    def _hints(self, home: str, relay_id: bytes) -> tuple[str, ...]:
        """Some of what cards say of where the relay of this home and id was."""
        with self._person.working() as work:
            cards = [
                route.card
                for contact, route in work.routes.all().items()
                if route.card is not None and not work.strangers.has(contact)
            ]
        meant = [each for each in cards if (each.relay, each.relay_id) == (home, relay_id)]
        hints = sorted({place for each in meant for place in each.hints} - {home})
        return tuple(SystemRandom().sample(hints, min(MAX_ASKED, len(hints))))


def _named(url: str) -> KeptRelay | None:
    """The relay that an address names by its id, before it was met; None: it names none."""
    _, relay_id = home_of(url)
    return KeptRelay(relay_id) if relay_id else None
