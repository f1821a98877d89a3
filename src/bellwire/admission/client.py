"""The newcomer's side: proves its keys, lets its connection be timed, and asks to be registered."""

import itertools
import ssl
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Meta

from bellwire.admission.assessment import Verdict
from bellwire.admission.errors import AdmissionAbsent, AdmissionRefused, AdmissionUnusable
from bellwire.admission.model import is_here
from bellwire.admission.possession import PrivateKey, prove, public_bytes
from bellwire.admission.register import Standing
from bellwire.base.decoding import UNDECODABLE

ECHOES: Final = 24
MAX_ANSWER: Final = 256 << 10
MAX_LIST: Final = 2 << 20
"""A list of revoked certificates has 16 bytes for each of at most 100,000."""

WITHIN_S: Final = 40.0
"""A model may take 25 seconds to judge."""

Text = Annotated[str, Meta(max_length=64 << 10)]


class Challenged(msgspec.Struct, frozen=True):
    """What the server asks for."""

    challenge: bytes
    server: Annotated[str, Meta(max_length=256)]
    username: Annotated[str, Meta(max_length=64)]
    nonce: bytes
    ciphertexts: dict[str, bytes]
    word: bytes
    ip_address: Annotated[str, Meta(max_length=64)]
    colour: Annotated[str, Meta(max_length=16)]


class Echoed(msgspec.Struct, frozen=True):
    """The word for the next echo."""

    word: bytes


class Given(msgspec.Struct, frozen=True):
    """A certificate for our key of P-256; `not_after` is in seconds since the epoch."""

    sae_id: Annotated[str, Meta(max_length=256)]
    certificate: Text
    authorities: Text
    not_after: int


class CloudTold(msgspec.Struct, frozen=True):
    """The cloud that a server tells devices of."""

    username: Annotated[str, Meta(max_length=64)]
    certificate: Annotated[bytes, Meta(max_length=8192)]
    address: Annotated[str, Meta(max_length=512)] | None = None


class ForChannel(msgspec.Struct, frozen=True):
    """A certificate of the channel for our key, and what goes with it; nothing of it is checked.

    `not_after` is in seconds since the epoch.
    """

    certificate: Annotated[bytes, Meta(max_length=8192)]
    not_after: int
    authority: Annotated[bytes, Meta(max_length=8192)]
    cloud: CloudTold | None = None


class Registered(msgspec.Struct, frozen=True):
    """How it stands with our registration, `since` when, in seconds since the epoch."""

    username: Annotated[str, Meta(max_length=64)]
    status: Standing
    verdict: Verdict
    reasons: Annotated[list[Annotated[str, Meta(max_length=500)]], Meta(max_length=16)]
    since: int
    certificate: Given | None = None
    channel: ForChannel | None = None
    receipt: Annotated[str, Meta(pattern=r"\A/register/receipts/[a-z0-9_-]{3,32}\Z")] | None = None
    """Where the receipt is to be had, if a log is told."""


class _Error(msgspec.Struct, frozen=True):
    message: Annotated[str, Meta(max_length=2000)]


@dataclass(frozen=True, slots=True)
class Measured:
    """What we measured of our own connection, milliseconds."""

    ping_ms: float
    jitter_ms: float


_T = TypeVar("_T", bound=msgspec.Struct)


