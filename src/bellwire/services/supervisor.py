"""Minds all services of one state folder: in their order up, and in the reverse one down."""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any, Self

import msgspec

from bellwire.base.errors import BellwireError
from bellwire.base.local import LocalServer
from bellwire.services.keeper import Keeper, Say
from bellwire.services.messages import REQUEST_LIMIT, Services, Stop, requests
from bellwire.services.place import Place
from bellwire.services.plan import STOP_ORDER
from bellwire.services.program import Program


class Supervisor:
    """Runs services between `__aenter__` and `__aexit__`, and answers at the place's socket.

    Args:
        plan: The services.
        place: The caller has taken it.
        say: Called with a sentence for people whenever something happens.

    Attributes:
        known: What each service said when it was ready last.
        asked_to_stop: Set when somebody has asked for it at the socket.
    """

    def __init__(self, plan: Sequence[Program], place: Place, say: Say) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.asked_to_stop = asyncio.Event()
        self._since = time.time()
        self._say = say
        self._keepers = {
            each.name: Keeper(each, place.log(each.name), self.known, say) for each in plan
        }
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._server = LocalServer(place.control, self._answer, request_limit=REQUEST_LIMIT)

    def services(self) -> Services:
        """How all services are."""
        return Services(os.getpid(), self._since, [each.view() for each in self._keepers.values()])

    async def until_up(self) -> None:
        """Return when each service has been ready.

        Raises:
            BellwireError: one can never become so.
        """
        up = asyncio.create_task(self._all_ready())
        try:
            await asyncio.wait({up, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks.values():
                if task.done():
                    task.result()
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)

    async def _all_ready(self) -> None:
        for keeper in self._keepers.values():
            await keeper.ready.wait()

    async def __aenter__(self) -> Self:
        await self._server.start()
        for name, keeper in self._keepers.items():
            self._tasks[name] = asyncio.create_task(self._keep(keeper))
        return self

    async def __aexit__(self, *_: object) -> None:
        # Whoever asks meanwhile is told how far it is; the socket goes last.
        for name in STOP_ORDER:
            if name in self._tasks:  # a log of somebody else's has no service here
                await self._stop(name)
        await self._server.close()

    async def _keep(self, keeper: Keeper) -> None:
        for need in keeper.program.needs:
            await self._keepers[need].ready.wait()
        await keeper.keep()

    async def _stop(self, name: str) -> None:
        task = self._tasks[name]
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            self._say(f"{name} is stopped")
        except BellwireError:
            pass  # `until_up` has told it.

    async def _answer(self, body: bytes) -> bytes:
        request = requests.decode(body)
        answer = self.services()
        if isinstance(request, Stop):
            self.asked_to_stop.set()
        return msgspec.msgpack.encode(answer)
