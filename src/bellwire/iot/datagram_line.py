"""An established session over datagrams: whole messages in order, whatever the datagrams suffer.

It has no task of its own: what comes in is fed to it, what is due later waits for the loop's clock.
How long a peer may be silent is for who sends and receives to say.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from bellwire.base.errors import BellwireError
from bellwire.channel.datagrams import DatagramSession, SendAgain
from bellwire.channel.errors import RecordDropped, Truncated
from bellwire.channel.handshake import Policy
from bellwire.channel.refresh import RefreshAnswered, RefreshOffered
from bellwire.iot.delivery import Delivery
from bellwire.iot.keys import KeySource
from bellwire.iot.line import draw_for, fetch_for
from bellwire.iot.traffic import Traffic

FINISH_S = 3.0
"""Who has said its last word waits no longer for it to be acknowledged: nothing hangs on that."""

OFFER_AGAIN_S = 1.0


class DatagramLine:
    """An established session; one task reads, one writes.

    Args:
        session: The session.
        carry: Sends a datagram, or loses it.
        datagram_bytes: The largest that may be.
        policy: What we ask of QKD.
        keys: Source of QKD keys, or None.
        before: Datagrams that go before each of ours until the peer is heard: the confirmation.

    Attributes:
        session: Its protections and its peer; who uses the line leaves its records alone.
    """

    def __init__(
        self,
        session: DatagramSession,
        carry: Callable[[bytes], None],
        *,
        datagram_bytes: int,
        policy: Policy,
        keys: KeySource | None,
        before: Sequence[bytes] = (),
    ) -> None:
        self.session = session
        self.traffic = Traffic()
        self._out = carry
        self._policy = policy
        self._keys = keys
        self._before = tuple(before)
        self._loop = asyncio.get_running_loop()
        self._delivery = Delivery(session.room(datagram_bytes))
        self._offered: deque[bytes | None] = deque()
        self._offer_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._failure: BellwireError | None = None
        self._left = False

    def _carry(self, datagram: bytes) -> None:
        self._out(self.traffic.sent(datagram))

    def feed(self, datagram: bytes) -> bool:
        """Take a datagram that came; says whether it was the peer's newest record."""
        try:
            opened = self.session.open(datagram)
            self.traffic.received(datagram)
            self._before = ()
            if isinstance(opened, bytes):
                self._delivery.take(opened, self._loop.time())
        except RecordDropped:
            return False
        except BellwireError as error:
            self._fail(error)
            return False
        match opened:
            case RefreshOffered():
                self._offered.append(opened.key_id)
            case RefreshAnswered() | SendAgain():
                self._offer_at = None if isinstance(opened, RefreshAnswered) else self._offer_at
                self._carry(opened.record)
            case None:
                self._left = True
        self._news.set()
        self._pump()
        return self.session.newest

    async def send(self, message: bytes, within_s: float) -> None:
        """As `Line.send`; returns when all of it has been sent once."""
        if self.session.refresh_due and self._offer_at is None:
            self._offer_at = self._loop.time() + OFFER_AGAIN_S
            try:
                qkd = await draw_for(self._policy, self._keys)
            except BaseException:
                self._offer_at = None
                raise
            self._check()
            self._carry(self.session.offer_refresh(qkd))
        self._check()
        self._delivery.send(message)
        self._pump()
        async with asyncio.timeout(within_s):
            while self._delivery.waiting:
                await self._wait()
                self._check()

    async def receive(self, within_s: float) -> bytes | None:
        """As `Line.receive`."""
        async with asyncio.timeout(within_s) as limit:
            while True:
                message = self._delivery.read()
                if message is not None:
                    return message
                if self._delivery.ended:
                    return None
                self._check()
                if self._offered:
                    limit.reschedule(None)  # the source of keys has limits of its own
                    await self._answer(self._offered.popleft())
                    limit.reschedule(self._loop.time() + within_s)
                    continue
                await self._wait()

    async def finish(self, within_s: float) -> None:
        """As `Line.finish`; returns at the latest after a few seconds."""
        self._check()
        self._delivery.end()
        self._pump()
        try:
            async with asyncio.timeout(min(within_s, FINISH_S)):
                while not (self._delivery.settled or self._left or self._failure):
                    await self._wait()
        except TimeoutError:
            return

    def close(self) -> None:
        """Be gone, and tell the peer if it can be told; again is harmless."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.session.ended:
            for text in self._delivery.due(self._loop.time() + 1.0):
                self._carry(self.session.seal(text))
            self._carry(self.session.close())
        self._left = True
        self._news.set()

    async def _answer(self, key_id: bytes | None) -> None:
        qkd = await fetch_for(key_id, self._keys)
        self._check()
        self._carry(self.session.answer_refresh(qkd))

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._left:
            raise Truncated("expected the peer's last message, got its close")

    def _fail(self, error: BellwireError) -> None:
        self._failure = error
        self._news.set()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _pump(self) -> None:
        """Send what is due, and come back when the next is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.session.ended or self._failure is not None:
            return
        now = self._loop.time()
        try:
            records = [self.session.seal(text) for text in self._delivery.due(now)]
            if self._offer_at is not None and now >= self._offer_at:
                self._offer_at = now + OFFER_AGAIN_S if self._repeat_offer() else None
        except BellwireError as error:
            self._fail(error)
            return
        if records:
            for each in (*self._before, *records):
                self._carry(each)
            self._news.set()
        times = [each for each in (self._delivery.next_at, self._offer_at) if each is not None]
        if times:
            self._timer = self._loop.call_at(min(times), self._pump)

    def _repeat_offer(self) -> bool:
        """Send the open offer once more; says whether there is one."""
        again = self.session.offer_again()
        if again:
            self._carry(again)
        return bool(again)
