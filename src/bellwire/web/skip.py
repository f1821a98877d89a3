"""Cisco's Secure Key Integration Protocol (SKIP) in front of a `KeyServer`, sans-I/O.

Read in draft-cisco-skip-02 (3 September 2025), sections 3, 4 and 8. Its words and ours: an
*encryptor* is an SAE, known by its certificate. Each encryptor has a *Key Provider* of its own,
whose system id is the SAE's id: of `localSystemID` the draft asks that it is unique among the
providers of a connection (4.1.1). So `remoteSystemID` names the SAE at the other end: the slave of
a new key, and the master of one that is asked for by its id. A `keyId` is the key's UUID in
hexadecimal digits.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec

from bellwire.base.errors import BellwireError
from bellwire.crypto.randomness.source import OperatingSystem, RandomSource
from bellwire.keys.errors import KeyGone, KeyNotGranted, SlaveUnknown
from bellwire.keys.kme import KEY_ID_BYTES, Delivery, KeyRequest, KeyServer
from bellwire.web import kme
from bellwire.web.errors import RequestRefused
from bellwire.web.requests import Method, decimal, query_pairs

DEFAULT_BITS = 256
"""Of a key (4.2.2) and of entropy (4.3)."""

MAX_ENTROPY_BITS = 8192
NOT_FOUND = "the keyId is malformed, or its key is not found"

_KEY_ID = re.compile(rb"[0-9A-Fa-f]{%d}" % (2 * KEY_ID_BYTES))


class SkipMethod(Enum):
    """Methods of table 2."""

    CAPABILITIES = b"/capabilities"
    KEY = b"/key"
    KEY_BY_ID = b"/key/"
    ENTROPY = b"/entropy"

    @property
    def segment(self) -> str:
        """Its name in metrics and in the audit log."""
        return f"skip_{self.name.lower()}"


@dataclass(frozen=True, slots=True)
class SkipCall:
    """A request.

    Attributes:
        method: What is asked for.
        about: The SAE at the other end; None where there is none.
        number: Bits of a new key or of entropy.
        key_id: `KEY_ID_BYTES` of the key asked for.
    """

    method: SkipMethod
    about: str | None = None
    number: int = 0
    key_id: bytes = b""


class Skip:
    """SKIP at the door of a KME.

    Args:
        server: The KME.
        pairs: Encryptors, and for each the SAEs at the other ends; nobody else is served.
        random: For entropy.
    """

    def __init__(
        self,
        server: KeyServer,
        pairs: Mapping[str, tuple[str, ...]],
        random: RandomSource | None = None,
    ) -> None:
        self._server = server
        self._pairs = pairs
        self._random = random or OperatingSystem()

    def serves(self, caller: str, path: bytes) -> SkipMethod | None:
        """Which method a path is for an encryptor; None if it is none."""
        if caller not in self._pairs:
            return None
        if path.startswith(SkipMethod.KEY_BY_ID.value):
            return SkipMethod.KEY_BY_ID
        try:
            return SkipMethod(path)
        except ValueError:
            return None

    def read(
        self,
        method: SkipMethod,
        caller: str,
        path: bytes,
        *,
        verb: bytes,
        query: bytes,
        body: bytes,
    ) -> SkipCall:
        """What an encryptor asks for.

        Raises:
            RequestRefused: 405, no GET; 400, it is not what the method takes.
        """
        if verb != b"GET":
            raise RequestRefused(405, "only GET is supported", headers=[("allow", "GET")])
        if body:
            raise RequestRefused(400, "a GET has its parameters in the query, got a body")
        given = _once(query)
        match method:
            case SkipMethod.CAPABILITIES:
                return SkipCall(method)
            case SkipMethod.ENTROPY:
                bits = _bits("minentropy", given, 8, MAX_ENTROPY_BITS)
                return SkipCall(method, number=bits)
            case SkipMethod.KEY:
                limits = self._server.limits
                bits = _bits("size", given, limits.min_key_bits, limits.max_key_bits)
                return SkipCall(method, self._remote(caller, given), bits)
            case SkipMethod.KEY_BY_ID:
                digits = path.removeprefix(method.value)
                if _KEY_ID.fullmatch(digits) is None:
                    raise RequestRefused(400, NOT_FOUND)
                key_id = bytes.fromhex(digits.decode())
                return SkipCall(method, self._remote(caller, given), key_id=key_id)

    def call(
        self,
        caller: str,
        asked: SkipCall,
        seen: "Callable[[KeyRequest | bytes], None] | None" = None,
    ) -> "bytes | asyncio.Future[Delivery]":
        """Do it.

        Returns:
            The body of a 200, or what will be delivered.

        Raises:
            BellwireError: what `KeyServer` raises; `refusal` says what to answer.
        """
        match asked.method:
            case SkipMethod.CAPABILITIES:
                return self._capabilities(caller)
            case SkipMethod.ENTROPY:
                drawn = self._random.draw(asked.number // 8)
                content = {"randomStr": drawn.hex(), "minentropy": asked.number}
                return msgspec.json.encode(content)
            case SkipMethod.KEY:
                assert asked.about is not None
                request = KeyRequest((asked.about,), 1, asked.number)
                if seen is not None:
                    seen(request)
                return self._server.get_keys(caller, request)
            case SkipMethod.KEY_BY_ID:
                assert asked.about is not None
                if seen is not None:
                    seen(asked.key_id)
                return self._server.get_keys_with_ids(caller, asked.about, asked.key_id)

    def _capabilities(self, caller: str) -> bytes:
        remotes = self._pairs[caller]
        return msgspec.json.encode(
            {
                "entropy": True,
                "key": True,
                "algorithm": self._algorithm(caller, remotes[0]),
                "localSystemID": caller,
                "remoteSystemID": list(remotes),
            }
        )

    def _algorithm(self, caller: str, remote: str) -> str:
        """How keys come about: 16 bytes at most, as encryptors need take no more (4.1)."""
        try:
            source = self._server.status(caller, remote).extension.get("source", "")
        except BellwireError:
            source = ""  # the other KME was not met yet
        return f"QKD {source}".strip()[:16]

    def _remote(self, caller: str, given: Mapping[str, str]) -> str:
        remote = given.get("remoteSystemID")
        if remote is None:
            raise RequestRefused(400, "remoteSystemID: expected it in the query, got none")
        if remote not in self._pairs[caller]:
            raise RequestRefused(400, "remoteSystemID: expected one that /capabilities names")
        return remote


def answer(delivery: Delivery) -> bytes:
    """Table 6, of one key; `delivery`'s copy of it is wiped."""
    content = {"keyId": delivery.ids.hex(), "key": delivery.keys.reveal().hex()}
    delivery.keys.wipe()
    return msgspec.json.encode(content)


def refusal(error: BaseException) -> RequestRefused | None:
    """What to answer to an error of a `KeyServer`; None if it is a fault of ours.

    The draft knows 400 for a key that is not found, whyever (table 7).
    """
    if isinstance(error, KeyGone | KeyNotGranted):
        return RequestRefused(400, NOT_FOUND)
    if isinstance(error, SlaveUnknown):
        return RequestRefused(400, "remoteSystemID: no key provider that we reach has it")
    return kme.refusal(error, Method.NEW)


def _once(query: bytes) -> Mapping[str, str]:
    """Parameters of a query; those that we do not know are passed over.

    Raises:
        RequestRefused: 400, one comes twice.
    """
    given: dict[str, str] = {}
    for name, text in query_pairs(query):
        if name in given and name:
            raise RequestRefused(400, "query: expected each parameter once, got one twice")
        given[name] = text
    return given


def _bits(name: str, given: Mapping[str, str], least: int, most: int) -> int:
    bits = decimal(name, given[name]) if name in given else DEFAULT_BITS
    if not least <= bits <= most or bits % 8:
        raise RequestRefused(400, f"{name}: expected a multiple of 8 from {least} to {most} bits")
    return bits
