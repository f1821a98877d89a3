"""A person follows relays that move, by what the relays have signed.

What always holds: only a notice that counts (`channel.places`) changes where a relay is looked for,
and it is in the person's store before it is followed. Where its places do not answer, or none
counts any more, the relay is looked for at the address under which the person has it.

Source: spec/places.md, 3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bellwire.channel import places
from bellwire.channel.errors import NoticeRefused
from bellwire.channel.places import Level, Notice
from bellwire.chat.errors import RelayChanged
from bellwire.chat.store.person import Person
from bellwire.chat.store.relays import KeptRelay

MAX_EARLIER: Final = 4


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a relay.

    Attributes:
        relay_id: Fingerprint of its identity; None: it was never met.
        sequence: Of its last notice; 0: there was none.
        notice: That, while it counts.
        places: Where to look for it, in order.
    """

    relay_id: bytes | None
    sequence: int
    notice: Notice | None
    places: tuple[str, ...]

    @property
    def is_locked(self) -> bool:
        """Whether it has said that nothing passes."""
        return self.notice is not None and self.notice.level is Level.LOCKDOWN


class Following:
    """All relays of one person, by the addresses under which the person has them.

    Args:
        person: In whose store it is kept.
        now: Seconds since the epoch.
    """

    def __init__(self, person: Person, now: Callable[[], float]) -> None:
        self._person, self._now = person, now

    def known(self, url: str) -> Known:
        """What is known of the relay at this address."""
        with self._person.relays() as relays:
            kept = relays.get(url)
        if kept is None:
            return Known(None, 0, None, (url,))
        notice = self._counting(kept)
        found = () if notice is None else tuple(each.url for each in notice.places)
        if notice is not None and not found:  # a lockdown ends somewhere
            found = (url, *kept.earlier)
        return Known(kept.relay_id, kept.sequence, notice, tuple(dict.fromkeys((*found, url))))

    def meet(self, url: str, relay_id: bytes) -> None:
        """A relay answered: keep who it is, the first time.

        Raises:
            RelayChanged: another relay was known there.
        """
        with self._person.relays() as relays:
            kept = relays.get(url)
            if kept is None:
                relays.put(url, KeptRelay(relay_id))
            elif kept.relay_id != relay_id:
                raise RelayChanged(
                    f"expected the relay {kept.relay_id.hex()[:16]}…, got {relay_id.hex()[:16]}…",
                    hint="Ask its operator. If it is new: bellwire chat relay --forget",
                )

    def learn(self, url: str, data: bytes) -> Known:
        """A notice came, from wherever; what is known now.

        Raises:
            NoticeRefused: it does not count; nothing has changed.
        """
        with self._person.relays() as relays:
            kept = relays.get(url)
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
        with self._person.relays() as relays:
            relays.put(url, KeptRelay(relay_id))

    def forget(self, url: str) -> bool:
        """Take whoever answers the next time; whether anybody was known."""
        with self._person.relays() as relays:
            return relays.forget(url)

    def _counting(self, kept: KeptRelay) -> Notice | None:
        if not kept.notice:
            return None
        try:
            return places.read(kept.notice, kept.relay_id, now=self._now(), after=kept.sequence)
        except NoticeRefused:  # its time has passed
            return None
