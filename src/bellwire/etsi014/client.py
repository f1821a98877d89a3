"""A client of a key server: the requests of `exchange` over HTTPS with mutual TLS.

What always holds: the address is `https`, redirects are not followed, the environment (proxies,
certificate bundles) changes nothing, an answer is taken up to a limit and within one time for the
whole exchange, however slowly it drips. Connections are kept alive and used again.

What is asked twice: Get status, once more if the connection failed. Get key and Get key with key
IDs never: both consume keys, and 014 has no acknowledgement, so after a lost answer nobody knows
whether they are gone. A key may so be lost; it is never used twice.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.errors import KmeMisbehaved, KmeUnreachable, KmeUntrusted, RequestUnusable
from bellwire.etsi014.exchange import (
    NO_EXTRAS,
    Answer,
    Extras,
    Key,
    Request,
    ask_keys,
    ask_keys_with_ids,
    ask_status,
    read_keys,
    read_keys_with_ids,
    read_status,
)
from bellwire.etsi014.messages import MAX_ANSWER, Status
from bellwire.etsi014.refusal import hangs_up

ANSWER_WITHIN_S = 5.0
"""For a whole exchange, connecting included: servers answer in milliseconds, over any distance."""

KEEP_ALIVE_S = 30.0

_BROKEN = (httpx.TransportError, OSError)
"""What a connection may end with; failures of TLS are among them."""

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "bellwire"}


def check_url(url: str) -> str:
    """The address of a key server, without a slash at its end.

    Raises:
        RequestUnusable: not `https://HOST[:PORT][/PATH]`.
    """
    try:
        parsed = urlsplit(url)
        plain = not (parsed.query or parsed.fragment or parsed.username or parsed.password)
        good = parsed.scheme == "https" and bool(parsed.hostname) and parsed.port != 0 and plain
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        good = False
    if not good or not url.isprintable() or " " in url:
        raise RequestUnusable("url: expected https://HOST[:PORT][/PATH], got something else")
    return url.rstrip("/")


class AsyncClient:
    """Asks one key server; use as a context manager, or `close` it.

    Args:
        url: `https://HOST[:PORT]`, and what the server puts before `/api/v1`, if anything.
        credentials: Who we are, and whom we believe.
        timeout_s: For a whole exchange, in seconds.

    Raises:
        RequestUnusable: the address is not of `https`.
        CredentialsUnusable, PathExposed, PathUnusable: as `Credentials.context`.
    """

    def __init__(
        self, url: str, credentials: Credentials, *, timeout_s: float = ANSWER_WITHIN_S
    ) -> None:
        self._url = check_url(url)
        self._timeout_s = timeout_s
        self._exchanges: set[asyncio.Task[Answer]] = set()
        self._tls = credentials.context()
        self._http = httpx.AsyncClient(
            verify=self._tls,
            # Before the time for the whole: a handshake that is cancelled leaves its socket open.
            timeout=0.9 * timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers=_HEADERS,
            limits=httpx.Limits(max_connections=4, keepalive_expiry=KEEP_ALIVE_S),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections up; what is under way is heard to its end."""
        await asyncio.gather(*self._exchanges, return_exceptions=True)
        await self._http.aclose()

    async def status(self, slave: str) -> Status:
        """Get status: what there is between us and `slave`.

        Raises:
            Etsi014Error: see `errors`; RequestUnusable where nothing was sent.
        """
        return read_status(await self._exchange(ask_status(slave)), slave)

    async def get_keys(
        self,
        slave: str,
        number: int = 1,
        bits: int | None = None,
        extras: Extras = NO_EXTRAS,
    ) -> list[Key]:
        """Get key: `number` new keys of `bits` bits, which `slave` can get by their ids.

        Without `bits` the server gives keys of its own size; `extras` has what else 014 knows.

        Raises:
            Etsi014Error: see `errors`; the server may have consumed the keys all the same, unless
                it is RequestUnusable.
        """
        request = ask_keys(slave, number, bits, extras)
        return read_keys(await self._exchange(request), number, bits)

    async def get_keys_with_ids(self, master: str, key_ids: Sequence[str]) -> list[Key]:
        """Get key with key IDs: what `master` drew under these ids, in their order.

        Raises:
            Etsi014Error: as `get_keys`.
        """
        answer = await self._exchange(ask_keys_with_ids(master, key_ids))
        return read_keys_with_ids(answer, key_ids)

    async def _exchange(self, request: Request) -> Answer:
        """Ask, in a task of its own: a caller that is cancelled must not cancel a handshake."""
        task = asyncio.create_task(self._ask(request))
        self._exchanges.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Task[Answer]") -> None:
        self._exchanges.discard(task)
        if not task.cancelled():
            task.exception()  # seen, should nobody wait for it any more

    async def _ask(self, request: Request) -> Answer:
        if request.repeatable:
            # A connection kept alive may have died meanwhile.
            with contextlib.suppress(KmeUnreachable, *_BROKEN):
                return await self._once(request)
        try:
            return await self._once(request)
        except _BROKEN as error:
            raise await self._no_connection(error) from error

    async def _once(self, request: Request) -> Answer:
        headers = {} if request.body is None else {"Content-Type": "application/json"}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream(
                    request.method,
                    self._url + request.path,
                    content=request.body,
                    headers=headers,
                ) as response,
            ):
                return Answer(response.status_code, await _body(response))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise KmeUnreachable(
                f"no whole answer of the key server {self._url} within {self._timeout_s:g} s"
            ) from error

    async def _no_connection(self, error: BaseException) -> KmeUnreachable | KmeUntrusted:
        tls = _tls_failure(error)
        if isinstance(tls, ssl.SSLCertVerificationError):
            return KmeUntrusted(
                f"the certificate of {self._url} is not good: {tls.verify_message}",
                hint="Is the authority's certificate the one that the key server's is signed by?",
            )
        if tls is not None and tls.reason is not None:
            return KmeUntrusted(
                f"no TLS with {self._url}: {tls.reason}",
                hint="Does the key server know the authority that signed our certificate?",
            )
        if await hangs_up(self._url, self._tls, self._timeout_s):
            return KmeUntrusted(
                f"the key server {self._url} hangs up while TLS is made, as many do which do not "
                "take a certificate",
                hint="Is ours valid, not revoked, and of an authority that the key server knows?",
            )
        return KmeUnreachable(
            f"no connection to the key server {self._url}, or it broke off "
            f"({type(error).__name__})",
            hint="Is it up, and is the address right?",
        )


