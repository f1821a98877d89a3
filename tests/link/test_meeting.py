import asyncio
from collections.abc import Coroutine

import pytest

from bellwire.base.detections import Protocol, Side
from bellwire.link import meeting as meeting_module
from bellwire.link.errors import LinkRefused, Refusal
from bellwire.link.meeting import MAX_WAITING, Answers, Meeting
from bellwire.link.messages import BlockRequest


def request(ticket: int, pulses: int = 10, protocol: Protocol = Protocol.E91) -> BlockRequest:
    return BlockRequest(ticket.to_bytes(16, "big"), protocol, pulses, bytes(32))


async def produce(requests: dict[Side, BlockRequest]) -> Answers:
    return {side: f"{side} {len(requests)}".encode() for side in Side}


async def refusal(call: Coroutine[object, object, bytes]) -> Refusal:
    with pytest.raises(LinkRefused) as raised:
        await call
    return raised.value.refusal


async def begun(call: Coroutine[object, object, bytes]) -> "asyncio.Task[bytes]":
    """The call as a task that has come to where it waits."""
    task = asyncio.create_task(call)
    await asyncio.sleep(0)
    return task


def test_each_side_gets_its_own_answer_once_both_have_asked() -> None:
    async def scenario() -> None:
        meeting = Meeting(produce, 5.0)
        alice = await begun(meeting.answer(Side.ALICE, request(1)))
        assert not alice.done()
        assert await meeting.answer(Side.BOB, request(1)) == b"bob 2"
        assert await alice == b"alice 2"

    asyncio.run(scenario())


def test_a_ticket_is_never_served_twice() -> None:
    async def scenario() -> None:
        meeting = Meeting(produce, 5.0)
        alice = await begun(meeting.answer(Side.ALICE, request(1)))
        await meeting.answer(Side.BOB, request(1))
        await alice
        for side in Side:
            assert await refusal(meeting.answer(side, request(1))) is Refusal.SPENT

    asyncio.run(scenario())


@pytest.mark.parametrize("other", [request(1, pulses=11), request(1, protocol=Protocol.BB84)])
def test_sides_that_disagree_are_both_told(other: BlockRequest) -> None:
    async def scenario() -> None:
        meeting = Meeting(produce, 5.0)
        alice = await begun(meeting.answer(Side.ALICE, request(1)))
        assert await refusal(meeting.answer(Side.BOB, other)) is Refusal.MISMATCH
        with pytest.raises(LinkRefused, match="alice for e91 of 10 pulses, bob for"):
            await alice

    asyncio.run(scenario())


def test_a_request_without_a_partner_ends_in_time_and_leaves_nothing() -> None:
    async def scenario() -> None:
        meeting = Meeting(produce, 0.0)
        for side in Side:
            assert await refusal(meeting.answer(side, request(1))) is Refusal.TIMEOUT

    asyncio.run(scenario())


def test_one_side_cannot_wait_twice_for_a_ticket() -> None:
    async def scenario() -> None:
        meeting = Meeting(produce, 5.0)
        alice = await begun(meeting.answer(Side.ALICE, request(1)))
        assert await refusal(meeting.answer(Side.ALICE, request(1))) is Refusal.DUPLICATE
        assert await meeting.answer(Side.BOB, request(1)) == b"bob 2"
        assert await alice == b"alice 2"

    asyncio.run(scenario())


def test_a_bounded_number_of_tickets_waits() -> None:
    async def scenario() -> None:
        meeting = Meeting(produce, 5.0)
        waiting = [await begun(meeting.answer(Side.ALICE, request(k))) for k in range(MAX_WAITING)]
        assert await refusal(meeting.answer(Side.ALICE, request(99))) is Refusal.BUSY
        assert await meeting.answer(Side.BOB, request(0)) == b"bob 2"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        late = await begun(meeting.answer(Side.ALICE, request(99)))
        assert await meeting.answer(Side.BOB, request(99)) == b"bob 2"
        await late

    asyncio.run(scenario())


def test_a_side_that_leaves_may_come_again_under_its_ticket() -> None:
    async def scenario() -> None:
        meeting = Meeting(produce, 5.0)
        gone = await begun(meeting.answer(Side.ALICE, request(1)))
        gone.cancel()
        bob = await begun(meeting.answer(Side.BOB, request(1)))
        assert not bob.done()
        assert await meeting.answer(Side.ALICE, request(1)) == b"alice 2"
        assert await bob == b"bob 2"

    asyncio.run(scenario())


def test_a_side_that_leaves_during_the_simulation_does_not_take_the_others_answer() -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def slow(requests: dict[Side, BlockRequest]) -> Answers:
            await go.wait()
            return await produce(requests)

        meeting = Meeting(slow, 5.0)
        alice = await begun(meeting.answer(Side.ALICE, request(1)))
        bob = await begun(meeting.answer(Side.BOB, request(1)))
        await asyncio.sleep(0)
        bob.cancel()
        go.set()
        assert await alice == b"alice 2"

    asyncio.run(scenario())


def test_a_simulation_that_fails_is_told_to_both_without_its_words() -> None:
    async def fails(_: dict[Side, BlockRequest]) -> Answers:
        raise MemoryError("secret words")

    async def scenario() -> None:
        meeting = Meeting(fails, 5.0)
        alice = await begun(meeting.answer(Side.ALICE, request(1)))
        assert await refusal(meeting.answer(Side.BOB, request(1))) is Refusal.FAILED
        with pytest.raises(LinkRefused, match="ended with MemoryError") as raised:
            await alice
        assert "secret" not in str(raised.value)

    asyncio.run(scenario())


def test_a_refusal_of_the_simulation_reaches_both() -> None:
    async def refuses(_: dict[Side, BlockRequest]) -> Answers:
        raise LinkRefused(Refusal.TOO_LARGE, "no")

    async def scenario() -> None:
        meeting = Meeting(refuses, 5.0)
        alice = await begun(meeting.answer(Side.ALICE, request(1)))
        assert await refusal(meeting.answer(Side.BOB, request(1))) is Refusal.TOO_LARGE
        with pytest.raises(LinkRefused):
            await alice

    asyncio.run(scenario())


def test_memory_of_spent_tickets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting_module, "SPENT_KEPT", 2)

    async def scenario() -> None:
        meeting = Meeting(produce, 5.0)
        for ticket in (0, 1, 2, 0):
            alice = await begun(meeting.answer(Side.ALICE, request(ticket)))
            await meeting.answer(Side.BOB, request(ticket))
            await alice
        assert await refusal(meeting.answer(Side.BOB, request(2))) is Refusal.SPENT

    asyncio.run(scenario())


def test_closing_ends_what_runs() -> None:
    async def scenario() -> None:
        async def endless(_: dict[Side, BlockRequest]) -> Answers:
            await asyncio.Event().wait()
            raise AssertionError

        meeting = Meeting(endless, 5.0)
        alice = await begun(meeting.answer(Side.ALICE, request(1)))
        bob = await begun(meeting.answer(Side.BOB, request(1)))
        await asyncio.sleep(0)
        await meeting.close()
        for task in (alice, bob):
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(scenario())
