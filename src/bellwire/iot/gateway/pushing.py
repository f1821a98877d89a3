"""What a running cloud does with messages to devices: each goes to a session of its device.

One push at a time is under way in a session; the next follows when the device has said that the one
before is durable there. What was not said to be is brought over again in the next session: the
device drops what it has.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from bellwire.base.errors import BellwireError
from bellwire.channel.protections import Protections
from bellwire.iot.errors import ProtocolError, StoreFailed
from bellwire.iot.events import Delivered, Event
from bellwire.iot.gateway.queue import MessageQueue
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.messages import Item, Listen, Push, Taken, Waiting

LOOK_S: Final = 0.1
"""Seconds between looks at whether another process queued something."""


class Gateway:
    """All sessions that take messages, and the queue.

    Args:
        queue: It stays open.
        notify: Told of what was delivered.
    """

    def __init__(self, queue: MessageQueue, notify: Callable[[Event], None]) -> None:
        self.queue = queue
        self.notify = notify
        self._newest: dict[bytes, Pushing] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within, what any process queues goes out to the devices that are here."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def enter(self, pushing: "Pushing") -> None:
        """From now on, messages of its device go to this session, and to no older one."""
        older = self._newest.get(pushing.device.fingerprint)
        self._newest[pushing.device.fingerprint] = pushing
        if older is not None and older is not pushing:
            older.retire()

    def leave(self, pushing: "Pushing") -> None:
        """This session ends."""
        if self._newest.get(pushing.device.fingerprint) is pushing:
            del self._newest[pushing.device.fingerprint]

    async def _watch(self) -> None:
        seen = 0
        while True:
            # A database that fails says so to every session that uses it, and to who posts.
            with contextlib.suppress(StoreFailed):
                version = await asyncio.to_thread(self.queue.version)
                if version != seen:
                    for each in await asyncio.to_thread(self.queue.queues):
                        if each.device in self._newest:
                            self._newest[each.device].wake()
                    seen = version
            await asyncio.sleep(LOOK_S)


class Pushing:
    """The cloud's side of one session that may take messages.

    Args:
        gateway: Of the cloud.
        device: Whose session it is.
        protections: What the session's keys rest on now.
        send: Sends a push.
        stop: Ends the session when a push fails; `failure` says why.
    """

    def __init__(
        self,
        gateway: Gateway,
        device: PublicIdentity,
        *,
        protections: Callable[[], Protections],
        send: Callable[[Push], Awaitable[None]],
        stop: Callable[[], None],
    ) -> None:
        self._gateway = gateway
        self.device = device
        self._protections = protections
        self._send = send
        self._stop = stop
        self._task: asyncio.Task[None] | None = None
        self._awake = asyncio.Event()
        self._under_way: list[Item] = []
        self._retired = False
        self.failure: BellwireError | OSError | None = None

    async def listen(self, said: Listen) -> Waiting:
        """The device says what it has, and that it takes more.

        Raises:
            StoreFailed: the queue failed.
        """
        delivered, waiting = await asyncio.to_thread(
            self._gateway.queue.confirm, self.device.fingerprint, said.queue, said.last
        )
        self._tell(delivered)
        if self._task is None:
            self._gateway.enter(self)
            self._task = asyncio.create_task(self._run())
        return Waiting(waiting)

    async def taken(self, said: Taken) -> None:
        """The device has what is under way.

        Raises:
            ProtocolError: something else is under way, or nothing.
            StoreFailed: the queue failed.
        """
        if not self._under_way or said.last != self._under_way[-1].number:
            raise ProtocolError("expected the last push to be taken, got another")
        numbers = [item.number for item in self._under_way]
        self._tell(
            await asyncio.to_thread(self._gateway.queue.delivered, self.device.fingerprint, numbers)
        )
        self._under_way = []
        self.wake()

    def wake(self) -> None:
        """Something may wait."""
        self._awake.set()

    def retire(self) -> None:
        """Push nothing more: a newer session does."""
        self._retired = True
        self.wake()

    async def close(self) -> None:
        """Push nothing more; again is harmless."""
        self._gateway.leave(self)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while not self._retired:
                self._awake.clear()
                if not self._under_way:
                    await self._push()
                await self._awake.wait()
        except (BellwireError, OSError) as error:  # TimeoutError is an OSError.
            self.failure = error
            self._stop()

    async def _push(self) -> None:
        queue, items = await asyncio.to_thread(
            self._gateway.queue.next_push,
            self.device.fingerprint,
            self._protections().names,
        )
        if items:
            self._under_way = items
            await self._send(Push(queue, tuple(items)))

    def _tell(self, delivered: int) -> None:
        if delivered:
            self._gateway.notify(Delivered(self.device, delivered))
