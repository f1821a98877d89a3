"""The way of entries to a log: `POST /add` with a writer's token (spec/ledger.md, 5).

What always holds: the token crosses a network inside TLS alone; redirects are not followed, and the
environment changes nothing; an answer is bounded, in bytes and in time.
"""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.secret import Secret
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.outbox.errors import LogUnreached, LogUnusable, WriterRefused
from bellwire.ledger.outbox.outbox import MOST_AT_ONCE
from bellwire.ledger.store.errors import SequenceGap, SequenceTaken
from bellwire.ledger.tiles import join_bundle

WITHIN_S: Final = 10.0
MAX_ANSWER: Final = 64 << 10
MAX_WAIT_S: Final = 60.0


class _Detail(msgspec.Struct, frozen=True):
    expected: Annotated[int, Meta(ge=1)] | None = None
    taken: bool = False


class _Refusal(msgspec.Struct, frozen=True):
    message: Annotated[str, Meta(max_length=1000)] = ""
    details: list[_Detail] = []


class _Added(msgspec.Struct, frozen=True):
    numbers: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(max_length=MOST_AT_ONCE)]


def check_url(url: str) -> str:
    """The address of a log, without a slash at its end.

    Raises:
        LogUnusable: it is none, or the token would cross a network in the clear.
    """
    scheme = host = ""
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname or ""
        plain = not (parts.query or parts.fragment or parts.username or parts.password)
        good = scheme in {"http", "https"} and bool(host) and parts.port != 0 and plain
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        good = False
    if not good or not url.isprintable() or " " in url:
        raise LogUnusable("log: expected https://HOST:PORT, or http on this machine, got another")
    if scheme == "http" and not _is_local(host):
        raise LogUnusable(f"log: expected https for another machine, got {url[:200]!r}")
    return url.rstrip("/")


def log_tls(authority: Path | None) -> ssl.SSLContext:
    """Whom we believe to be the log.

    Args:
        authority: Certificates of who may vouch for it, PEM; None: those of the system.

    Raises:
        LogUnusable: there are none in that file.
    """
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise LogUnusable(f"log: expected certificates in PEM in {authority}, got none") from error


class Carrier:
    """Brings entries of one writer to one log; a context manager.

    Args:
        url: As `check_url` has it.
        token: Of the writer. Secret.
        tls: From `log_tls`.
    """

    def __init__(self, url: str, token: Secret, tls: ssl.SSLContext) -> None:
        self._url = check_url(url) + "/add"
        self._token = token
        self._http = httpx.AsyncClient(
            verify=tls,
            # Before the time for the whole: a handshake that is cancelled leaves its socket open.
            timeout=0.8 * WITHIN_S,
            trust_env=False,
            follow_redirects=False,
            headers={"accept-encoding": "identity", "user-agent": "bellwire"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def bring(self, entries: Sequence[bytes]) -> list[int]:
        """Bring a batch; when this returns, all of it is in the log, durably.

        Returns:
            Their numbers in the log, from 0.

        Raises:
            LogUnreached: it may be there or not: bring it again.
            WriterRefused: the log does not know us.
            EntryMalformed: the log takes one of them for none.
            SequenceGap, SequenceTaken: the log goes on elsewhere than we do.
        """
        try:
            code, wait_s, body = await self._ask(join_bundle(entries))
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise LogUnreached(f"the log does not answer: {why or type(error).__name__}") from error
        if code == httpx.codes.OK:
            return _numbers(body, len(entries))
        if code in {401, 403}:
            raise WriterRefused(f"the log refuses this writer: {_refusal(body).message or code}")
        if code == httpx.codes.CONFLICT:
            raise _conflict(_refusal(body))
        if code == httpx.codes.UNPROCESSABLE_ENTITY:
            raise EntryMalformed(f"the log takes an entry for none: {_refusal(body).message}")
        raise LogUnreached(f"the log answers {code}", wait_s)

    async def _ask(self, bundle: bytes) -> tuple[int, float, bytes]:
        token = self._token.reveal().decode()
        body = b""
        async with (
            asyncio.timeout(WITHIN_S),
            self._http.stream(
                "POST",
                self._url,
                content=bundle,
                headers={
                    "authorization": f"Bearer {token}",
                    "content-type": "application/octet-stream",
                },
            ) as answer,
        ):
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > MAX_ANSWER:
                    raise LogUnreached("what answers is no log: it says too much")
        return answer.status_code, _wait_s(answer), body


def _numbers(body: bytes, count: int) -> list[int]:
    try:
        numbers = msgspec.json.decode(body, type=_Added).numbers
    except UNDECODABLE:
        numbers = []
    if len(numbers) != count:
        raise LogUnreached(f"what answers is no log: expected {count} numbers of entries")
    return numbers


def _refusal(body: bytes) -> _Refusal:
    try:
        said = msgspec.json.decode(body, type=_Refusal)
    except UNDECODABLE:
        return _Refusal()
    shown = "".join(each if each.isprintable() else "?" for each in said.message[:200])
    return _Refusal(shown, said.details)


def _conflict(said: _Refusal) -> SequenceGap | SequenceTaken | LogUnreached:
    for each in said.details:
        if each.expected is not None:
            return SequenceGap("this writer", each.expected, each.expected + 1)
        if each.taken:
            return SequenceTaken(said.message or "the log has another entry under this number")
    return LogUnreached("what answers is no log: it answers 409 without saying why")


def _wait_s(answer: httpx.Response) -> float:
    with contextlib.suppress(ValueError):
        return max(0.0, min(float(answer.headers.get("retry-after", "0")), MAX_WAIT_S))
    return 0.0


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
