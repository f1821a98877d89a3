"""What brings a cloud's readings to one output, for as long as the cloud runs.

Readings are read back from the cloud's files, so that an output that is down costs no memory and
holds up neither devices nor other outputs. It is tried again, more and more rarely, and goes on
where it was.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from bellwire.iot.errors import OutputFailed, StoreFailed
from bellwire.iot.events import Event, OutputDown, OutputUp
from bellwire.iot.outputs.cursors import Cursors
from bellwire.iot.outputs.item import Item, Output
from bellwire.iot.stored import StreamKey, all_streams, read_stored

BATCH: Final = 1000
BATCH_BYTES: Final = 2**20
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Batch:
    items: list[Item]
    following: int


class Pump:
    """One output's.

    Args:
        name: Of the output: under this name its cursors are kept, and it is told of.
        output: Where readings go.
        cursors: How far it has come.
        folder: Of all devices' files.
        tell: Told when the output is down, and when it takes readings again.
        first_wait_s: Before an output that failed is tried again.
    """

    def __init__(
        self,
        name: str,
        output: Output,
        *,
        cursors: Cursors,
        folder: Path,
        tell: Callable[[Event], None],
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        self.name = name
        self._output = output
        self._cursors = cursors
        self._folder = folder
        self._tell = tell
        self._first_wait_s = first_wait_s
        self._pending: dict[StreamKey, int] = {}
        self._woken = asyncio.Event()
        self.sent = 0

    @property
    def behind(self) -> int:
        """Streams that have readings which the output may not have."""
        return len(self._pending)

    def wake(self, key: StreamKey, count: int) -> None:
        """Say that a stream has `count` durable readings now."""
        self._pending[key] = max(count, self._pending.get(key, 0))
        self._woken.set()

    async def run(self) -> None:
        """Bring what is there, then what comes, until cancelled."""
        try:
            await self._trying(self._look)
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._pending:
                    key = next(iter(self._pending))
                    await self._bring(key, self._pending.pop(key))
        finally:
            await self._output.close()

    async def _look(self) -> None:
        for key, count in await asyncio.to_thread(self._unsent):
            self.wake(key, count)

    def _unsent(self) -> list[tuple[StreamKey, int]]:
        return [
            (key, count)
            for key, count in all_streams(self._folder)
            if count > self._cursors.next_of(self.name, key)
        ]

    async def _bring(self, key: StreamKey, count: int) -> None:
        """Bring one batch of a stream; the rest waits until others had their turn."""

        async def bring() -> _Batch:
            batch = await asyncio.to_thread(self._next_batch, key, count)
            if batch.items:
                await self._output.put(batch.items)
                await asyncio.to_thread(self._cursors.move, self.name, key, batch.following)
            return batch

        batch = await self._trying(bring)
        self.sent += len(batch.items)
        if batch.items and batch.following < count:
            self.wake(key, count)

    def _next_batch(self, key: StreamKey, count: int) -> _Batch:
        first = self._cursors.next_of(self.name, key)
        name = self._cursors.name(key.device)
        stop = min(count, first + BATCH)
        try:
            readings = read_stored(key.path(self._folder), first, stop, BATCH_BYTES)
        except FileNotFoundError:  # its owner took the stream away
            readings = []
        items = [Item(key, name, number, each) for number, each in enumerate(readings, first)]
        return _Batch(items, first + len(items))

    async def _trying(self, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """Do `work` until it succeeds."""
        wait_s, down = self._first_wait_s, False
        while True:
            try:
                result = await work()
            except (OutputFailed, StoreFailed, OSError) as error:
                if not down:
                    down = True
                    self._tell(OutputDown(self.name, str(error)))
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                if down:
                    self._tell(OutputUp(self.name))
                return result
