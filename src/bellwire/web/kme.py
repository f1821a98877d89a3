"""ETSI GS QKD 014 V1.1.1 in front of a `KeyServer`: what is asked, and what an error is called.

Sans-I/O. It decides nothing about keys: it reads, bounds, asks and translates. The order of checks
is that of `docs/reference/etsi014.md`.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from functools import lru_cache

from bellwire.base.errors import BellwireError
from bellwire.keys.errors import (
    KeyGone,
    KeyNotGranted,
    KeyNotReady,
    LinkRed,
    NotEnoughKey,
    PeerAbsent,
    QuotaReached,
    SaeUnknown,
    SessionAborted,
    SlaveUnknown,
    StoreError,
)
from bellwire.keys.kme import Delivery, KeyRequest, KeyServer, Limits
from bellwire.web import answers
from bellwire.web.errors import RequestRefused
from bellwire.web.requests import Call, Method, key_request, read_key_ids, read_key_request

SHORT = 256
"""Bytes of a request for new keys that is remembered as it was read."""

NOT_FOUND = "one or more keys specified are not found on KME"
NO_ACCESS = "key data access error"
UNKNOWN = "the slave SAE is not known"
UNAUTHORISED = "the SAE is not authorised"

_NOT_NOW: dict[type[BellwireError], tuple[str, int | None]] = {
    LinkRed: ("", None),
    NotEnoughKey: ("", None),
    KeyNotReady: ("a key asked for is not ready yet", 1),
    QuotaReached: ("the SAE has had as many keys as it may have for now", 60),
    PeerAbsent: ("the KME of the other SAE does not answer", None),
    StoreError: ("the store of keys failed", None),
}
"""Why, and after how many seconds to ask again. Own words where an error's may name files or
addresses; an empty text stands for the error's own."""


def call(
    server: KeyServer,
    caller: str,
    asked: Call,
    *,
    verb: bytes,
    query: bytes,
    body: bytes,
    seen: "Callable[[KeyRequest | bytes], None] | None" = None,
) -> "bytes | asyncio.Future[Delivery]":
    """Do what an authenticated SAE of `server` asks for.

    Args:
        server: The KME.
        caller: The SAE.
        asked: What the path says.
        verb: Of HTTP.
        query: Of the request.
        body: Of the request.
        seen: Called with what was read of a request for keys, before it is asked for.

    Returns:
        The body of a 200, or what will be delivered.

    Raises:
        RequestRefused: it is refused.
        BellwireError: what `KeyServer` raises; `refusal` says what to answer.
    """
    if verb not in asked.method.verbs:
        allowed = ", ".join(each.decode() for each in asked.method.verbs)
        raise RequestRefused(
            405, f"this method is asked for by {allowed}", headers=[("allow", allowed)]
        )
    match asked.method:
        case Method.STATUS:
            if body:
                raise RequestRefused(400, "a GET has its parameters in the query, got a body")
            if asked.about == caller:
                raise RequestRefused(400, "a slave SAE is another than the caller")
            return answers.status(server.status(caller, asked.about), server.limits)
        case Method.NEW:
            read = _read_short if len(query) + len(body) <= SHORT else _read_new
            request = read((verb, query, body), caller, asked.about, server.limits)
            if seen is not None:
                seen(request)
            return server.get_keys(caller, request)
        case Method.BY_ID:
            ids = read_key_ids(verb, query, body, server.limits)
            if seen is not None:
                seen(ids)
            if asked.about == caller:
                raise RequestRefused(400, "a master SAE is another than the caller")
            return server.get_keys_with_ids(caller, asked.about, ids)


def _read_new(
    raw: tuple[bytes, bytes, bytes], caller: str, slave: str, limits: Limits
) -> KeyRequest:
    return key_request(read_key_request(*raw), caller, slave, limits)


_read_short = lru_cache(maxsize=1024)(_read_new)
"""A master asks for the same again and again; there is no secret in what it asks."""


def refusal(error: BaseException, method: Method) -> RequestRefused | None:
    """What to answer to an error of a `KeyServer`; None if it is a fault of ours."""
    if isinstance(error, SlaveUnknown):
        # No key can have come from a master whom nobody knows.
        return RequestRefused(400, NOT_FOUND if method is Method.BY_ID else UNKNOWN)
    if isinstance(error, SaeUnknown | KeyNotGranted):
        return RequestRefused(401, UNAUTHORISED)
    if isinstance(error, KeyGone | SessionAborted):
        return _no_key(error, method)
    for kind, (reason, retry_s) in _NOT_NOW.items():
        if isinstance(error, kind):
            return _not_now(reason or str(error), retry_s)
    return None


def _no_key(error: KeyGone | SessionAborted, method: Method) -> RequestRefused:
    """There is none under an id, or a session gave none, whose record is told."""
    if isinstance(error, KeyGone):
        return RequestRefused(400, NOT_FOUND)
    details: list[Mapping[str, object]] = [{"reason": str(error)}, error.extension]
    if method is Method.BY_ID:
        return RequestRefused(400, NOT_FOUND, details=details)
    return RequestRefused(503, NO_ACCESS, details=details)


def too_fast(wait_s: float) -> RequestRefused:
    """More requests than an SAE may make; the standard has no code of its own for it."""
    return _not_now("the SAE asks more often than it may", max(1, math.ceil(wait_s)))


def _not_now(reason: str, retry_s: int | None = None) -> RequestRefused:
    headers = [] if retry_s is None else [("retry-after", str(retry_s))]
    return RequestRefused(503, NO_ACCESS, details=[{"reason": reason}], headers=headers)
