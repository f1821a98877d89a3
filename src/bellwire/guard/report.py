"""Tells a site's console how the guard is: at each change, and every two seconds.

What the console does, or does not, has no effect on what passes: a word that cannot be told is
dropped, and the next one has all that it had.
"""

import asyncio
import contextlib
import ipaddress
import math
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import structlog

from bellwire.base.private import read_own_file
from bellwire.guard.errors import ReportUnusable
from bellwire.guard.following import Followed
from bellwire.guard.state import State

PATH = "/guard_state"
EVERY_S = 2.0
APART_S = 0.2
WITHIN_S = 3.0
MAX_REASON = 500
_MAX_TOKEN = 256
_TOKEN = re.compile(rf"[!-~]{{1,{_MAX_TOKEN}}}")

log = structlog.get_logger("guard")


class Reporter:
    """Tells one console; `run` goes on until it is cancelled.

    Args:
        url: Of the console, without a slash at its end: `https`, or `http` on this machine.
        token: Of the guard's account there.
        tls: Whom we believe to be the console.
        about: What does not change: firewall, lease, what is guarded.

    Raises:
        ReportUnusable: the token would cross a network in the clear.
    """

    def __init__(
        self,
        url: str,
        token: str,
        tls: ssl.SSLContext,
        *,
        about: Mapping[str, object],
    ) -> None:
        _require_privacy(url)
        self._url = url + PATH
        self._token = token
        self._tls = tls
        self._about = about
        self._changed = asyncio.Event()

    def tell(self, _: State) -> None:
        """The guard's state is another one."""
        self._changed.set()

    async def run(self, state: Callable[[], State]) -> None:
        """Tell, for ever, how the guard is then."""
        told = None
        async with httpx.AsyncClient(
            verify=self._tls,
            timeout=WITHIN_S,
            trust_env=False,
            follow_redirects=False,
            headers={"authorization": f"Bearer {self._token}"},
        ) as client:
            while True:
                self._changed.clear()
                failed = await self._failed(client, self._words(state()))
                if failed != told:
                    if failed:
                        log.warning("the console is not told how the guard is", error=failed)
                    else:
                        log.info("the console is told how the guard is")
                    told = failed
                await asyncio.sleep(APART_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S - APART_S):
                        await self._changed.wait()

    async def _failed(self, client: httpx.AsyncClient, words: dict[str, object]) -> str:
        """Tell once; why it could not be told, or nothing."""
        try:
            async with (
                asyncio.timeout(WITHIN_S),
                client.stream("POST", self._url, json=words) as answer,
            ):
                return "" if answer.status_code == 200 else f"it answers {answer.status_code}"
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            return type(error).__name__

    def _words(self, state: State) -> dict[str, object]:
        override = state.override
        return {
            **self._about,
            "packets": state.packets,
            "reason": state.reason[:MAX_REASON],
            "since": state.since,
            "heard_at": state.heard_at,
            "qber": state.qber,
            "blocked_packets": state.blocked.packets,
            "blocked_bytes": state.blocked.bytes,
            "restored": state.restored,
            "relay": None if state.followed is None else relay_words(state.followed),
            "override": None
            if override is None
            else {
                "packets": override.packets,
                "until": override.until if math.isfinite(override.until) else None,
                "reason": override.reason[:MAX_REASON],
            },
        }


def relay_words(followed: Followed) -> dict[str, object]:
    """Where the relay is, as it is shown."""
    return {
        "level": followed.level,
        "places": followed.places,
        "sequence": followed.sequence,
        "problem": followed.problem[:MAX_REASON],
    }


def read_token(path: Path) -> str:
    """The token in a file that nobody else can read.

    Raises:
        ReportUnusable: there is none in it.
        PathUnusable, PathExposed: it cannot be used.
    """
    data = read_own_file(path, _MAX_TOKEN + 1)
    text = (data or b"").decode("latin-1").strip()
    if not _TOKEN.fullmatch(text):
        raise ReportUnusable(
            f"--console-token: expected the token of an account in {path}, got none",
            hint="`bellwire accounts add NAME --guard --site SITE --out FILE` writes one.",
        )
    return text


def _require_privacy(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = host == "localhost"
    with contextlib.suppress(ValueError):
        local = local or ipaddress.ip_address(host).is_loopback
    if parts.scheme != "https" and not local:
        raise ReportUnusable(f"--console: expected https for another machine, got {url[:200]!r}")
