"""Two people with messengers, at two sites, over one relay."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from tests.chat.messenger.servers import Link, Server
from tests.chat.store.people import open_person

from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.keys import Site
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.messenger.views import Alert, Event, Line
from bellwire.chat.store.person import Person

T = TypeVar("T")


class User:
    """A messenger, its person's store, and what it has told."""

    def __init__(self, messenger: Messenger, person: Person) -> None:
        self.messenger = messenger
        self.person = person
        self.queue = messenger.subscribe()
        self.events: list[Event] = []

    def told(self) -> list[Event]:
        while not self.queue.empty():
            self.events.append(self.queue.get_nowait())
        return self.events

    def alerts(self) -> list[Alert]:
        return [each for each in self.told() if isinstance(each, Alert)]

    async def peer(self) -> bytes:
        async def known() -> bytes | None:
            found = [each for each in await self.messenger.contacts() if not each.is_notes]
            return found[0].contact if found else None

        return await until(known)

    async def lines(self) -> list[Line]:
        return await self.messenger.history(await self.peer())

    async def texts(self, *, ours: bool = False) -> list[str]:
        return [each.text for each in await self.lines() if each.ours is ours]

    async def states(self) -> list[str]:
        return [each.state.value for each in await self.lines() if each.ours]


async def until(ask: Callable[[], Awaitable[T | None]]) -> T:
    """What `ask` says once it is true; who calls bounds the time."""
    while True:
        found = await ask()
        if found:
            return found
        await asyncio.sleep(0.01)


async def until_true(ask: Callable[[], bool]) -> None:
    while not ask():
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def user(folder: Path, name: str, relay: str, server: Server | None) -> AsyncIterator[User]:
    person = await asyncio.to_thread(open_person, folder)
    site = None if server is None else Site(server, server.sae)
    try:
        async with Messenger(person, Setup(name, relay, site)) as messenger:
            yield User(messenger, person)
    finally:
        await asyncio.to_thread(person.close)


@contextlib.asynccontextmanager
async def alice_and_bob(
    folder: Path, relay: str, link: Link, *, meet: bool = True
) -> AsyncIterator[tuple[User, User]]:
    """Both; Bob has used Alice's contact link."""
    async with (
        user(folder / "alice", "Alice", relay, Server(link, "app-a")) as alice,
        user(folder / "bob", "Bob", relay, Server(link, "app-b")) as bob,
    ):
        if meet:
            await bob.messenger.add(await alice.messenger.invite())
            await alice.peer()
            await until(lambda: reachable(bob))
            await until(lambda: reachable(alice))
        yield alice, bob


async def reachable(one: User) -> bool:
    return (await one.messenger.conversation(await one.peer())).reachable
