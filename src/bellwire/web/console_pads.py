"""Pads for who talks in a browser: keys of the site's own key server, handed to the page that asks.

To the key server the pages of a site are one SAE, `pages-a` or `pages-b`, apart from the console's
own, so that no page can ask for what consoles say to each other under. Whom a key is for, the other
side decides, who sends its id to one page alone, end to end; the key server gives it once.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Protocol

import structlog

from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.chat.messenger.keys import KeyServer, draw, joined, source_of
from bellwire.console.views_chat import (
    AskedPad,
    AskedSession,
    DrawnPad,
    FetchedPad,
    MadePad,
    NamedKeys,
    NamedPad,
    SessionPad,
    SessionUnfolds,
)
from bellwire.etsi014.errors import (
    Etsi014Error,
    KmeMisbehaved,
    KmeRejected,
    KmeUnauthorised,
    RequestUnusable,
    SessionAborted,
)
from bellwire.etsi014.fresh import FreshPad
from bellwire.etsi014.record import SessionNow
from bellwire.web.errors import RequestRefused
from bellwire.web.plain import require_pace
from bellwire.web.rates import Rates

DRAWS_PER_S: Final = 0.5
DRAWS_BURST: Final = 8.0
"""Of an account: each is 4096 bytes at most, so 16 kbit of stock a second in the mean."""

SESSIONS_PER_S: Final = 2.0
SESSIONS_BURST: Final = 12.0
"""Of an account: the longest message has eleven parts, each with a session of its own."""

_NEVER: Final = (KmeRejected, KmeUnauthorised, KmeMisbehaved, RequestUnusable)

log = structlog.get_logger()


Follow = Callable[[str, int], Awaitable[tuple[int, SessionNow | None]]]
"""What is known of the session of a mark, once it is newer than a number; None: nothing new."""

Tell = Callable[[str, SessionUnfolds], None]
"""Tells the pages of an account."""


class PageServer(KeyServer, Protocol):
    """A key server whose sessions may be followed by a mark."""

    async def fresh(self, slave: str, bits: int, mark: str = "") -> FreshPad:
        """A pad by a session of its own."""


class PagePads:
    """The key server of a site, as its pages use it.

    Args:
        server: Asked as the pages' SAE.
        sae: Who the pages are to it.
        follow: Says how sessions go on; None where nobody does.
        tell: Is told it.
        clock: Seconds of a clock that only advances.
    """

    def __init__(
        self,
        server: PageServer,
        sae: str,
        *,
        follow: Follow | None = None,
        tell: Tell | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sae = sae
        self._server = server
        self._follow = follow
        self._tell = tell
        self._clock = clock
        self._draws = Rates(DRAWS_PER_S, DRAWS_BURST)
        self._sessions = Rates(SESSIONS_PER_S, SESSIONS_BURST)

    async def draw(self, account: str, asked: AskedPad) -> DrawnPad:
        """A pad from stock, and the ids by which somebody's SAE can fetch its keys.

        Raises:
            RequestRefused: 404, there will never be one; 429; 503, there is none now.
        """
        require_pace(self._draws.wait_s(account, self._clock()))
        with _refusing():
            status = await self._server.status(asked.peer)
            stock = await draw(self._server, asked.peer, status, asked.least)
        log.info("pad drawn", account=account, peer=asked.peer, bytes=len(stock.pad))
        with _wiped(stock.pad) as pad:
            return DrawnPad(source_of(status), stock.key_ids, pad)

    async def make(self, account: str, asked: AskedSession) -> MadePad:
        """A pad by a session of its own, which somebody's SAE can fetch by the session's id.

        Raises:
            RequestRefused: as `draw`.
        """
        require_pace(self._sessions.wait_s(account, self._clock()))
        try:
            async with self._followed(account, asked.mark):
                with _refusing():
                    made = await self._server.fresh(asked.peer, 8 * asked.bytes, asked.mark)
        except SessionAborted as aborted:
            return MadePad(aborted.record.session, aborted.record, None)
        with _wiped(made.pad) as pad:
            log.info("pad made", account=account, peer=asked.peer, bytes=len(pad))
            return MadePad(made.pad_id, made.record, pad)

    @asynccontextmanager
    async def _followed(self, account: str, mark: str) -> AsyncIterator[None]:
        """Tell the account's pages how a session goes on, to its last step if it gave a pad."""
        following = asyncio.ensure_future(self._unfold(account, mark, None))
        try:
            yield
            await self._unfold(account, mark, 1)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _unfold(self, account: str, mark: str, times: int | None) -> None:
        """Tell what is known of a session so often, or until we are cancelled."""
        if self._follow is None or self._tell is None or not mark:
            return
        number = 0
        try:
            for _ in itertools.count() if times is None else range(times):
                number, now = await self._follow(mark, number)
                if now is not None:
                    self._tell(account, SessionUnfolds(mark, now))
        except (BellwireError, OSError) as error:
            log.info("a session is not followed", error=str(error))  # it goes on all the same

    async def fetch(self, account: str, asked: NamedKeys) -> FetchedPad:
        """The pad that somebody's SAE has drawn, once.

        Raises:
            RequestRefused: as `draw`.
        """
        with _refusing():
            status = await self._server.status(asked.peer)
            keys = await self._server.get_keys_with_ids(asked.peer, asked.ids)
        with _wiped(joined(keys)) as pad:
            log.info("pad fetched", account=account, peer=asked.peer, bytes=len(pad))
            return FetchedPad(source_of(status), pad)

    async def session(self, account: str, asked: NamedPad) -> SessionPad:
        """The pad of a session that somebody's SAE asked for, once, with what it measured.

        Raises:
            RequestRefused: as `draw`.
        """
        try:
            with _refusing():
                made = await self._server.pad(asked.peer, asked.session)
        except SessionAborted as aborted:
            return SessionPad(aborted.record, None)
        with _wiped(made.pad) as pad:
            log.info("pad fetched", account=account, peer=asked.peer, bytes=len(pad))
            return SessionPad(made.record, pad)


@contextmanager
def _refusing() -> Iterator[None]:
    """Errors of the key server, in words of HTTP; a session that gave nothing is no error."""
    try:
        yield
    except SessionAborted:
        raise
    except _NEVER as error:
        raise RequestRefused(404, "the key server never gives this key") from error
    except Etsi014Error as error:
        log.warning("no pad for a page", error=str(error))  # it may name addresses and files
        retry = [("retry-after", "1")]
        raise RequestRefused(503, "the key server gives no key now", headers=retry) from error


@contextmanager
def _wiped(secret: Secret) -> Iterator[bytes]:
    """The bytes of a secret, which is wiped in the end."""
    try:
        yield secret.reveal()
    finally:
        secret.wipe()
