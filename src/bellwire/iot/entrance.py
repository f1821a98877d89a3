"""Where devices prove who they are: not too many at once, and by the list as it is now."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable

from bellwire.channel.errors import TooManyHandshakes
from bellwire.iot.answering import Guests
from bellwire.iot.authority import TrustFiles
from bellwire.iot.events import Event, KeyFileIgnored
from bellwire.iot.identity import AllowList


class Entrance:
    """Bounds how many are between their connection and their session.

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
        self._waiting: Counter[str] = Counter()
        self._ignored: set[str] = set()

    @property
    def waiting(self) -> int:
        """How many are shaking hands, or have not begun to."""
        return self._waiting.total()

    @contextlib.asynccontextmanager
    async def enter(self, host: str) -> AsyncIterator[Guests]:
        """Within, an address may shake hands; gives who may come.

        Raises:
            TooManyHandshakes: too many are waiting, in all or from this address.
            PathUnusable: the folder of admitted devices cannot be read.
        """
        if self.waiting >= self._most or self._waiting[host] >= max(1, self._most // 2):
            raise TooManyHandshakes("expected fewer unfinished handshakes, got too many at once")
        self._waiting[host] += 1
        try:
            yield await self._guests()
        finally:
            self._waiting[host] -= 1
            if not self._waiting[host]:
                del self._waiting[host]

    async def _guests(self) -> Guests:
        admitted = await asyncio.to_thread(self._admitted.load)
        refused = set(self._admitted.refused.values())
        for reason in sorted(refused - self._ignored):
            self._notify(KeyFileIgnored(reason))
        self._ignored = refused
        return Guests(admitted=admitted, trust=self._trust)
