"""Requests and answers of ETSI GS QKD 014 V1.1.1 (clause 5), sans-I/O.

`ask_*` makes a request, `read_*` makes of its answer what was asked for, or raises what came
instead. The three methods of the standard and nothing else; keys are asked for by POST, because GET
cannot carry several ids and leaves ids in logs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from bellwire.base.secret import Secret
from bellwire.etsi014.errors import (
    Etsi014Error,
    KmeMisbehaved,
    KmeRejected,
    KmeUnauthorised,
    KmeUnavailable,
    RequestUnusable,
    printable,
)
from bellwire.etsi014.messages import (
    MAX_ERROR,
    MAX_ID,
    MAX_REQUEST_BITS,
    Error,
    KeyContainer,
    KeyId,
    KeyIds,
    KeyRequest,
    Status,
    decode,
    encode,
)


@dataclass(frozen=True, slots=True)
class Request:
    """What to send.

    Attributes:
        method: GET or POST.
        path: Below the server's address, percent-encoded.
        body: JSON; None has none.
        repeatable: Whether asking again is harmless. Get key consumes keys, so it is not; Get key
            with key IDs consumes them too, so that after a lost answer a second one finds nothing.
    """

    method: str
    path: str
    body: bytes | None
    repeatable: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: code of HTTP, and the whole body; the body may hold keys."""

    code: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a key server.

    Attributes:
        key_id: As the server wrote it; not secret.
        key: Secret.
        id_extension: What the server adds to the id (`key_ID_extension`), as it came.
        extension: What it adds to the key (`key_extension`), as it came.
    """

    key_id: str
    key: Secret
    id_extension: object = None
    extension: object = None


@dataclass(frozen=True, slots=True)
class Extras:
    """What Get key may be asked beside number and size (table 10).

    Attributes:
        slaves: SAEs that get the same keys, beside the one of the request.
        mandatory: Extensions that the server must meet, or refuse with 400.
        optional: Extensions that it may ignore.
    """

    slaves: Sequence[str] = ()
    mandatory: Sequence[Mapping[str, Any]] = ()
    optional: Sequence[Mapping[str, Any]] = ()


NO_EXTRAS = Extras()


def ask_status(slave: str) -> Request:
    """Get status of the keys that we, as master, share with `slave` (5.1)."""
    return Request("GET", _path(slave, "status"), None, repeatable=True)


def read_status(answer: Answer, slave: str) -> Status:
    """The status.

    Raises:
        KmeMisbehaved: it is none, or that of another SAE.
        KmeRejected, KmeUnauthorised, KmeUnavailable: as `refusal`.
    """
    status = decode(_content(answer), Status)
    if status.slave_sae_id != slave:
        raise KmeMisbehaved(
            f"expected the status of {printable(slave)}, got that of "
            f"{printable(status.slave_sae_id)}"
        )
    return status


def ask_keys(
    slave: str, number: int, bits: int | None = None, extras: Extras = NO_EXTRAS
) -> Request:
    """Get key: `number` new keys of `bits` bits to share with `slave` (5.2).

    Without `bits` the server gives keys of its own size.

    Raises:
        RequestUnusable: number or bits out of range, bits no multiple of 8, an SAE twice, or an
            extension that is none.
    """
    if bits is not None and bits % 8:
        raise RequestUnusable(f"bits: expected a multiple of 8, got {bits}")
    slaves = [check_sae(each) for each in extras.slaves]
    if len({slave, *slaves}) != 1 + len(slaves):
        raise RequestUnusable("additional_slave_SAE_IDs: expected each SAE once, got one twice")
    mandatory = [dict(each) for each in extras.mandatory]
    optional = [dict(each) for each in extras.optional]
    body = encode(KeyRequest(number, bits, slaves, mandatory, optional))
    if number * (bits or 0) > MAX_REQUEST_BITS:
        raise RequestUnusable(
            f"number: expected at most {MAX_REQUEST_BITS} bits in one request, "
            f"got {number * (bits or 0)}"
        )
    return Request("POST", _path(slave, "enc_keys"), body, repeatable=False)


def read_keys(answer: Answer, number: int, bits: int | None = None) -> list[Key]:
    """The new keys, all of one size.

    Raises:
        KmeMisbehaved: another number or size than asked for, or an id twice.
        KmeRejected, KmeUnauthorised, KmeUnavailable: as `refusal`.
    """
    keys = _keys(answer)
    if len(keys) != number:
        raise KmeMisbehaved(f"expected {number} keys, got {len(keys)}")
    wanted = bits or 8 * len(keys[0].key)
    for each in keys:
        if 8 * len(each.key) != wanted:
            raise KmeMisbehaved(f"expected a key of {wanted} bits, got {8 * len(each.key)}")
    return keys


def ask_keys_with_ids(master: str, key_ids: Sequence[str]) -> Request:
    """Get key with key IDs: those that `master` drew (5.3).

    Raises:
        RequestUnusable: none, too many, malformed, or an id twice.
    """
    if len({each.lower() for each in key_ids}) != len(key_ids):
        raise RequestUnusable("key_IDs: expected each id once, got one twice")
    body = encode(KeyIds([KeyId(each) for each in key_ids]))
    return Request("POST", _path(master, "dec_keys"), body, repeatable=False)


def read_keys_with_ids(answer: Answer, key_ids: Sequence[str]) -> list[Key]:
    """The keys, in the order of `key_ids`, whatever order the server chose.

    Raises:
        KmeMisbehaved: other keys than those asked for.
        KmeRejected, KmeUnauthorised, KmeUnavailable: as `refusal`.
    """
    # Servers that write UUIDs in capitals at one side only mean the same ids.
    found = {each.key_id.lower(): each for each in _keys(answer)}
    wanted = [each.lower() for each in key_ids]
    if set(found) != set(wanted):
        raise KmeMisbehaved(f"expected the {len(wanted)} keys asked for, got other ids")
    return [found[each] for each in wanted]


def refusal(answer: Answer) -> Etsi014Error:
    """What an answer that is no 200 means; the server's words, if it has any, are quoted."""
    said = _words(answer)
    told = f"{answer.code}: {said}" if said else f"{answer.code} without a message"
    match answer.code:
        case 400:
            return KmeRejected(f"the key server rejects the request with {told}")
        case 401:
            return KmeUnauthorised(
                f"the key server refuses with {told}",
                hint="Does its list of SAEs have ours, with the name in our certificate?",
            )
        case 503:
            return KmeUnavailable(f"the key server gives no key: {told}")
        case code if 300 <= code < 400:
            # A redirect could lead to plain HTTP, or to a server that nobody named.
            return KmeMisbehaved(f"expected an answer, got a redirect ({code}), not followed")
        case _:
            return KmeMisbehaved(f"expected 200, 400, 401 or 503, got {told}")


