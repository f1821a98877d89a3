"""The link as a site's node tells it: the page `/status` of its key server, for pollers.

Asked for when somebody asks us, at most some times a second, however many ask.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import msgspec

from bellwire.console.errors import KeysAbsent
from bellwire.console.views import StatusRecordView

ANSWER_WITHIN_S = 5.0
FRESH_S = 0.2
MAX_PAGE = 1 << 20
MAX_HISTORY = 8 << 20

_RANKS = ("GREEN", "YELLOW", "RED")


@dataclass(frozen=True, slots=True)
class Status:
    """The link, or of several the worst.

    Attributes:
        status: GREEN, YELLOW or RED; RED as well where nothing recent is known.
        qber: Mean of the last blocks, 0 to 1, or of the very last where RED has emptied the mean;
            None before the first.
        history: QBER of the latest blocks and probes, oldest first.
        reason: Why, for people.
        mean_qber: Mean of the last blocks alone; None if there are none.
        last_qber: Of the latest block that had one.
        last_chsh: S of the latest block that had one.
        since: When this status began, seconds since the epoch; None if the node does not say.
        stale: Whether nothing recent is known.
        keys_may_flow: Whether the node gives keys.
    """

    status: str
    qber: float | None
    history: tuple[float, ...]
    reason: str
    mean_qber: float | None = None
    last_qber: float | None = None
    last_chsh: float | None = None
    since: float | None = None
    stale: bool = False
    keys_may_flow: bool = False


class _Outcome(msgspec.Struct, frozen=True):
    qber: float | None


class _Link(msgspec.Struct, frozen=True):
    status: str
    reason: str
    qber: float | None
    last_qber: float | None
    stale: bool
    history: list[_Outcome]
    last_chsh: float | None = None
    since: float | None = None
    keys_may_flow: bool = False


class _Page(msgspec.Struct, frozen=True):
    links: dict[str, _Link]


class _History(msgspec.Struct, frozen=True):
    links: dict[str, list[StatusRecordView]]


class StatusPage:
    """Asks a key server for its page; use as a context manager.

    Args:
        url: Of the key server.
        tls: Who we are, and whom we believe.
        monotonic: Seconds of a clock that only advances.
    """

    def __init__(
        self, url: str, tls: ssl.SSLContext, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = f"{url}/status"
        self._history_url = f"{url}/status/history"
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._latest: tuple[float, Status] | None = None
        self._http = httpx.AsyncClient(
            verify=tls,
            timeout=0.9 * ANSWER_WITHIN_S,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Give the connection up."""
        await self._http.aclose()

    async def now(self) -> Status:
        """The status, at most `FRESH_S` old.

        Raises:
            KeysAbsent: the key server does not say.
        """
        async with self._asking:
            if self._latest is None or self._monotonic() > self._latest[0] + FRESH_S:
                self._latest = None
                found = read_page(await self._page(self._url))
                self._latest = (self._monotonic(), found)
            return self._latest[1]

    async def history(self, since: float, most: int) -> list[StatusRecordView]:
        """How the link was, or of several the first, from `since` on: the latest, ascending.

        `since` is in seconds since the epoch.

        Raises:
            KeysAbsent: the key server does not say.
        """
        page = await self._page(f"{self._history_url}?since={since!r}&limit={most}", MAX_HISTORY)
        try:
            links = msgspec.json.decode(page, type=_History).links
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise KeysAbsent("the key server's history is not that of a node") from error
        return next(iter(links.values()), [])

    async def _page(self, url: str, most: int = MAX_PAGE) -> bytes:
        page = bytearray()
        try:
            async with (
                asyncio.timeout(ANSWER_WITHIN_S),
                self._http.stream("GET", url) as answer,
            ):
                async for piece in answer.aiter_raw():
                    page += piece
                    if len(page) > most:
                        raise KeysAbsent("the key server's status is too long")
                code = answer.status_code
        except (httpx.HTTPError, OSError) as error:
            raise KeysAbsent("the key server does not say how its link is") from error
        if code != 200:
            raise KeysAbsent(f"the key server does not say how its link is, but {code}")
        return bytes(page)


def read_page(page: bytes) -> Status:
    """The status that a page tells.

    Raises:
        KeysAbsent: it tells none.
    """
    try:
        links = list(msgspec.json.decode(page, type=_Page).links.values())
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise KeysAbsent("the key server's status is not that of a node") from error
    if not links or any(each.status not in _RANKS for each in links):
        raise KeysAbsent("the key server has no link")
    worst = max(links, key=_rank)
    history = tuple(each.qber for each in worst.history if each.qber is not None)
    qber = worst.last_qber if worst.qber is None else worst.qber
    status, reason = worst.status, worst.reason
    if worst.stale:
        status, reason = "RED", f"nothing recent is known of the link ({worst.reason})"
    return Status(
        status,
        qber,
        history,
        reason,
        mean_qber=worst.qber,
        last_qber=worst.last_qber,
        last_chsh=worst.last_chsh,
        since=worst.since,
        stale=worst.stale,
        keys_may_flow=worst.keys_may_flow,
    )


def _rank(link: _Link) -> int:
    return len(_RANKS) if link.stale else _RANKS.index(link.status)
