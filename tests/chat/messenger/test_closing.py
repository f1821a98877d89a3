"""Mailboxes of invitations are closed at the relay once their time has passed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.chat.messenger.pairs import until
from tests.chat.relay.running import relay_at, run
from tests.chat.store.people import NOW, open_person

from bellwire.chat.card import read_link
from bellwire.chat.errors import RelayRefused
from bellwire.chat.messenger import minding
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.frames import Reason
from bellwire.chat.store.person import Person
from bellwire.chat.store.routes import INVITATION_S


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def somebody(folder: Path, url: str, clock: Clock) -> AsyncIterator[tuple[Messenger, Person]]:
    person = await asyncio.to_thread(open_person, folder)
    try:
        async with Messenger(person, Setup("Ann", url, None), now=clock) as messenger:
            yield messenger, person
    finally:
        await asyncio.to_thread(person.close)


async def takes(url: str, right: bytes) -> bool:
    """Whether the relay still has the mailbox of a right."""
    async with await RelayClient.connect(url) as line:
        try:
            await line.drop(right, bytes(16), 60, bytes(512))
        except RelayRefused as error:
            return error.reason != Reason.NO_MAILBOX
    return True


def test_a_mailbox_is_closed_when_its_invitation_expires_while_we_are_here_or_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minding, "LOOK_EVERY_S", 0.02)

    async def story() -> None:
        clock = Clock()
        async with relay_at(tmp_path / "relay") as url:

            async def invited(messenger: Messenger) -> bytes:
                right = read_link(await messenger.invite(), clock.now).card.right
                await until(lambda: takes(url, right))
                return right

            async def is_closed(right: bytes) -> None:
                async def closed() -> bool:
                    return not await takes(url, right)

                await until(closed)

            async with somebody(tmp_path / "ann", url, clock) as (ann, _):
                first = await invited(ann)
                clock.now += INVITATION_S - 10
                second = await invited(ann)
                clock.now += 20
                await is_closed(first)
                assert await takes(url, second)
            clock.now += INVITATION_S
            async with somebody(tmp_path / "ann", url, clock) as (_, person):
                await is_closed(second)

                async def nothing_is_left_to_close() -> bool:
                    with person.working() as work:
                        return work.closing.all() == []

                await until(nothing_is_left_to_close)

    run(story())