def _content(answer: Answer) -> bytes:
    if answer.code != 200:
        raise refusal(answer)
    return answer.body


def _words(answer: Answer) -> str:
    if len(answer.body) > MAX_ERROR:
        return ""
    try:
        return printable(msgspec.json.decode(answer.body, type=Error).message)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""  # some servers answer HTML, or FastAPI's {"detail": …}


def _keys(answer: Answer) -> list[Key]:
    container = decode(_content(answer), KeyContainer)
    keys = [
        Key(each.key_id, each.bits(), each.key_id_extension, each.key_extension)
        for each in container.keys
    ]
    if len({each.key_id.lower() for each in keys}) != len(keys):
        raise KmeMisbehaved("expected keys with different ids, got one twice")
    return keys


def check_sae(sae: str) -> str:
    """Let an SAE's id pass.

    Raises:
        RequestUnusable: empty, too long, not printable, or a step in a path.
    """
    if not 1 <= len(sae) <= MAX_ID or not sae.isprintable() or sae in {".", ".."}:
        raise RequestUnusable(
            f"SAE id: expected 1 to {MAX_ID} printable characters, got {printable(sae)!r}"
        )
    return sae


def _path(sae: str, method: str) -> str:
    return f"/api/v1/keys/{quote(check_sae(sae), safe='')}/{method}"
