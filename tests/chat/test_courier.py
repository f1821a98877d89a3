import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

from tests.chat.proof import Proof
from tests.chat.relay.running import (
    HOUR,
    account,
    mailbox,
    owner_at,
    payload,
    relay_at,
    relay_on,
    right,
    run,
    token,
)
from tests.chat.store.people import NOW, Two, keep_pad
from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.chat.courier import Book, Courier, LineState, Missing, Route, Told, Unshown
from bellwire.chat.errors import PayloadMalformed, Replayed, StepPadGone
from bellwire.chat.relay.store import RelayStore, StoreLimits
from bellwire.chat.store.receiving import Received

ALICES, BOBS = account(21), account(22)


@contextlib.asynccontextmanager
async def carrying(
    two: Two, name: str, url: str
) -> AsyncIterator[tuple[Courier, "asyncio.Queue[Received | Unshown | Missing]"]]:
    """A courier of one of two, and what came with it."""
    ours, theirs = (1, 2) if name == "alice" else (2, 1)
    routes = {two.ids[two.other(name)]: Route(mailbox(ours), right(ours), right(theirs))}
    came: asyncio.Queue[Received | Unshown | Missing] = asyncio.Queue()
    who = ALICES if name == "alice" else BOBS

    def tell(told: Told) -> None:
        if isinstance(told, Received | Unshown | Missing):
            came.put_nowait(told)

    courier = Courier(two.people[name], who, url, lambda: Book(routes), tell, now=lambda: NOW)
    task = asyncio.create_task(courier.run())
    try:
        yield courier, came
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def held(two: Two, name: str) -> list[tuple[int]]:
    with two.people[name].working() as work:
        return work.cursor.execute("SELECT number FROM held").fetchall()


async def opened(url: str) -> None:
    """Have both mailboxes before anybody drops."""
    for who, number in ((ALICES, 1), (BOBS, 2)):
        async with await owner_at(url, who, boxes=0) as line:
            await line.open_mailbox(mailbox(number), right(number))


def test_messages_before_their_pad_wait_in_order_over_a_restart_and_are_shown_with_it(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        two = Two(tmp_path / "people")
        async with relay_at(tmp_path / "relay", now=NOW) as url:
            await opened(url)
            pad = Secret(bytes(range(99)))
            keep_pad(two.alice, two.ids["bob"], b"p" * 16, pad, "simulated", ours=True)
            two.say("alice", "under a pad")
            two.say("alice", "x" * 60)  # under none: it is too long for the rest of the pad
            async with carrying(two, "alice", url), carrying(two, "bob", url) as (_, came):
                assert await came.get() == Missing(two.ids["alice"], b"p" * 16)
                while two.alice.outbox():
                    await asyncio.sleep(0.01)
                while len(held(two, "bob")) < 2:
                    await asyncio.sleep(0.01)
            assert two.texts("bob") == []
            two.restart("bob")
            keep_pad(two.bob, two.ids["alice"], b"p" * 16, pad, "simulated", ours=False)
            async with carrying(two, "bob", url) as (courier, came):
                await courier.retry(two.ids["alice"])
                told = [await came.get(), await came.get()]
            assert [
                isinstance(each, Received) and each.protection.is_one_time for each in told
            ] == [
                True,
                False,
            ]
            assert two.texts("bob") == ["under a pad", "x" * 60]
            assert held(two, "bob") == []
        two.close()

    run(story())


def test_what_strangers_leave_in_a_mailbox_is_told_of_and_not_shown(tmp_path: Path) -> None:
    async def story() -> None:
        two = Two(tmp_path / "people")
        async with relay_at(tmp_path / "relay", now=NOW) as url:
            await opened(url)
            async with await owner_at(url, ALICES, boxes=0) as stranger:
                await stranger.drop(right(2), token(1), HOUR, payload(0))
            two.say("alice", "genuine")
            async with carrying(two, "alice", url), carrying(two, "bob", url) as (_, came):
                first, second = await came.get(), await came.get()
                assert isinstance(first, Unshown)
                assert isinstance(first.reason, PayloadMalformed)
                assert isinstance(second, Received)
        assert two.texts("bob") == ["genuine"]
        two.close()

    run(story())


def test_who_has_lost_the_pad_of_a_step_is_told_that_nothing_more_can_be_opened(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        two = Two(tmp_path / "people", pad=3000)
        two.say("alice", "one")
        two.settle()  # and Alice knows that Bob has her pad
        two.say("alice", "two")
        with two.bob.working() as work:
            work.shelf(two.ids["alice"]).give_up()
        async with relay_at(tmp_path / "relay", now=NOW) as url:
            await opened(url)
            async with carrying(two, "alice", url), carrying(two, "bob", url) as (_, came):
                told = await came.get()
        assert isinstance(told, Unshown)
        assert isinstance(told.reason, StepPadGone)
        assert told.contact == two.ids["alice"]
        assert two.texts("bob") == ["one"]
        two.close()

    run(story())


def test_a_line_to_where_nobody_is_reached_any_more_ends_and_troubles_nobody(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        two = Two(tmp_path / "people")
        bob = two.ids["bob"]
        store = RelayStore(tmp_path / "there")
        async with relay_at(tmp_path / "here", now=NOW) as url, relay_on(store) as (other, relay):
            where = [other, "ws://127.0.0.1:1", ""]
            told: list[Told] = []

            def book() -> Book:
                return Book({bob: Route(mailbox(1), right(1), right(2), where[0])})

            courier = Courier(two.alice, ALICES, url, book, told.append, now=lambda: NOW)
            task = asyncio.create_task(courier.run())

            def sending() -> bool | None:
                states = [each for each in told if isinstance(each, LineState) and each.sends]
                return states[-1].up if states else None

            while not relay.condition().connections:
                await asyncio.sleep(0.01)
            del where[0]
            await courier.reroute()
            while relay.condition().connections or sending() is not False:
                await asyncio.sleep(0.01)
            del where[0]
            await courier.reroute()
            while not sending():
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        two.close()

    run(story())


def test_a_full_mailbox_delays_and_loses_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        two = Two(tmp_path / "people")
        limits = StoreLimits(mailbox_bytes=16_384)  # one opening
        async with relay_at(tmp_path / "relay", None, limits, now=NOW) as url:
            await opened(url)
            for text in ("one", "two", "three"):
                two.say("alice", text)
            async with (
                carrying(two, "alice", url) as (_, _),
                carrying(two, "bob", url) as (_, came),
            ):
                shown = 0
                while shown < 3:
                    told = await came.get()
                    # What the relay delivered and then had no room for, it takes again.
                    again = isinstance(told, Unshown) and isinstance(told.reason, Replayed)
                    assert again or isinstance(told, Received)
                    shown += not again
        assert two.texts("bob") == ["one", "two", "three"]
        two.close()

    run(story())


def test_over_a_relay_that_is_killed_all_is_shown_once_and_in_order(tmp_path: Path) -> None:
    proof = Proof(tmp_path, random.Random(3), pad=3000)

    async def story() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await proof.run(60, faults=2)

    asyncio.run(story())
    assert proof.faults() == []
    assert proof.said == 60
    assert proof.happened["relays killed"] == proof.happened["couriers cut off"] == 2
