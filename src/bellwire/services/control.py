"""How a supervisor is asked and told from another process of the same user."""

import asyncio
import contextlib
import time

import msgspec
import psutil

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.local import AnswerMalformed, NotAnswered, ask
from bellwire.services.errors import NotStopped
from bellwire.services.messages import ANSWER_LIMIT, Look, Services, Stop, answers
from bellwire.services.place import Place

ANSWER_WITHIN_S = 30.0
STOP_WITHIN_S = 300.0
POLL_S = 0.05


async def look(place: Place) -> Services | None:
    """What the supervisor of a place says; None if there is none, or it has just begun.

    Raises:
        AnswerMalformed: somebody else answers there.
        NotAnswered: it holds the place, and does not answer.
    """
    if not place.is_held():
        return None
    if not place.control.exists():
        return None
    try:
        return await _ask(place, Look())
    except NotAnswered:
        if place.is_held():
            raise
        return None


async def stop(place: Place) -> Services | None:
    """Have the supervisor stop all and end, and wait for that; what ran, None if nothing did.

    Raises:
        NotStopped: it did not end in time.
        AnswerMalformed: somebody else answers there.
    """
    deadline = time.monotonic() + STOP_WITHIN_S
    ran: Services | None = None
    supervisor: psutil.Process | None = None
    while place.is_held() or _lives(supervisor):
        if time.monotonic() > deadline:
            raise NotStopped(
                f"expected the supervisor of {place.state} to end within {STOP_WITHIN_S:.0f} s, "
                "and it is still there",
                hint="Its process: bellwire status. Services end with it, however it is ended.",
            )
        # One that has just begun has no socket yet, and one that is about to end none any more.
        if ran is None and place.control.exists():
            try:
                ran = await _ask(place, Stop())
                supervisor = _process(ran.pid)
            except NotAnswered:
                ran = None
        await asyncio.sleep(POLL_S)
    return ran


def _process(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid)
    return None


def _lives(process: psutil.Process | None) -> bool:
    """Whether a process is there still, and not another one of its number."""
    if process is None or not process.is_running():
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


async def _ask(place: Place, request: Look | Stop) -> Services:
    body = await ask(
        place.control,
        msgspec.msgpack.encode(request),
        answer_limit=ANSWER_LIMIT,
        timeout_s=ANSWER_WITHIN_S,
    )
    try:
        return answers.decode(body)
    except UNDECODABLE as error:
        raise AnswerMalformed(f"expected the supervisor's answer at {place.control}") from error
