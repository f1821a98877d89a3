"""How long a service runs: until a signal, or until the process that started it is gone."""

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Callable


async def until_stopped(*, with_parent: bool, reload: Callable[[], None] | None = None) -> None:
    """Return on SIGINT or SIGTERM; with a parent, also when standard input ends.

    A parent that holds the other end of our standard input can be killed in any way and still
    leave no orphan: its end of the pipe closes with it.

    What is to be done at the end is then done undisturbed: until the loop closes SIGTERM asks for
    nothing more, as a parent may close our input and send one, too. Another SIGINT breaks it off.

    Args:
        with_parent: Whether standard input is such a pipe.
        reload: Called on SIGHUP, unless that says that the terminal which started us is gone.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    # A service heeds SIGINT also where a shell began it with that ignored, which is blocked by now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if reload is not None:
        at_terminal = _is_terminal()
        loop.add_signal_handler(
            signal.SIGHUP,
            lambda: stopped.set() if at_terminal and not _is_terminal() else reload(),
        )
    watching = asyncio.create_task(_input_ends(stopped)) if with_parent else None
    try:
        await stopped.wait()
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        loop.remove_signal_handler(signal.SIGINT)
        for number in (signal.SIGTERM,) if reload is None else (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, _ending)


def _ending() -> None:
    """Nothing more is asked for."""


def _is_terminal() -> bool:
    """Whether standard input is a terminal that is there."""
    try:
        return os.isatty(0) and bool(termios.tcgetattr(0))
    except (OSError, termios.error):
        return False


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