class AdmissionClient:
    """Registers names with one server; use it as a context.

    Args:
        url: `https://HOST:PORT`, or `http` on this machine.
        name: By which the server is known: what proofs are made for, so that another server that
            stands between cannot use them.
        tls: Whom we believe to be the server.
    """

    def __init__(self, url: str, name: str, tls: ssl.SSLContext) -> None:
        self._name = name
        self._http = httpx.AsyncClient(
            base_url=url, verify=tls, timeout=WITHIN_S, trust_env=False, follow_redirects=False
        )

    @classmethod
    def to(cls, url: str, name: str | None = None, authorities: Path | None = None) -> Self:
        """A client of the server at an address.

        Args:
            url: `https://HOST[:PORT]`, or `http` on this machine.
            name: As the server is called; None takes the host in the address.
            authorities: Who signs its certificate, PEM; None means whom this system believes.

        Raises:
            AdmissionUnusable: the address is none, or keys would cross a network in the clear.
        """
        host = _host(url)
        try:
            tls = ssl.create_default_context(cafile=authorities)
        except (OSError, ValueError) as error:
            raise AdmissionUnusable(f"expected certificates in PEM in {authorities}") from error
        return cls(url, name or host, tls)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def register(
        self, handle: str, keys: Mapping[str, PrivateKey], token: str | None = None
    ) -> Registered:
        """Register a name with keys of ours, or find out how it stands with it.

        Raises:
            AdmissionAbsent: the server does not answer, or not as one of admission does.
            AdmissionRefused: it says no, and why.
        """
        public = {kind: public_bytes(key) for kind, key in keys.items()}
        challenge = await self._ask(
            "/register/challenge", {"username": handle, "public_keys": public}, Challenged
        )
        if challenge.server != self._name:
            raise AdmissionRefused(
                f"expected the server {self._name[:80]!a}, got {challenge.server[:80]!a}",
                hint="Name it as it is called: --server NAME.",
            )
        seen = await self._echo(challenge)
        proofs = prove(self._name, challenge.username, keys, challenge.nonce, challenge.ciphertexts)
        state = {
            "ping": seen.ping_ms,
            "jitter": seen.jitter_ms,
            "ip_address": challenge.ip_address,
        }
        words = {
            "username": challenge.username,
            "quantum_state": state,
            "public_keys": public,
            "challenge": challenge.challenge,
            "proofs": proofs,
            "token": token,
        }
        return await self._ask("/register/", words, Registered)

    async def receipt(self, registered: Registered) -> bytes | None:
        """What the server gives as the receipt of a registration, unverified; None: not yet.

        Raises:
            AdmissionAbsent: the server does not answer, or the log does not show it.
            AdmissionRefused: there is none, and why.
        """
        if registered.receipt is None:
            raise AdmissionRefused("expected a server that tells a log, got one that tells none")
        code, data = await self._exchange("GET", registered.receipt)
        if code == httpx.codes.OK:
            return data
        if code == httpx.codes.ACCEPTED:
            return None
        raise self._refused(code, data)

    async def revoked(self) -> bytes:
        """The list of certificates of the channel that were taken back, unverified.

        Raises:
            AdmissionAbsent: the server does not answer.
            AdmissionRefused: it gives no such certificates.
        """
        code, data = await self._exchange("GET", "/register/channel/revoked", most=MAX_LIST)
        if code == httpx.codes.OK:
            return data
        raise self._refused(code, data)

    async def _echo(self, challenge: Challenged) -> Measured:
        times, word = [], challenge.word
        for _ in range(ECHOES):
            began = time.perf_counter()
            said = {"challenge": challenge.challenge, "word": word}
            word = (await self._ask("/register/echo", said, Echoed)).word
            times.append(1000.0 * (time.perf_counter() - began))
        steps = [abs(b - a) for a, b in itertools.pairwise(times)]
        return Measured(min(times), statistics.median(steps))

    async def _ask(self, path: str, words: object, kind: type[_T]) -> _T:
        code, data = await self._exchange("POST", path, msgspec.json.encode(words))
        if code >= 300:
            raise self._refused(code, data)
        try:
            return msgspec.json.decode(data, type=kind)
        except UNDECODABLE as error:
            raise AdmissionAbsent(
                f"expected an answer of admission, got another ({code})"
            ) from error

    async def _exchange(
        self, verb: str, path: str, body: bytes = b"", most: int = MAX_ANSWER
    ) -> tuple[int, bytes]:
        """Code and body, of at most `most` bytes, of an answer."""
        kind = {"content-type": "application/json"} if body else {}
        try:
            async with self._http.stream(verb, path, content=body, headers=kind) as answer:
                data = b""
                async for piece in answer.aiter_bytes():
                    data += piece
                    if len(data) > most:
                        raise AdmissionAbsent(
                            "expected a short answer of admission, got a long one"
                        )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise AdmissionAbsent(
                f"admission does not answer at {self._http.base_url}: {type(error).__name__}"
            ) from error
        return answer.status_code, data

    @staticmethod
    def _refused(code: int, data: bytes) -> AdmissionAbsent | AdmissionRefused:
        try:
            said = msgspec.json.decode(data, type=_Error).message
        except UNDECODABLE:
            return AdmissionAbsent(f"expected an answer of admission, got another ({code})")
        plain = "".join(each if each.isprintable() else "?" for each in said)
        if code in {429, 500, 502, 503, 504}:
            return AdmissionAbsent(f"admission cannot answer now: {plain}")
        return AdmissionRefused(plain)


def _host(url: str) -> str:
    form = AdmissionUnusable(f"expected a server as https://HOST[:PORT], got {url[:80]!a}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise form from error
    host = parts.hostname
    if not host or parts.scheme not in {"http", "https"} or parts.username or parts.query:
        raise form
    if parts.scheme == "http" and not is_here(host):
        raise AdmissionUnusable(f"expected https for a server on another machine, got http: {host}")
    return host
