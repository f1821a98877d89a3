"""What a messenger does unasked, from time to time: look, ask again, forget, draw new mailboxes."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bellwire.chat.content import ContentKind
from bellwire.chat.messenger.hearing import Hearing
from bellwire.chat.messenger.keys import health_of, source_of
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.messenger.views import (
    ConversationChanged,
)
from bellwire.chat.pads import Policy
from bellwire.chat.store.files import KeptFile
from bellwire.chat.store.person import Person
from bellwire.etsi014.errors import Etsi014Error

LOOK_EVERY_S: Final = 2.0
"""How often the link's status is asked for, and what has run out disappears."""

ASK_AGAIN_S: Final = 30.0
"""Chunks of an attachment are asked for again when none has come for so long."""

ROTATE_AFTER_S: Final = 7 * 86_400
"""Age at which a mailbox is drawn anew."""


class Minding(Hearing):
    """The part of a messenger that minds what is due; as `Hearing`."""

    def __init__(
        self, person: Person, setup: Setup, *, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(person, setup, now=now)
        self._coming: dict[int, tuple[int, float]] = {}

    async def _mind(self) -> None:
        """What is due from time to time."""
        while True:
            for (contact, who), until in list(self._typing.items()):
                if until < time.monotonic():
                    self._stop_typing(contact, who)
            if await self._do(self._person.disappear, self._now()):
                for each in await self.contacts():
                    self._tell(ConversationChanged(each.contact))
            await self._do(self._person.shrink)
            await self._ask_again()
            await self._look()
            await self._rotate()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask_again(self) -> None:
        """Ask once more for attachments of which nothing has come for a while."""

        def coming() -> list[KeptFile]:
            with self._person.working() as work:
                return work.files.coming()

        now, before = time.monotonic(), self._coming
        self._coming = {}
        for each in await self._do(coming):
            came, since = before.get(each.file, (-1, now))
            if came != each.came:
                since = now
            elif now - since >= ASK_AGAIN_S:
                since = now
                await self._do(self._person.ask_again, each.contact, each.file_id, self._now())
                self._courier.wake()
            self._coming[each.file] = each.came, since

    async def _look(self) -> None:
        """Ask our own node how the link is."""

        def sae() -> str:
            with self._person.working() as work:
                cards = [
                    each.card
                    for contact, each in work.routes.all().items()
                    if not work.strangers.has(contact)
                ]
            return next((each.sae for each in cards if each is not None and each.sae), "")

        peer = await self._do(sae)
        if not (peer and self._supply.sae):
            return
        try:
            status = await self._supply.status(peer)
        except Etsi014Error as error:
            self._show(replace(self._status, keys=None, keys_trouble=str(error)))
            return
        self._show(
            replace(
                self._status, keys=health_of(status), source=source_of(status), keys_trouble=None
            )
        )

    async def _rotate(self) -> None:
        """Draw mailboxes anew that are old, and tell the contacts; close what has expired."""

        def rotate() -> bool:
            now = self._now()
            with self._person.working() as work:
                any_old = work.routes.expire(now) | work.standing.expire(now)
                for contact, route in work.routes.all().items():
                    if now - route.drawn_at < ROTATE_AFTER_S or route.card is None:
                        continue
                    if not work.sessions.of(contact) or work.strangers.has(contact):
                        continue
                    box = work.routes.rotate(contact, now)
                    content = self._content(ContentKind.CARD, self._card(box.right).encode())
                    work.seal(work.contacts.get(contact), content, Policy.OFF)
                    any_old = True
            return any_old

        if await self._do(rotate):
            await self._courier.reroute()
