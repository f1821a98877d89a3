"""The streams in use at a store: each is open once, however many sessions use it.

Disk work is done in threads, so that one device's sync does not hold up another's. Sessions may be
many more than files that this process may have open: the files of streams that have waited longest
rest.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence

from bellwire.base.ending import to_its_end
from bellwire.iot.messages import Holding
from bellwire.iot.store import CloudStore, StreamFile


class OpenStream:
    """A stream in use; one session at a time touches the file.

    Args:
        file: It is closed by who opened it.
        awake: Told of each append, when its files have become open.
    """

    def __init__(self, file: StreamFile, awake: Callable[["OpenStream"], None]) -> None:
        self._file = file
        self._awake = awake
        self._lock = asyncio.Lock()
        self.users = 0

    async def holding(self) -> Holding:
        """What is durable of it."""
        async with self._lock:
            return Holding(self._file.count, self._file.sha256)

    async def append(self, first: int, readings: Sequence[bytes], then: Callable[[], None]) -> int:
        """Store readings durably, call `then` before others may append, and return the new count.

        Raises:
            OutOfStep, StreamFull, StoreFailed: as `StreamFile.append`.
        """
        async with self._lock:
            try:
                count = await to_its_end(asyncio.to_thread(self._file.append, first, readings))
                then()
                return count
            finally:
                self._awake(self)

    def rest(self) -> bool:
        """Close its files until they are needed, but not in use; whether they are closed."""
        if not self._lock.locked():
            self._file.rest()
        return self._file.resting


class OpenStreams:
    """All streams in use, by device and name.

    Args:
        store: Where they are; it stays open.
        most_awake: Streams whose files are open; a few more while all of these are written to.
    """

    def __init__(self, store: CloudStore, most_awake: int) -> None:
        self._store = store
        self._most_awake = most_awake
        self._awake: OrderedDict[OpenStream, None] = OrderedDict()
        self._streams: dict[tuple[bytes, bytes], tuple[OpenStream, StreamFile]] = {}
        self._opening = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._streams)

    @contextlib.asynccontextmanager
    async def using(self, device: bytes, name: bytes) -> AsyncIterator[OpenStream]:
        """A device's stream, shared by the sessions that use it.

        Raises:
            StreamFull, StoreFailed, PathUnusable, PathExposed: it cannot be opened.
        """
        key = (device, name)
        async with self._opening:
            found = self._streams.get(key)
            if found is None:
                file = await self._open(device, name)
                found = self._streams[key] = OpenStream(file, self._note_awake), file
                self._note_awake(found[0])
            stream, file = found
            stream.users += 1
        try:
            yield stream
        finally:
            stream.users -= 1
            if not stream.users:
                del self._streams[key]
                self._awake.pop(stream, None)
                file.close()

    async def _open(self, device: bytes, name: bytes) -> StreamFile:
        """Its file; to be cancelled meanwhile leaves none open."""
        opening = asyncio.ensure_future(asyncio.to_thread(self._store.open, device, name))
        try:
            return await to_its_end(opening)
        except asyncio.CancelledError:
            if not opening.cancelled() and opening.exception() is None:
                opening.result().close()
            raise

    def _note_awake(self, stream: OpenStream) -> None:
        """This stream was used last; those that have waited longest rest, if there are too many."""
        self._awake[stream] = None
        self._awake.move_to_end(stream)
        for each in list(self._awake):
            if len(self._awake) <= self._most_awake:
                break
            if each.rest():
                del self._awake[each]
