"""Keeps as many prekeys at the relay as others may take while a person is away."""

import asyncio
from typing import Final

from bellwire.chat.accounts.answers import Stock
from bellwire.chat.accounts.client import AccountClient
from bellwire.chat.card import Card
from bellwire.chat.prekeys import Prekey
from bellwire.chat.store.person import Person

ONE_TIME: Final = 100
"""One-time prekeys that wait at the relay: as many people may write first in one absence."""


async def replenish(
    client: AccountClient, person: Person, handle: str, card: Card, now: float
) -> Stock:
    """Publish what others lack of this person's prekeys; call it at each log-in, and each day.

    The lasting prekey is renewed while half of its time is left. One-time prekeys are made for
    those that were handed out; what was made and did not reach the relay is never used.

    Args:
        client: Logged in as the person.
        person: Whose private halves are kept.
        handle: The person's.
        card: How who writes first reaches the person: its right is shown to everybody who asks.
        now: Seconds since the epoch.

    Raises:
        AccountRefused, RelayUnreachable, RelayMisbehaved: as the client.
    """
    lasting = await asyncio.to_thread(_lasting, person, now)
    stock = await client.publish_card(handle, card, person.identity, lasting)
    made = await asyncio.to_thread(_more, person, ONE_TIME - stock.one_time, now)
    return await client.publish_prekeys(made)


def _lasting(person: Person, now: float) -> Prekey:
    with person.prekeys() as ring:
        ring.renew(0, now)
        return ring.lasting(now)


def _more(person: Person, count: int, now: float) -> list[Prekey]:
    with person.prekeys() as ring:
        return ring.more(count, now)
