"""What the node says of its links, as it says it: over a WebSocket, or asked for every second.

What always holds: TLS with the guard's own certificate, and the node's checked against the one
authority that was named; nothing of the environment counts; words are bounded; three seconds of
silence end the connection.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from bellwire.guard.errors import StatusAbsent
from bellwire.guard.messages import MAX_MESSAGE, Told, read_told

STATUS, SOCKET = "/status", "/status/ws"
SILENCE_S = 3.0
POLL_S = 1.0
MAX_STATUS = 1 << 20
_NO_SOCKET = {404, 405, 426, 501, 502, 503}


class Listener:
    """Listens to one node.

    Args:
        url: Of its KME's door: `https://HOST:PORT`.
        tls: Who we are, and whom we believe.
    """

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self._url = url
        self._tls = tls

    async def words(self) -> AsyncGenerator[Told, None]:
        """Its words, until the connection is over; what ended it is raised.

        Raises:
            StatusAbsent: it cannot be reached, or fell silent.
            StatusRefused: it said something else.
        """
        try:
            async with contextlib.aclosing(self._pushed()) as pushed:
                async for told in pushed:
                    yield told
        except InvalidStatus as error:
            code = error.response.status_code
            if code not in _NO_SOCKET:
                raise StatusAbsent(f"the node refuses to tell its status: {code}") from error
        except (OSError, WebSocketException, TimeoutError) as error:
            raise StatusAbsent(f"the node does not tell its status: {_why(error)}") from error
        async with contextlib.aclosing(self._polled()) as polled:
            async for told in polled:
                yield told

    async def _pushed(self) -> AsyncGenerator[Told, None]:
        parts = urlsplit(self._url)
        async with connect(
            f"wss://{parts.netloc}{parts.path}{SOCKET}",
            ssl=self._tls,
            open_timeout=SILENCE_S,
            close_timeout=0.2,
            ping_interval=None,  # heartbeats do that
            max_size=MAX_MESSAGE,
            max_queue=16,
            compression=None,
            proxy=None,
        ) as websocket:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    data = await websocket.recv()
                yield read_told(data)

    async def _polled(self) -> AsyncGenerator[Told, None]:
        async with httpx.AsyncClient(
            verify=self._tls, timeout=SILENCE_S, trust_env=False, follow_redirects=False
        ) as client:
            while True:
                try:
                    async with asyncio.timeout(SILENCE_S):
                        yield read_told(await self._asked(client))
                except (httpx.HTTPError, OSError, TimeoutError) as error:
                    raise StatusAbsent(
                        f"the node does not tell its status: {_why(error)}"
                    ) from error
                await asyncio.sleep(POLL_S)

    async def _asked(self, client: httpx.AsyncClient) -> bytes:
        body = b""
        async with client.stream("GET", self._url + STATUS) as answer:
            if answer.status_code != 200:
                raise StatusAbsent(f"the node refuses to tell its status: {answer.status_code}")
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > MAX_STATUS:
                    raise StatusAbsent("the node tells a status that is too long")
        return body


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no word in time"
    if isinstance(error, ssl.SSLError):
        return error.reason or "TLS failed"
    return str(error) or type(error).__name__
