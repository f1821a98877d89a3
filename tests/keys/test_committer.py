"""What else is done with a pool: here and now where that is short, else in a thread."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.keys.stores import add_ready, new_store, pool_of
from tests.patience import PATIENCE_S

from bellwire.keys.committer import SLOW_SYNC_S, Committer
from bellwire.keys.kme import Delivery
from bellwire.keys.requests import Take
from bellwire.keys.store import KeyStore


@asynccontextmanager
async def committer_of(store: KeyStore, sync_s: float = 0.0) -> AsyncIterator[Committer]:
    committer = Committer(pool_of(store), lambda: None, lambda: 0.0, sync_s=sync_s)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield committer
    finally:
        await committer.close()


@pytest.mark.parametrize(
    ("sync_s", "here"), [(0.0, True), (SLOW_SYNC_S / 2, True), (2 * SLOW_SYNC_S, False)]
)
def test_what_is_short_is_done_at_once_where_the_disk_is_fast(
    folder: Path, sync_s: float, here: bool
) -> None:
    store = new_store(folder)

    async def run() -> None:
        async with committer_of(store, sync_s) as committer:
            thread = await committer.run_briefly(threading.get_ident)
            assert (thread == threading.get_ident()) is here

    asyncio.run(run())
    store.close()


def test_what_is_short_waits_in_a_thread_while_another_is_in_the_store(folder: Path) -> None:
    store = new_store(folder)
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with store._database.transaction():
            inside.set()
            leave.wait(PATIENCE_S)

    async def run() -> None:
        async with committer_of(store) as committer:
            staying = asyncio.create_task(asyncio.to_thread(stay))
            await asyncio.to_thread(inside.wait, 30)
            thread = await committer.run_briefly(threading.get_ident)
            assert thread != threading.get_ident()
            leave.set()
            await staying

    asyncio.run(run())
    store.close()


def test_what_is_short_waits_for_what_was_to_be_done_alone(folder: Path) -> None:
    store = new_store(folder)
    done: list[str] = []
    begun, go = threading.Event(), threading.Event()

    def alone() -> None:
        begun.set()
        go.wait(PATIENCE_S)
        done.append("alone")

    async def run() -> None:
        async with committer_of(store) as committer:
            first = asyncio.create_task(committer.run_alone(alone))
            await asyncio.to_thread(begun.wait, 30)
            second = asyncio.create_task(committer.run_briefly(lambda: done.append("short")))
            await asyncio.sleep(0)
            go.set()
            await asyncio.gather(first, second)
            assert done == ["alone", "short"]

    asyncio.run(run())
    store.close()


def test_requests_that_wait_for_what_is_done_alone_are_served_after_it(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, 4096)

    async def run() -> None:
        async with committer_of(store) as committer:
            first = asyncio.create_task(committer.run_alone(lambda: None))
            await asyncio.sleep(0)
            asked = committer.submit(Take(0, 1, 64))
            await committer.run_briefly(lambda: None)
            await first
            assert isinstance(await asked, Delivery)

    asyncio.run(run())
    store.close()


def test_who_is_cancelled_goes_on_only_when_what_was_to_be_done_alone_has_ended(
    folder: Path,
) -> None:
    store = new_store(folder)
    begun, go = threading.Event(), threading.Event()
    done: list[str] = []

    def alone() -> None:
        begun.set()
        assert go.wait(PATIENCE_S)
        done.append("alone")

    async def run() -> None:
        async with committer_of(store) as committer:
            waiting = asyncio.create_task(committer.run_alone(alone))
            assert await asyncio.to_thread(begun.wait, PATIENCE_S)
            waiting.cancel()
            for _ in range(10):  # all that can go on without the thread goes on
                await asyncio.sleep(0)
            ended_before = waiting.done()
            go.set()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (ended_before, done) == (False, ["alone"])

    asyncio.run(run())
    store.close()
