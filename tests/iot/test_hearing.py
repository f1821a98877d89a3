"""A cloud that does not keep to the protocol of messages gets no further with a device."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
from tests.patience import PATIENCE_S

from bellwire.iot.errors import CloudRejected, ProtocolError
from bellwire.iot.hearing import Hearing
from bellwire.iot.inbox import Inbox
from bellwire.iot.line import Line
from bellwire.iot.messages import (
    Finish,
    FromCloud,
    FromDevice,
    Holding,
    Item,
    Push,
    Rejected,
    Taken,
    Waiting,
    decode_from_device,
    encode,
)
from bellwire.iot.received import ReceivedFile

HELD = Holding(0, bytes(32))


def push(*numbers: int) -> Push:
    return Push(b"q" * 16, tuple(Item(bytes(16), number, 0, b"x") for number in numbers))


class Cloud:
    """A line whose other end says what it is told to say to each message."""

    def __init__(self, answers: Callable[[FromDevice], Sequence[FromCloud]]) -> None:
        self._answers = answers
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self.heard: list[FromDevice] = []

    async def send(self, message: bytes, within_s: float) -> None:
        self.heard.append(decode_from_device(message))
        for each in self._answers(self.heard[-1]):
            self._said.put_nowait(encode(each))

    async def receive(self, within_s: float) -> bytes:
        return await self._said.get()


async def talk(cloud: Cloud, inbox: Inbox | None, *, listen: bool) -> FromCloud:
    hearing = Hearing(cast("Line", cloud), inbox, 20.0)
    async with asyncio.timeout(PATIENCE_S), hearing.running():
        if listen:
            await hearing.listen()
        return await hearing.ask(Finish())


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "device", ReceivedFile(tmp_path / "received"))


def test_a_push_that_was_not_asked_for_ends_the_session(inbox: Inbox) -> None:
    for taker in (inbox, None):
        with pytest.raises(ProtocolError, match="push"):
            asyncio.run(talk(Cloud(lambda said: [push(1), HELD]), taker, listen=False))
    assert inbox.shown == 0


def test_pushes_without_end_end_the_session(inbox: Inbox) -> None:
    flood = [push(number) for number in range(1, 50)]
    with pytest.raises(ProtocolError, match="another"):
        asyncio.run(talk(Cloud(lambda said: [*flood, Waiting(0)]), inbox, listen=True))
    assert inbox.shown <= 2


def test_numbers_that_fall_end_the_session(inbox: Inbox) -> None:
    def answers(said: FromDevice) -> list[FromCloud]:
        return [push(2, 1)] if isinstance(said, Finish) else [Waiting(2)]

    with pytest.raises(ProtocolError, match="order"):
        asyncio.run(talk(Cloud(answers), inbox, listen=True))
    assert inbox.shown == 0


@pytest.mark.parametrize("answer", [HELD, push(1)])
def test_another_answer_than_what_waits_ends_the_session(inbox: Inbox, answer: FromCloud) -> None:
    def answers(said: FromDevice) -> list[FromCloud]:
        return [] if isinstance(said, Taken) else [answer, HELD]

    with pytest.raises(ProtocolError, match="what waits"):
        asyncio.run(talk(Cloud(answers), inbox, listen=True))


def test_an_answer_to_no_question_ends_the_session(inbox: Inbox) -> None:
    with pytest.raises(ProtocolError, match="asked"):
        asyncio.run(talk(Cloud(lambda said: [Waiting(0), HELD]), inbox, listen=True))


def test_a_refusal_is_told(inbox: Inbox) -> None:
    with pytest.raises(CloudRejected, match="full"):
        asyncio.run(talk(Cloud(lambda said: [Rejected("full")]), inbox, listen=False))
