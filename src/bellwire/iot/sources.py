"""Where a device that keeps running takes readings: lines of a pipe, or the machine's sensors.

Files: `bellwire.iot.files`.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import psutil

from bellwire.base.clock import Clock, system_clock
from bellwire.iot.messages import MAX_READING_BYTES
from bellwire.iot.readings import MAX_GROUP_BYTES, MAX_GROUP_READINGS, Group, check_line
from bellwire.iot.sensors import read_sensors

MAX_TAKEN: Final = 256
"""Lines that are taken at once."""


async def lines(stream: BinaryIO, name: str) -> AsyncGenerator[Group, None]:
    """Lines as they come, each a reading with its line end; the end of the stream ends them.

    A thread reads, as a pipe may keep it waiting; it reads no further than what is taken here, and
    ends with the process where the pipe never ends.

    Args:
        stream: Of bytes.
        name: What to call it in an error.

    Raises:
        DataError: a line is empty, over 32 KiB, or not UTF-8.
    """
    loop = asyncio.get_running_loop()
    wanted = threading.Semaphore(MAX_TAKEN)
    queue: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        while True:
            wanted.acquire()
            line = stream.readline(MAX_READING_BYTES + 1)
            try:
                loop.call_soon_threadsafe(queue.put_nowait, line)
            except RuntimeError:  # the loop is closed: nobody takes any more
                return
            if not line:
                return

    threading.Thread(target=read, daemon=True, name="lines").start()
    number = 0
    while True:
        some = [await queue.get()]
        while not queue.empty():
            some.append(queue.get_nowait())
        wanted.release(len(some))
        ended = not some[-1]
        taken = [line for line in some if line]
        for line in taken:
            number += 1
            check_line(Path(name), number, line)
        for group in groups(taken):
            yield group
        if ended:
            return


def groups(readings: Iterable[bytes]) -> Iterator[Group]:
    """Readings in groups that may be taken at once."""
    some: list[bytes] = []
    size = 0
    for reading in readings:
        if some and (size + len(reading) > MAX_GROUP_BYTES or len(some) == MAX_GROUP_READINGS):
            yield Group(some)
            some, size = [], 0
        some.append(reading)
        size += len(reading)
    if some:
        yield Group(some)


async def sensors(
    count: int, *, interval_s: float, clock: Clock = system_clock
) -> AsyncGenerator[Group, None]:
    """`count` readings of this machine, or without end for 0, so many seconds apart."""
    psutil.cpu_percent()
    psutil.cpu_percent(percpu=True)
    taken = 0
    while not count or taken < count:
        await asyncio.sleep(interval_s)
        yield Group([await asyncio.to_thread(read_sensors, clock())])
        taken += 1
