"""Fetches the pads that came messages need, until they are here or never will be.

A pad that an offer named was fetched ahead; any other pad is that of a session, whose id the
message names. What can never be opened is refused, its sender is told, and what came behind it goes
on.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bellwire.chat.courier import Courier
from bellwire.chat.errors import ChatMisuse
from bellwire.chat.messenger.supply import GONE, Supply
from bellwire.chat.messenger.tasks import Spawn
from bellwire.chat.store.person import Person
from bellwire.etsi014.errors import Etsi014Error, SessionAborted

AGAIN_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""After how long a key server is asked again that did not give a pad; the last from then on."""


@dataclass(slots=True)
class _Wanted:
    task: asyncio.Task[None]
    kick: asyncio.Event
    pads: set[bytes] = field(default_factory=set)


class Fetching:
    """Of all conversations.

    Args:
        person: Whose.
        supply: Of pads.
        courier: Is told that a pad is here.
        spawn: Begins a task.
        trouble: Is told why a pad is not here yet, in words.
    """

    def __init__(
        self,
        person: Person,
        supply: Supply,
        courier: Courier,
        spawn: Spawn,
        trouble: Callable[[str], None],
    ) -> None:
        self._person = person
        self._supply = supply
        self._courier = courier
        self._spawn = spawn
        self._trouble = trouble
        self._wanted: dict[bytes, _Wanted] = {}

    def want(self, contact: bytes, pad_id: bytes | None = None) -> None:
        """What a contact has offered is wanted, and maybe the pad of a session."""
        wanted = self._wanted.get(contact)
        if wanted is None or wanted.task.done():
            task = self._spawn(self._work(contact))
            if task is None:
                return  # what the courier still says while all ends waits in the store
            wanted = self._wanted[contact] = _Wanted(task, asyncio.Event())
        if pad_id is not None:
            wanted.pads.add(pad_id)
        wanted.kick.set()

    async def _work(self, contact: bytes) -> None:
        tries = 0
        while True:
            wanted = self._wanted[contact]
            wanted.kick.clear()
            try:
                await self._all(contact, wanted)
            except Etsi014Error as error:
                self._trouble(str(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN_S[min(tries, len(AGAIN_S) - 1)]):
                        await wanted.kick.wait()
                tries += 1
                continue
            tries = 0
            if not wanted.kick.is_set():
                return

    async def _all(self, contact: bytes, wanted: _Wanted) -> None:
        master = await asyncio.to_thread(self._master, contact)
        if not master:
            for pad_id in sorted(wanted.pads):
                await self._never(contact, wanted, pad_id)
            return
        for pad_id in await self._supply.take_offers(contact, master):
            await self._courier.give_up(contact, pad_id)
        for pad_id in sorted(wanted.pads):
            if not await asyncio.to_thread(self._is_here, contact, pad_id):
                try:
                    made = await self._supply.fetch(master, pad_id)
                    await self._courier.use(contact, made)
                except (SessionAborted, *GONE, ChatMisuse):
                    await self._never(contact, wanted, pad_id)
                    continue
            wanted.pads.discard(pad_id)
        await self._courier.retry(contact)

    async def _never(self, contact: bytes, wanted: _Wanted, pad_id: bytes) -> None:
        wanted.pads.discard(pad_id)
        await self._courier.give_up(contact, pad_id)

    def _master(self, contact: bytes) -> str:
        with self._person.working() as work:
            route = work.routes.get(contact)
        return "" if route is None or route.card is None else route.card.sae

    def _is_here(self, contact: bytes, pad_id: bytes) -> bool:
        with self._person.working() as work:
            return work.shelf(contact).knows(pad_id)
