"""Work is done to its end, and who waits for it learns how, or is cancelled afterwards."""

import asyncio
import threading

import pytest
from tests.patience import PATIENCE_S

from bellwire.base.ending import to_its_end


class Work:
    """It blocks its thread until it may end, and then returns or raises."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.ended = False
        self._fault = fault

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(PATIENCE_S)
        self.ended = True
        if self._fault is not None:
            raise self._fault
        return "done"


async def some_turns() -> None:
    """Let all that can go on without a thread go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def cancelled(work: Work, times: int) -> asyncio.CancelledError:
    """What comes of work whose waiting task is cancelled so often before it may end."""
    waiting = asyncio.create_task(to_its_end(asyncio.to_thread(work)))
    assert await asyncio.to_thread(work.begun.wait, PATIENCE_S)
    waited = []
    for _ in range(times):
        waiting.cancel()
        await some_turns()
        waited.append(not waiting.done())
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await waiting
    assert waited == [True] * times
    assert work.ended
    return caught.value


def test_what_the_work_returns_is_returned() -> None:
    work = Work()
    work.may_end.set()
    assert asyncio.run(to_its_end(asyncio.to_thread(work))) == "done"


def test_what_the_work_raises_is_raised() -> None:
    work = Work(OSError("no room"))
    work.may_end.set()
    with pytest.raises(OSError, match="no room"):
        asyncio.run(to_its_end(asyncio.to_thread(work)))


@pytest.mark.parametrize("times", [1, 2, 3])
def test_however_often_we_are_cancelled_the_work_ends_first(times: int) -> None:
    assert asyncio.run(cancelled(Work(), times)).__cause__ is None


@pytest.mark.parametrize("times", [1, 2])
def test_an_error_after_a_cancellation_is_its_cause_and_no_surprise(times: int) -> None:
    surprises: list[object] = []
    fault = OSError("no room")

    async def test() -> BaseException | None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: surprises.append(told))
        return (await cancelled(Work(fault), times)).__cause__

    assert asyncio.run(test()) is fault
    assert surprises == []


def test_a_time_limit_says_so_once_the_work_has_ended_and_leaves_nothing_behind() -> None:
    work = Work(OSError("no room"))

    async def let_end() -> None:
        await some_turns()
        work.may_end.set()

    async def limited() -> None:
        async with asyncio.timeout(0):
            await to_its_end(asyncio.to_thread(work))

    async def test() -> BaseException | None:
        letting = asyncio.create_task(let_end())
        with pytest.raises(TimeoutError) as caught:
            await limited()
        await letting
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert work.ended
        cancellation = caught.value.__context__  # its cause as well, after Python 3.11.2
        return cancellation and cancellation.__cause__

    assert str(asyncio.run(test())) == "no room"


@pytest.mark.parametrize("we_are_cancelled", [False, True])
def test_work_that_is_itself_cancelled_has_ended(we_are_cancelled: bool) -> None:
    async def test() -> None:
        work = asyncio.get_running_loop().create_future()
        waiting: asyncio.Task[str] = asyncio.create_task(to_its_end(work))
        await some_turns()
        if we_are_cancelled:
            waiting.cancel()
            await some_turns()
        assert not waiting.done()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(test())
