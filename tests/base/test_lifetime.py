"""A service runs until a signal, or until its parent is gone, and minds signals only meanwhile."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from bellwire.base.clock import system_clock
from bellwire.base.lifetime import until_stopped


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


def test_the_system_clock_does_not_stand_in_the_past() -> None:
    assert system_clock() > 1_700_000_000
