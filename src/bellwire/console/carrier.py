"""The way to the other console: a POST to its address, whoever may answer there.

The address need not be trusted: what travels is sealed (`sealed`).
"""

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx

from bellwire.base.errors import UsageError
from bellwire.console.errors import PeerConsoleAbsent

ANSWER_WITHIN_S = 10.0
"""The other console asks its key server twice before it answers."""

MAX_ANSWER = 16 << 10


def check_url(url: str) -> str:
    """The address of a console, without a slash at its end.

    Raises:
        UsageError: not `http://HOST[:PORT]` or `https://HOST[:PORT]`.
    """
    try:
        parsed = urlsplit(url)
        extra = parsed.query or parsed.fragment or parsed.username or parsed.password
        good = parsed.scheme in {"http", "https"} and bool(parsed.hostname) and parsed.port != 0
        good = good and not extra and parsed.path in {"", "/"} and url.isprintable()
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        good = False
    if not good:
        raise UsageError(f"expected http://HOST:PORT or https://HOST:PORT, got {url[:200]!r}")
    return url.rstrip("/")


class Carrier:
    """Brings messages to the other console.

    Args:
        find: Its address, as it is known now; None if it is not.
        tls: Whom we believe to be it, where its address is `https`.
    """

    def __init__(self, find: Callable[[], str | None], tls: ssl.SSLContext) -> None:
        self._find = find
        self._http = httpx.AsyncClient(
            verify=tls,
            timeout=0.9 * ANSWER_WITHIN_S,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json"},
        )

    async def close(self) -> None:
        """Give the connections up."""
        await self._http.aclose()

    async def __call__(self, message: bytes) -> bytes:
        """Its answer.

        Raises:
            PeerConsoleAbsent: there is none.
        """
        url = self._find()
        if url is None:
            raise PeerConsoleAbsent("the address of the other site's console is not known")
        body = bytearray()
        try:
            async with (
                asyncio.timeout(ANSWER_WITHIN_S),
                self._http.stream("POST", f"{url}/peer", content=message) as answer,
            ):
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) > MAX_ANSWER:
                        raise PeerConsoleAbsent("the other site's console says too much")
                code = answer.status_code
        except (httpx.HTTPError, OSError) as error:
            raise PeerConsoleAbsent("the other site's console does not answer") from error
        if code != 200:
            raise PeerConsoleAbsent(f"the other site's console gives no answer, but {code}")
        return bytes(body)
