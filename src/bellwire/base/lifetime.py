"""How long a service runs: until a signal, or until the process that started it is gone."""

import asyncio
import signal
import sys


async def until_stopped(*, with_parent: bool) -> None:
    """Return on SIGINT or SIGTERM; with a parent, also when standard input ends.

    A parent that holds the other end of our standard input can be killed in any way and still
    leave no orphan: its end of the pipe closes with it.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    watching = asyncio.create_task(_input_ends(stopped)) if with_parent else None
    try:
        await stopped.wait()
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _input_ends(stopped: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while await reader.read(1024):
            pass
        stopped.set()
    finally:
        transport.close()
