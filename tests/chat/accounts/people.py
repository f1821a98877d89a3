"""A relay with accounts in this process, whose clocks are ours, and people who use it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.chat.relay import running

from bellwire.base.secret import Secret
from bellwire.chat.accounts.answers import Session
from bellwire.chat.accounts.client import AccountClient
from bellwire.chat.accounts.desk import AccountDesk
from bellwire.chat.accounts.limits import AccountLimits, Rate
from bellwire.chat.accounts.service import AccountService
from bellwire.chat.accounts.store import AccountStore
from bellwire.chat.card import Card
from bellwire.chat.identity import Identity
from bellwire.chat.prekeys import Prekey, PrekeyKind, make_prekey
from bellwire.chat.relay.server import Relay
from bellwire.chat.relay.store import RelayStore

NOW = 1_000_000_000
DAY = 86_400
PASSWORD = b"correct horse battery staple"
ALICE = Identity(Secret(b"\x21" * 64))
BOB = Identity(Secret(b"\x22" * 64))
FREE = Rate(1e6, 1e6)
UNLIMITED = AccountLimits(
    requests=FREE,
    lines=FREE,
    sign_ups=FREE,
    log_ins=FREE,
    account_log_ins=FREE,
    takes=FREE,
    one_time=FREE,
    searches=FREE,
)


def secret(text: bytes = PASSWORD) -> Secret:
    return Secret(text)


@dataclass
class House:
    """A relay's address, its file, and its clocks."""

    url: str
    folder: Path
    service: AccountService
    store: AccountStore
    now: float = NOW
    clock: float = 0.0

    def pass_s(self, seconds: float) -> None:
        self.now += seconds
        self.clock += seconds

    async def client(self) -> AccountClient:
        return await AccountClient.connect(self.url, self.service.fingerprint)


@contextlib.asynccontextmanager
async def house_at(folder: Path, limits: AccountLimits = UNLIMITED) -> AsyncIterator[House]:
    house: House
    first, second = running.places(folder)
    store = RelayStore(first)
    people = AccountStore(second)
    service = AccountService(
        people, store.relay_id, limits, now=lambda: house.now, clock=lambda: house.clock
    )
    desk = AccountDesk(service)
    relay = Relay(store, accounts=desk)
    house = House("", folder, service, people)
    try:
        host, port = await relay.start("127.0.0.1", 0)
        house.url = f"ws://{host}:{port}"
        yield house
    finally:
        await relay.stop()
        desk.close()
        people.close()
        store.close()


async def signed_up(
    house: House, handle: str, who: Identity = ALICE, device: str = "laptop"
) -> AccountClient:
    client = await house.client()
    await client.sign_up(handle, secret(), who, device)
    return client


def card(number: int = 1) -> Card:
    return Card(bytes([number]) * 32, "ws://relay.example:8765", "chat-a", "Alice")


async def published(
    client: AccountClient,
    who: Identity = ALICE,
    one_time: int = 0,
    handle: str = "alice",
    number: int = 1,
) -> list[Prekey]:
    """A lasting prekey that counts for thirty days, and one-time ones."""
    kinds = [PrekeyKind.LASTING, *[PrekeyKind.ONE_TIME] * one_time]
    lasting, *once = [make_prekey(who, kind, NOW + 30 * DAY).prekey for kind in kinds]
    await client.publish_card(handle, card(number), who, lasting)
    await client.publish_prekeys(once)
    return [lasting, *once]


def on(client: AccountClient, session: Session) -> AccountClient:
    client.resume(session)
    return client
