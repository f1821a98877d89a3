"""A device that keeps running: it takes readings always, and sends them when the network lets it.

Taking and sending are apart. What is taken goes to the buffer on disk; a session sends from there,
stream by stream, for as long as it lasts; when it is lost, the next begins after a pause that grows
and is never quite the same, so that a thousand devices do not come back at once.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError
from bellwire.iot.buffer import Buffer
from bellwire.iot.destination import Destination
from bellwire.iot.device import Device
from bellwire.iot.errors import BufferSpoilt, CloudRejected, DataError, StreamMismatch
from bellwire.iot.readings import Group

FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 30.0


@dataclass(slots=True)
class RunReport:
    """What a run came to.

    Attributes:
        taken: Readings from the source.
        sent: Readings that the cloud acknowledged.
        waiting: Readings that are in the buffer and that no session has brought over.
        sessions: How many sessions there were.
        lost: How many of them, or of attempts, ended badly.
    """

    taken: int = 0
    sent: int = 0
    waiting: int = 0
    sessions: int = 0
    lost: int = 0


def passes(error: BellwireError) -> bool:
    """Whether trying again may help: the network, a link that is RED, a cloud that is busy."""
    if isinstance(error, StreamMismatch | BufferSpoilt):
        return False
    return isinstance(error, UnreachableError | RefusedError | CloudRejected)


class Runner:
    """Takes from a source and sends to a cloud until the source ends and all is there.

    Args:
        device: Who sends.
        to: Where.
        buffer: What keeps readings in between.
        tell: Called with each failure after which it is tried again.
        sent: Called with how many were acknowledged since the last call.
        pause_s: The first pause; it doubles, up to MAX_PAUSE_S.
    """

    def __init__(
        self,
        device: Device,
        to: Destination,
        buffer: Buffer,
        *,
        tell: Callable[[BellwireError], None] = lambda error: None,
        sent: Callable[[int], None] = lambda count: None,
        pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._device = device
        self._to = to
        self._buffer = buffer
        self._tell = tell
        self._sent = sent
        self._first_pause_s = pause_s
        self._random = random.SystemRandom()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._there = 0  # of the first segment, what the cloud has acknowledged
        self._ended = False
        self._spoilt: DataError | None = None
        self.report = RunReport()

    async def run(self, source: AsyncGenerator[Group, None]) -> RunReport:
        """Run until the source has ended and the cloud has everything.

        Args:
            source: Gives readings, as they come.

        Raises:
            StreamMismatch, ProtocolError, BufferSpoilt: trying again does not help.
            PathUnusable: the disk takes no readings.
            DataError: the source has none where it should; the cloud has those before it.
        """
        taking = asyncio.create_task(self._take(source))
        sending = asyncio.create_task(self._send())
        try:
            await asyncio.gather(taking, sending)
        finally:
            for task in (taking, sending):
                task.cancel()
            await asyncio.wait([taking, sending])
            self.report.waiting = self._waiting
        if self._spoilt is not None:
            raise self._spoilt
        return self.report

    @property
    def _waiting(self) -> int:
        return sum(len(segment) for segment in self._buffer.segments) - self._there

    async def _take(self, source: AsyncGenerator[Group, None]) -> None:
        try:
            async with contextlib.aclosing(source) as groups:
                async for group in groups:
                    while not self._buffer.has_room:
                        self._room.clear()
                        await self._room.wait()
                    await asyncio.to_thread(self._buffer.append, group)
                    self.report.taken += len(group.readings)
                    self._news.set()
        except DataError as error:
            # What was taken before it is brought over first.
            self._spoilt = error
        self._ended = True
        self._news.set()

    async def _send(self) -> None:
        pause_s = self._first_pause_s
        while await self._something_to_do():
            before = self.report.sent
            try:
                await self._session()
                pause_s = self._first_pause_s
                continue
            except BellwireError as error:
                if not passes(error):
                    raise
                self.report.lost += 1
                self._tell(error)
            if self.report.sent > before:
                pause_s = self._first_pause_s
            await asyncio.sleep(pause_s * self._random.uniform(0.5, 1.5))
            pause_s = min(MAX_PAUSE_S, 2 * pause_s)

    async def _something_to_do(self) -> bool:
        """Wait until there is something to send, or messages to take; False when all is done."""
        inbox = self._device.inbox
        while not self._buffer.segments and not self._ended and not (inbox and inbox.listens):
            self._news.clear()
            await self._news.wait()
        return bool(self._buffer.segments) or not self._ended

    async def _wanted(self, within_s: float) -> bool:
        """Wait until there is something to send, or nothing comes; whether that is so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not (self._buffer.segments or self._ended):
                    self._news.clear()
                    await self._news.wait()
        return bool(self._buffer.segments) or self._ended

    async def _session(self) -> None:
        """One session: the first segment, until the cloud has all that ever comes to it.

        Without one, messages of the cloud are taken until there is.
        """
        if not self._buffer.segments:
            assert self._device.inbox is not None
            self.report.sessions += 1
            await self._device.attend(self._device.inbox, self._wanted, self._to)
            return
        segment = self._buffer.segments[0]
        self._there = 0

        async def more(count: int, within_s: float) -> bool:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    while len(segment) <= count and not (segment.full or self._ended):
                        self._news.clear()
                        await self._news.wait()
            return len(segment) > count or not (segment.full or self._ended)

        def progress(count: int) -> None:
            self._there += count
            self.report.sent += count
            self._sent(count)

        self.report.sessions += 1
        await self._device.follow(
            segment.stream, segment.readings, more, self._to, progress=progress
        )
        # It is full, or the source has ended: nothing came to it since.
        self._buffer.remove_first()
        self._room.set()
        self._there = 0
