"""Works that belong together, also in Python 3.11.2."""

import asyncio
from pathlib import Path

import pytest

import bellwire
from bellwire.base.frames import ConnectionEnded
from bellwire.base.together import until_one_ends


async def for_ever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("one")


async def fails() -> None:
    await asyncio.sleep(0)
    raise ConnectionEnded("the peer ended the connection")


def test_what_the_first_raises_is_raised_alone_and_the_others_have_ended() -> None:
    async def test() -> list[str]:
        ended: list[str] = []
        with pytest.raises(ConnectionEnded, match="the peer ended"):
            await until_one_ends(for_ever(ended), fails(), for_ever(ended))
        return ended

    assert asyncio.run(test()) == ["one", "one"]


def test_a_time_limit_after_a_failure_is_a_time_limit() -> None:
    async def test() -> None:
        with pytest.raises(ConnectionEnded):
            await until_one_ends(for_ever([]), fails())
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

    asyncio.run(test())


def test_who_is_cancelled_ends_all_of_them() -> None:
    async def test() -> list[str]:
        ended: list[str] = []
        together = asyncio.create_task(until_one_ends(for_ever(ended), for_ever(ended)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        together.cancel()
        with pytest.raises(asyncio.CancelledError):
            await together
        return ended

    assert asyncio.run(test()) == ["one", "one"]


def test_tasks_that_run_already_and_return_something_are_ended_as_well() -> None:
    async def test() -> list[str]:
        ended: list[str] = []
        event = asyncio.Event()
        event.set()
        running = asyncio.create_task(for_ever(ended))
        await asyncio.sleep(0)
        await until_one_ends(running, event.wait(), for_ever(ended))
        assert running.cancelled()
        return ended

    assert asyncio.run(test()) == ["one", "one"]


def test_what_had_ended_before_ends_the_others_and_is_raised() -> None:
    async def test() -> list[str]:
        ended: list[str] = []
        broken = asyncio.create_task(fails())
        await asyncio.wait([broken])
        with pytest.raises(ConnectionEnded, match="the peer ended"):
            await until_one_ends(for_ever(ended), broken)
        return ended

    assert asyncio.run(test()) == ["one"]


def test_nothing_is_caught_in_a_way_that_differs_between_releases_of_python() -> None:
    """In 3.11.2 an error raised in such a clause comes out as a group of one."""
    product = Path(bellwire.__file__).parent
    found = [path.name for path in product.rglob("*.py") if "except*" in path.read_text("utf-8")]
    assert found == []
