"""Keys that are replaced in time: by age, by bytes or by uses, at both ends, and no message lost.

The sender's end (`Master`) draws keys; each message carries the id of its key; the receiver's end
(`Slave`) fetches a key when it first meets its id. What always holds: no key goes beyond a limit of
its rules; a new one is drawn before the old one ends, so that messages seldom wait, and when there
is none they wait and are not sent under the old one; the receiver remembers keys that were
replaced, so that messages on their way can be read.
"""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from bellwire.etsi014.errors import (
    Etsi014Error,
    KmeUnavailable,
    KmeUnreachable,
    RequestUnusable,
    SubscriberTooSlow,
)
from bellwire.etsi014.exchange import Key

AHEAD = 0.8
"""Share of a key's life after which the next one is drawn."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
MOST_UNREAD = 256
"""New keys that a subscriber may leave unread."""


class KeyClient(Protocol):
    """What is asked of a client: `client.AsyncClient` has it."""

    async def get_keys(self, slave: str, number: int = 1, bits: int | None = None) -> list[Key]:
        """New keys."""

    async def get_keys_with_ids(self, master: str, key_ids: Sequence[str]) -> list[Key]:
        """Keys by their ids."""


@dataclass(frozen=True, slots=True)
class RefreshRules:
    """When a key ends; the first limit that is reached counts.

    Attributes:
        age_s: Since it came into use.
        payload_bytes: Of all messages under it.
        uses: Messages under it.
    """

    age_s: float = math.inf
    payload_bytes: float = math.inf
    uses: float = math.inf

    def __post_init__(self) -> None:
        limits = (self.age_s, self.payload_bytes, self.uses)
        if not all(limit > 0 for limit in limits) or min(limits) == math.inf:
            raise RequestUnusable(
                "refresh: expected limits above 0, and one of age, bytes and uses at least, got "
                f"{self.age_s:g} s, {self.payload_bytes:g} bytes, {self.uses:g} uses"
            )


class _Life:
    """A key, and what it has been used for."""

    __slots__ = ("_began", "_bytes", "_rules", "_uses", "key", "over")

    def __init__(self, key: Key, rules: RefreshRules, now: float) -> None:
        self.key = key
        self.over = asyncio.Event()
        self._rules = rules
        self._began = now
        self._bytes = 0
        self._uses = 0

    def permits(self, size: int, now: float) -> bool:
        """Whether a message of `size` bytes may go under it."""
        rules = self._rules
        return (
            self._uses + 1 <= rules.uses
            and self._bytes + size <= rules.payload_bytes
            and now < self._began + rules.age_s
        )

    def use(self, size: int) -> None:
        self._uses += 1
        self._bytes += size
        if not (self._uses < self._rules.uses and self._bytes < self._rules.payload_bytes):
            self.over.set()

    def spent(self, now: float) -> float:
        """The share of its life that is over, 0 to 1."""
        rules = self._rules
        return max(
            self._uses / rules.uses,
            self._bytes / rules.payload_bytes,
            (now - self._began) / rules.age_s,
        )

    def left_s(self, now: float, share: float = 1.0) -> float:
        """Seconds until that share of its age is over."""
        return self._began + share * self._rules.age_s - now


class Master:
    """The end that draws keys; used in one event loop, as a context manager or with `close`.

    Args:
        client: Of our key server; it stays open.
        slave: The SAE at the other end.
        rules: When keys are replaced.
        bits: Length of each key; None for what the key server gives.
        patience_s: How long a message may wait for a key.
        waiting: Told of every refusal after which we ask again.
        monotonic: Seconds of a clock that only advances.
    """

    def __init__(
        self,
        client: KeyClient,
        slave: str,
        rules: RefreshRules,
        *,
        bits: int | None = 256,
        patience_s: float = 10.0,
        waiting: Callable[[Etsi014Error], None] = lambda error: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._slave = slave
        self._rules = rules
        self._bits = bits
        self._patience_s = patience_s
        self._waiting = waiting
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._life: _Life | None = None
        self._next: asyncio.Task[Key] | None = None
        self._unread: list[deque[Key]] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> "Master":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Draw no more."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
            self._next = None

    async def key(self, size: int = 0) -> Key:
        """The key for one message of `size` bytes, which is counted as sent under it.

        Raises:
            RequestUnusable: no key may carry so much.
            KmeUnavailable, KmeUnreachable: no new key came in time, and the old one has ended.
            Etsi014Error: the key server refuses for good.
        """
        if not 0 <= size <= self._rules.payload_bytes:
            raise RequestUnusable(
                f"refresh: expected a message of 0 to {self._rules.payload_bytes:g} bytes, got "
                f"{size}"
            )
        async with self._patience(), self._turn:
            life = await self._current(size)
            life.use(size)
            if life.spent(self._monotonic()) >= AHEAD:
                self._begin_next()
            return life.key

    async def renew(self) -> None:
        """End the present key: somebody else may know it, or the other end has lost it.

        Raises: as `key`.
        """
        async with self._patience(), self._turn:
            await self._replace()

    async def follow(self) -> AsyncGenerator[Key, None]:
        """Each key once, in order: the present one, then every one that takes its place.

        A key that ends is replaced whether somebody needs it now or not. While there is none it
        waits, however long.

        Raises:
            SubscriberTooSlow: `MOST_UNREAD` new keys were not taken.
            Etsi014Error: the key server refuses for good.
        """
        unread: deque[Key] = deque(maxlen=MOST_UNREAD + 1)
        async with self._turn:
            life = await self._current(0)
            unread.append(life.key)
            self._unread.append(unread)
        try:
            while True:
                if len(unread) > MOST_UNREAD:
                    raise SubscriberTooSlow(
                        f"refresh: expected new keys to be taken, got {MOST_UNREAD} unread ones"
                    )
                if unread:
                    yield unread.popleft()
                    continue
                await self._until_due()
        finally:
            self._unread = [each for each in self._unread if each is not unread]

    # -- replacing -----------------------------------------------------------------------------

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience_s):
                yield
        except TimeoutError as error:
            raise KmeUnavailable(
                f"no new key came within {self._patience_s:g} s, and the old one has ended"
            ) from error

    async def _current(self, size: int) -> _Life:
        """A key that takes a message of `size`; the caller has the turn."""
        if self._life is None or not self._life.permits(size, self._monotonic()):
            await self._replace()
        assert self._life is not None
        return self._life

    async def _replace(self) -> None:
        """Put a new key in the place of the present one; the caller has the turn."""
        task = self._begin_next()
        await asyncio.wait({task})  # whoever loses patience leaves it to the next
        self._next = None
        key = task.result()
        self._life = _Life(key, self._rules, self._monotonic())
        for each in self._unread:
            each.append(key)
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _begin_next(self) -> "asyncio.Task[Key]":
        if self._next is None:
            self._next = asyncio.create_task(self._draw())
            self._next.add_done_callback(_seen)
        return self._next

    async def _draw(self) -> Key:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return (await self._client.get_keys(self._slave, 1, self._bits))[0]
            except (KmeUnavailable, KmeUnreachable) as error:
                # After a lost answer a key may be gone: it was never used.
                self._waiting(error)
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    async def _until_due(self) -> None:
        """Wait until there is a new key; make it if the present one ends by age or use."""
        life, news = self._life, self._news
        assert life is not None
        over = asyncio.ensure_future(life.over.wait())
        new = asyncio.ensure_future(news.wait())
        try:
            now = self._monotonic()
            ahead_s = life.left_s(now, AHEAD)
            if ahead_s > 0:
                limit = None if ahead_s == math.inf else ahead_s
                await asyncio.wait({over, new}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if news.is_set():
                return
            self._begin_next()
            if not life.over.is_set():
                left_s = life.left_s(self._monotonic())
                await asyncio.wait(
                    {over, new}, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            for each in (over, new):
                each.cancel()
            await asyncio.gather(over, new, return_exceptions=True)
        async with self._turn:
            due = life.over.is_set() or life.left_s(self._monotonic()) <= 0
            if self._life is life and due:
                await self._replace()


class Slave:
    """The end that fetches keys by the ids that come with messages; used in one event loop.

    Args:
        client: Of our key server; it stays open.
        master: The SAE at the other end.
        remembered: Keys that are kept for messages on their way, the latest used ones.
        patience_s: How long a key may be behind its id.
        waiting: Told of every refusal after which we ask again.
        monotonic: Seconds of a clock that only advances.

    Raises:
        RequestUnusable: `remembered` is less than 1.
    """

    def __init__(
        self,
        client: KeyClient,
        master: str,
        *,
        remembered: int = 16,
        patience_s: float = 10.0,
        waiting: Callable[[Etsi014Error], None] = lambda error: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if remembered < 1:
            raise RequestUnusable(f"refresh: expected 1 or more keys to remember, got {remembered}")
        self._client = client
        self._master = master
        self._remembered = remembered
        self._patience_s = patience_s
        self._waiting = waiting
        self._monotonic = monotonic
        self._keys: OrderedDict[str, Key] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[Key]] = {}

    async def key(self, key_id: str) -> Key:
        """The key of that id; fetched the first time, remembered then.

        Raises:
            KmeRejected: there is no such key, or it was fetched and forgotten.
            KmeUnreachable: its answer may be lost, and with it the key; the master must renew.
            Etsi014Error: the key server refuses.
        """
        name = key_id.lower()
        if name in self._keys:
            self._keys.move_to_end(name)
            return self._keys[name]
        task = self._fetching.get(name)
        if task is None:
            # Its own task: who loses patience must not take the key from who waits as well.
            task = self._fetching[name] = asyncio.create_task(self._fetch(key_id, name))
            task.add_done_callback(_seen)
        return await asyncio.shield(task)

    async def _fetch(self, key_id: str, name: str) -> Key:
        try:
            until = self._monotonic() + self._patience_s
            pause_s = FIRST_PAUSE_S
            key: Key | None = None
            while key is None:
                try:
                    key = (await self._client.get_keys_with_ids(self._master, [key_id]))[0]
                except KmeUnavailable as error:
                    # 503 has consumed nothing.
                    if self._monotonic() >= until:
                        raise
                    self._waiting(error)
                    await asyncio.sleep(pause_s)
                    pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
            self._keys[name] = key
            while len(self._keys) > self._remembered:
                self._keys.popitem(last=False)
            return key
        finally:
            del self._fetching[name]


def _seen(task: "asyncio.Task[Key]") -> None:
    if not task.cancelled():
        task.exception()  # seen, should nobody wait for it any more
