"""Where a device that keeps running takes readings: lines of a pipe, or the machine's sensors."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO, Final

import psutil

from bellwire.base.clock import Clock, system_clock
from bellwire.iot.errors import DataError
from bellwire.iot.messages import MAX_READING_BYTES
from bellwire.iot.sensors import read_sensors

MAX_TAKEN: Final = 256
"""Lines that are taken at once."""


async def lines(stream: BinaryIO, name: str) -> AsyncGenerator[list[bytes], None]:
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
            _check(line, name, number)
        if taken:
            yield taken
        if ended:
            return


def _check(line: bytes, name: str, number: int) -> None:
    if len(line) > MAX_READING_BYTES:
        raise DataError(
            Path(name), number, f"expected at most {MAX_READING_BYTES:,} bytes, got more"
        )
    if not line.strip():
        raise DataError(Path(name), number, "expected a reading, got an empty line")
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            Path(name), number, f"expected UTF-8, got byte 0x{line[error.start]:02x}"
        ) from error


async def sensors(
    count: int, *, interval_s: float, clock: Clock = system_clock
) -> AsyncGenerator[list[bytes], None]:
    """`count` readings of this machine, or without end for 0, so many seconds apart."""
    psutil.cpu_percent()
    psutil.cpu_percent(percpu=True)
    taken = 0
    while not count or taken < count:
        await asyncio.sleep(interval_s)
        yield [await asyncio.to_thread(read_sensors, clock())]
        taken += 1
