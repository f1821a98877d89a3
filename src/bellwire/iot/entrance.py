"""Where devices prove who they are: not too many at once, and by the list as it is now."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

from bellwire.channel.errors import TooManyHandshakes
from bellwire.iot.answering import Guests
from bellwire.iot.events import Event, KeyFileIgnored
from bellwire.iot.identity import AllowList
from bellwire.iot.trust_files import TrustFiles


class Entrance:
    """Bounds how many are between their connection and their session.

    When all places are taken, whoever has waited longest at the address that takes most of them
    makes room for an address that takes fewer.

    Args:
        admitted: Who may connect.
        trust: Whose certificates count beside the list, if any do.
        most: How many may be waiting; half of them, and at least one, from one address.
        notify: Told of key files that are of no use.
    """

    def __init__(
        self,
        admitted: AllowList,
        trust: TrustFiles | None,
        *,
        most: int,
        notify: Callable[[Event], None],
    ) -> None:
        self._admitted = admitted
        self._trust = trust
        self._most = most
        self._notify = notify
        self._waiting: dict[str, OrderedDict[asyncio.Task[object], None]] = {}
        self._evicted: set[asyncio.Task[object]] = set()
        self._ignored: set[str] = set()
        self.waiting = 0

    @contextlib.asynccontextmanager
    async def enter(self, host: str) -> AsyncIterator[Guests]:
        """Within, an address may shake hands; gives who may come.

        Raises:
            TooManyHandshakes: too many are waiting, in all or from this address; also later, if
                another needs the place.
            PathUnusable: the folder of admitted devices cannot be read.
        """
        task = asyncio.current_task()
        assert task is not None
        self._make_room(host)
        self._waiting.setdefault(host, OrderedDict())[task] = None
        self.waiting += 1
        try:
            yield await self.guests()
        except asyncio.CancelledError:
            if task not in self._evicted or task.uncancel():
                raise
            raise TooManyHandshakes("made room for a handshake from elsewhere") from None
        finally:
            if task not in self._evicted:
                self._leave(host, task)
            self._evicted.discard(task)

    def _make_room(self, host: str) -> None:
        own = len(self._waiting.get(host, ()))
        if own >= max(1, self._most // 2):
            raise TooManyHandshakes("expected fewer unfinished handshakes, got too many at once")
        if self.waiting < self._most:
            return
        crowd = max(self._waiting, key=lambda each: len(self._waiting[each]))
        if len(self._waiting[crowd]) <= own + 1:
            raise TooManyHandshakes("expected fewer unfinished handshakes, got too many at once")
        oldest = next(iter(self._waiting[crowd]))
        self._leave(crowd, oldest)
        self._evicted.add(oldest)
        oldest.cancel()

    def _leave(self, host: str, task: asyncio.Task[object]) -> None:
        del self._waiting[host][task]
        if not self._waiting[host]:
            del self._waiting[host]
        self.waiting -= 1

    async def guests(self) -> Guests:
        """Who may come, as the list is now; PathUnusable if it cannot be read."""
        admitted = await asyncio.to_thread(self._admitted.load)
        refused = set(self._admitted.refused.values())
        for reason in sorted(refused - self._ignored):
            self._notify(KeyFileIgnored(reason))
        self._ignored = refused
        return Guests(admitted=admitted, trust=self._trust)
