"""A block that is under way on the classical channel: what waits for it, and how long it took."""

import asyncio
import time
from typing import TypeVar

from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.distill.conversation import Phase
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.line import Ended, Step
from bellwire.distill.session import Session
from bellwire.keys.session_pads import PadFor

BLOCK_TIMEOUT_S = 3600.0
"""Of all steps together, for a peer that takes all the time that it has for each."""

Said = Step | Ended
Name = tuple[bool, int]
"""Whether it is a probe, and its number."""

_T = TypeVar("_T")


class UnderWay:
    """A block that is under way: what the peer said of it, and whose end it waits for.

    Args:
        session: Its steps.
        pad: Of a session: whose pad it gives.
        since: When its opening began, by `time.perf_counter`.

    Attributes:
        inbox: What the peer said and was not read yet, or what ended the connection.
        over: Done when the block has ended.
        before: The same of the block before it; None for the first.
        deadline: When it has taken too long, by the loop's clock.
        secret: Of a session that was stored: its bits.
        times: Seconds that each phase took at this side, waiting for the peer included.
    """

    def __init__(self, session: Session, pad: PadFor | None, since: float) -> None:
        self.session = session
        self.pad = pad
        self.inbox: asyncio.Queue[Said | BellwireError] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = loop.create_future()
        self.deadline = loop.time() + BLOCK_TIMEOUT_S
        self.before: asyncio.Future[None] | None = None
        self.secret: Secret | None = None
        self.times: dict[Phase, float] = {}
        self._since = since

    async def next(self, timeout_s: float | None) -> Said:
        """The peer's next message; what ended the connection is raised, also to who asks again."""
        async with asyncio.timeout(timeout_s):
            item = await self.inbox.get()
        if isinstance(item, BellwireError):
            self.inbox.put_nowait(item)
            raise item
        return item

    def lap(self, phase: Phase) -> None:
        """Count the time since the last lap for a phase."""
        now = time.perf_counter()
        self.times[phase] = self.times.get(phase, 0.0) + now - self._since
        self._since = now


def put(queue: "asyncio.Queue[_T]", item: _T, limit: int) -> None:
    """Let something wait.

    Raises:
        MalformedMessage: more waits than the lockstep lets a peer say.
    """
    if queue.qsize() >= limit:
        raise MalformedMessage(f"expected at most {limit} messages ahead of us")
    queue.put_nowait(item)