class Client:
    """`AsyncClient` for callers without an event loop; same arguments, methods and errors."""

    asks: type[AsyncClient] = AsyncClient
    """What asks for it."""

    def __init__(
        self, url: str, credentials: Credentials, *, timeout_s: float = ANSWER_WITHIN_S
    ) -> None:
        self._client = self.asks(url, credentials, timeout_s=timeout_s)
        # A loop of its own, and not HTTPX's own synchronous client: only a loop can end an exchange
        # whose answer drips a byte at a time.
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections up."""
        self._runner.run(self._client.close())
        self._runner.close()

    def status(self, slave: str) -> Status:
        """As `AsyncClient.status`."""
        return self._runner.run(self._client.status(slave))

    def get_keys(
        self,
        slave: str,
        number: int = 1,
        bits: int | None = None,
        extras: Extras = NO_EXTRAS,
    ) -> list[Key]:
        """As `AsyncClient.get_keys`."""
        return self._runner.run(self._client.get_keys(slave, number, bits, extras))

    def get_keys_with_ids(self, master: str, key_ids: Sequence[str]) -> list[Key]:
        """As `AsyncClient.get_keys_with_ids`."""
        return self._runner.run(self._client.get_keys_with_ids(master, key_ids))


async def _body(response: httpx.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise KmeMisbehaved("expected an answer as it is, got a compressed one")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_ANSWER:
            raise KmeMisbehaved(f"expected an answer of at most {MAX_ANSWER} bytes, got more")
    return bytes(body)


def _tls_failure(error: BaseException | None) -> ssl.SSLError | None:
    """The failure of TLS at the bottom of an error, where there is one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        # A connection that ends without TLS's farewell is a broken one, not a refused one.
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
