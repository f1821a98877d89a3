"""A service runs until a signal, or until its parent is gone, and minds signals only meanwhile."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.patience import PATIENCE_S

from bellwire.base.clock import system_clock
from bellwire.base.lifetime import until_stopped

SRC = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    """The other end of standard input."""
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as stdin, os.fdopen(theirs, "wb", buffering=0) as other:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield other


async def started(*, with_parent: bool) -> "asyncio.Task[None]":
    """A service that has had every turn it needs to mind signals."""
    running = asyncio.create_task(until_stopped(with_parent=with_parent))
    await asyncio.sleep(0)
    return running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_is_then_the_programs_again(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as a program begun by a script

    async def run() -> None:
        running = await started(with_parent=False)
        os.kill(os.getpid(), number)
        await running

    asyncio.run(run())
    assert signal.getsignal(number) in {before, signal.SIG_DFL, signal.default_int_handler}


def test_the_end_of_standard_input_ends_it_and_what_comes_before_does_not(
    parent: BinaryIO,
) -> None:
    async def run() -> None:
        running = await started(with_parent=True)
        parent.write(b"words that nobody minds")
        for _ in range(20):
            await asyncio.sleep(0)
        assert not running.done()
        parent.close()
        await running

    asyncio.run(run())


def test_a_signal_ends_it_while_the_parent_lives(parent: BinaryIO) -> None:
    async def run() -> None:
        running = await started(with_parent=True)
        os.kill(os.getpid(), signal.SIGTERM)
        await running

    asyncio.run(run())
    assert not parent.closed


def test_a_parent_that_closes_our_input_and_asks_as_well_leaves_us_time_to_end(
    parent: BinaryIO,
) -> None:
    """What a guard does at its end takes its rules away: half done, nothing passes for ever."""
    done = []

    async def run() -> None:
        running = await started(with_parent=True)
        parent.close()
        await running
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        done.append("all")

    asyncio.run(run())
    assert done == ["all"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_system_clock_does_not_stand_in_the_past() -> None:
    assert system_clock() > 1_700_000_000


CHILD = """
import asyncio, fcntl, sys, termios
from bellwire.base.lifetime import until_stopped
if sys.argv[1] == "terminal":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
async def main():
    running = asyncio.create_task(
        until_stopped(with_parent=False, reload=lambda: print("again", flush=True))
    )
    await asyncio.sleep(0)
    print("ready", flush=True)
    await running
asyncio.run(main())
print("over", flush=True)
"""


def child(stdin: int, how: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, how],
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )


def test_a_hang_up_is_a_call_to_read_again_and_the_end_where_the_terminal_is_gone() -> None:
    ours, theirs = pty.openpty()
    with child(theirs, "terminal") as at_terminal, child(subprocess.DEVNULL, "none") as alone:
        os.close(theirs)
        for process in (at_terminal, alone):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGHUP)
            assert process.stdout.readline() == "again\n"
        os.close(ours)  # the terminal hangs up
        assert at_terminal.communicate(timeout=PATIENCE_S)[0] == "over\n"
        alone.send_signal(signal.SIGTERM)
        assert alone.communicate(timeout=PATIENCE_S)[0] == "over\n"
