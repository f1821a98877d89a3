"""What a device hears in a session: answers go to who asked, messages of the cloud to the inbox.

One task reads for as long as the session lasts, so that a message is there at once, and a session
that is lost is noticed also while there is nothing to send. Showing a message holds up no answer.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

from bellwire.base.frames import ConnectionEnded
from bellwire.iot.errors import CloudRejected, ProtocolError
from bellwire.iot.inbox import Inbox
from bellwire.iot.line import Line
from bellwire.iot.messages import (
    FromCloud,
    FromDevice,
    Push,
    Rejected,
    Taken,
    Waiting,
    decode_from_cloud,
    encode,
)

_Result = TypeVar("_Result")

SILENCE_S: Final = 3600.0
"""A cloud may have nothing to say for this long; who asks it something waits for less."""


class Hearing:
    """One session, from both sides of a device.

    Args:
        line: The session.
        inbox: Where messages of the cloud go; None if none are taken.
        timeout_s: For each answer.
    """

    def __init__(self, line: Line, inbox: Inbox | None, timeout_s: float) -> None:
        self._line = line
        self._inbox = inbox
        self._timeout_s = timeout_s
        self._writing = asyncio.Lock()
        self._answer: asyncio.Future[FromCloud] | None = None
        self._pushed: asyncio.Queue[Push] = asyncio.Queue(1)
        self._taking = False
        self._taken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within, the session is heard."""
        self._tasks = [asyncio.create_task(self._read())]
        if self._inbox is not None:
            self._tasks.append(asyncio.create_task(self._take(self._inbox)))
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ask(self, message: FromDevice) -> FromCloud:
        """Send a message, and wait for its answer.

        Raises:
            CloudRejected, ProtocolError: the cloud stores no more, or misbehaves.
            ConnectionEnded, SessionEnded, TimeoutError: as `Line` says.
        """
        answer: asyncio.Future[FromCloud] = asyncio.get_running_loop().create_future()
        self._answer = answer
        try:
            await self._send(message)
            async with asyncio.timeout(self._timeout_s):
                found = await self.unless_lost(answer)
        finally:
            self._answer = None
        if isinstance(found, Rejected):
            raise CloudRejected(found.reason)
        return found

    async def unless_lost(self, work: Awaitable[_Result]) -> _Result:
        """The work's result; if the session is lost before, what `Line.receive` raises."""
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait({working, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            for task in self._tasks:
                if task.done():
                    task.result()
            raise AssertionError("the tasks of a session end by an error alone")
        finally:
            working.cancel()
            await asyncio.wait([working])

    async def listen(self) -> int:
        """Say which messages are here, if any are taken; gives how many wait at the cloud.

        Raises:
            As `ask`.
        """
        if self._inbox is None or not self._inbox.listens:
            return 0
        self._taking = True
        answer = await self.ask(self._inbox.listen())
        if not isinstance(answer, Waiting):
            raise ProtocolError("expected the cloud to say what waits, got another answer")
        return answer.count

    async def take_what_waits(self) -> None:
        """Take what waits at the cloud now; what comes after that is left for another session.

        Raises:
            As `ask`.
        """
        inbox = self._inbox
        if inbox is None:
            return
        before, most = inbox.shown, await self.listen()
        left = most
        while left and inbox.listens and inbox.shown - before < most:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self.unless_lost(self._taken.wait())
            except TimeoutError:
                return
            self._taken.clear()
            left = await self.listen()

    async def _send(self, message: FromDevice) -> None:
        async with self._writing:
            await self._line.send(encode(message), self._timeout_s)

    async def _read(self) -> None:
        while True:
            data = await self._line.receive(SILENCE_S)
            if data is None:
                raise ConnectionEnded("the cloud closed the session")
            message = decode_from_cloud(data)
            if isinstance(message, Push):
                self._push(message)
            elif self._answer is None or self._answer.done():
                raise ProtocolError("expected the cloud to speak when asked, got an answer")
            else:
                self._answer.set_result(message)

    def _push(self, push: Push) -> None:
        if not self._taking or self._pushed.full():
            raise ProtocolError("expected a push after the one before was taken, got another")
        self._pushed.put_nowait(push)

    async def _take(self, inbox: Inbox) -> None:
        while True:
            push = await self._pushed.get()
            if await asyncio.to_thread(inbox.take, push):
                await self._send(Taken(push.messages[-1].number))
            self._taken.set()
