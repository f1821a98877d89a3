"""Three people and more, with messengers over one relay; Alice knows all, the others her alone."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.chat.messenger.pairs import User, until, user
from tests.chat.messenger.servers import Link, Server
from tests.chat.relay.running import relay_at

from bellwire.chat.messenger.views import Conversation, Line


@contextlib.asynccontextmanager
async def people(folder: Path, link: Link, *names: str) -> AsyncIterator[dict[str, User]]:
    """By their names in small letters; the first has given the others contact links."""
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(relay_at(folder / "relay", now=time.time()))
        found = {}
        for name in names:
            entered = user(folder / name, name.title(), url, Server(link, f"app-{name}"))
            found[name] = await stack.enter_async_context(entered)
        first, *others = found.values()
        for each in others:
            await meet(first, each)
        yield found


async def meet(one: User, other: User) -> None:
    """Have both know each other, and be able to write."""
    await other.messenger.add(await one.messenger.invite())
    for here, there in ((one, other), (other, one)):
        await until(lambda here=here, there=there: knows(here, there))  # type: ignore[misc]


async def knows(one: User, other: User) -> bool:
    """Whether one can write to the other, and has heard what they are called."""
    found = await one.messenger.contacts()
    there = [each for each in found if each.contact == other.messenger.me and each.reachable]
    return any(not each.contact.hex().startswith(each.name) for each in there)


async def the_group(one: User, *, size: int | None = None, ready: bool = True) -> Conversation:
    """The only group of somebody, once it has so many members, and there is a way to each."""

    async def there() -> Conversation | None:
        found = [each for each in await one.messenger.contacts() if each.is_group]
        fits = found and size in {None, found[0].members} and (found[0].reachable or not ready)
        return found[0] if fits else None

    return await until(there)


async def lines(one: User, group: bytes) -> list[Line]:
    return await one.messenger.history(group)


async def shows(one: User, group: bytes, text: str) -> Line:
    """The line of these words, once somebody has it."""

    async def there() -> Line | None:
        found = [each for each in await lines(one, group) if each.text == text]
        return found[0] if found else None

    return await until(there)


async def told(one: User, group: bytes) -> list[tuple[str, str]]:
    """Who said what, as somebody sees it."""
    return [
        (one.messenger.name if each.ours else each.author_name, each.text)
        for each in await lines(one, group)
    ]
