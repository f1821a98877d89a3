"""What an SAE asks of a KME, read from HTTP: ETSI GS QKD 014 V1.1.1, clauses 5 and 6, sans-I/O.

Everything is bounded and typed here, before a key server hears of it. Members that we do not know
are ignored; a value of the wrong type is refused, and `true` is not 1. What the standard leaves
open is decided in `docs/reference/etsi014.md`.
"""

import re
from binascii import unhexlify
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
import numpy as np

from bellwire.etsi014.errors import printable
from bellwire.etsi014.record import FRESH, MARK, MAX_FRESH_BITS, MAX_MARK
from bellwire.keys.kme import KEY_ID_BYTES, MAX_SAE_ID, KeyRequest, Limits
from bellwire.web.errors import RequestRefused
from bellwire.web.plain import read_body

MAX_DETAILS = 16
"""Objects in the details of an Error."""

_PREFIX = [b"", b"api", b"v1", b"keys"]
_HYPHENS = (8, 13, 18, 23)
_UUID_CHARACTERS = 36
_ESCAPES = re.compile(rb"(?:[^%]|%[0-9A-Fa-f]{2})*")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,39})")
_TOLD = 10**18


class Method(Enum):
    """The three methods of the standard; the value is the last segment of the path."""

    STATUS = b"status"
    NEW = b"enc_keys"
    BY_ID = b"dec_keys"

    def __init__(self, segment: bytes) -> None:
        self.segment = segment.decode()
        """As the path has it."""
        self.verbs = (b"GET",) if segment == b"status" else (b"GET", b"POST")
        """What may ask for it."""


_METHODS = {each.value: each for each in Method}


@dataclass(frozen=True, slots=True)
class Call:
    """A method, and the SAE whom it is about: slave, or master of `Method.BY_ID`."""

    method: Method
    about: str


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """(path, query) of a request's target, origin-form or absolute-form (RFC 9112, 3.2)."""
    if target[:1] != b"/":
        scheme, found, rest = target.partition(b"://")
        if found and scheme.lower() in {b"https", b"http"}:
            target = b"/" + rest.partition(b"/")[2]
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path, query


def read_path(path: bytes) -> Call | None:
    """What a path asks for; None if it is not one of the three.

    Raises:
        RequestRefused: 400, the SAE's id is none.
    """
    segments = path.split(b"/")
    if len(segments) != 6 or segments[:4] != _PREFIX:
        return None
    method = _METHODS.get(segments[5])
    return None if method is None else Call(method, _segment(segments[4]))


def read_key_request(verb: bytes, query: bytes, body: bytes) -> "WireKeyRequest":
    """Table 10, from the query of a GET or the body of a POST, which may be empty.

    Raises:
        RequestRefused: 400, it is not that.
    """
    if verb == b"GET":
        given = _get(query, body, ("number", "size"), "additional_slave_SAE_IDs")
        return msgspec.convert(
            {name: decimal(name, text) for name, text in given.items()}, WireKeyRequest
        )
    _post(query, ("number", "size"))
    return read_body(body or b"{}", WireKeyRequest, name="a Key request")


def key_request(wire: "WireKeyRequest", caller: str, slave: str, limits: Limits) -> KeyRequest:
    """What `caller` asks for, within `limits`.

    Raises:
        RequestRefused: 400, with the message of the standard where it prescribes one.
    """
    number = _integer("number", wire.number)
    size = limits.key_bits if wire.size is msgspec.UNSET else _integer("size", wire.size)
    if size % 8:
        raise RequestRefused(400, "size shall be a multiple of 8")
    unsupported = [name for each in wire.extension_mandatory for name in each]
    fresh = limits.sessions and _fresh(wire.extension_mandatory)
    if fresh:
        unsupported = [name for name in unsupported if name != FRESH]
    _within("size", size, limits.min_key_bits, MAX_FRESH_BITS if fresh else limits.max_key_bits)
    _within("number", number, 1, 1 if fresh else limits.max_keys_per_request)
    further = wire.additional_slaves
    if len(further) > limits.max_additional_slaves:
        raise RequestRefused(
            400,
            f"additional_slave_SAE_IDs: expected at most {limits.max_additional_slaves}, "
            f"got {len(further)}",
        )
    slaves = (slave, *(check_sae(each) for each in further))
    if len(set(slaves)) != len(slaves):
        raise RequestRefused(400, "additional_slave_SAE_IDs: expected each SAE once, got one twice")
    if caller in slaves:
        raise RequestRefused(400, "a slave SAE is another than the caller")
    if fresh and further:
        raise RequestRefused(400, f"{FRESH}: expected one slave SAE, got {1 + len(further)}")
    if unsupported:
        raise RequestRefused(
            400,
            "not all extension_mandatory parameters are supported",
            details=[
                {"extension_mandatory_unsupported": f"{printable(name)} is not supported"}
                for name in unsupported[:MAX_DETAILS]
            ],
        )
    if fresh and len(wire.extension_mandatory) != 1:
        raise RequestRefused(400, f"{FRESH}: expected it once and alone")
    return KeyRequest(slaves, number, size, fresh, _mark(wire.extension_optional) if fresh else "")


def _fresh(mandatory: list[dict[str, Any]]) -> bool:
    """Whether a session is asked for.

    Raises:
        RequestRefused: 400, it is asked for otherwise than by `true`.
    """
    asked = [each[FRESH] for each in mandatory if FRESH in each]
    if any(value is not True for value in asked):
        raise RequestRefused(400, f"{FRESH}: expected true, got something else")
    return bool(asked)


def _mark(optional: list[dict[str, Any]]) -> str:
    """By what a session may be followed; one that is none is not met, as an optional one may be."""
    given = next((each[MARK] for each in optional if MARK in each), "")
    return given if isinstance(given, str) and len(given) <= MAX_MARK else ""


def read_key_ids(verb: bytes, query: bytes, body: bytes, limits: Limits) -> bytes:
    """Table 12: `KEY_ID_BYTES` for each key asked for, from a GET of one id or a POST.

    Raises:
        RequestRefused: 400, it is not that.
    """
    if verb == b"GET":
        given = _get(query, body, ("key_ID",), "key_IDs")
        if not given:
            raise RequestRefused(400, "key_ID: expected one in the query, got none")
        return _ids(list(given.values()))
    _post(query, ("key_ID",))
    wire = read_body(body or b"{}", WireKeyIds, name="a Key IDs")
    if not 1 <= len(wire.key_ids) <= limits.max_keys_per_request:
        raise RequestRefused(
            400,
            f"key_IDs: expected 1 to {limits.max_keys_per_request}, got {len(wire.key_ids)}",
        )
    return _ids([each.key_id for each in wire.key_ids])


class WireKeyRequest(
    msgspec.Struct, frozen=True, rename={"additional_slaves": "additional_slave_SAE_IDs"}
):
    """Table 10 as it came. JSON knows one kind of number: 1.0 is an integer as well."""

    number: int | float = 1
    size: int | float | msgspec.UnsetType = msgspec.UNSET
    additional_slaves: list[str] = []
    extension_mandatory: list[dict[str, Any]] = []
    extension_optional: list[dict[str, Any]] = []


class WireKeyId(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"key_id": "key_ID", "extension": "key_ID_extension"},
):
    """An element of table 12; clients may send whole elements of a key container back."""

    key_id: str
    extension: dict[str, Any] | None = None


class WireKeyIds(
    msgspec.Struct, frozen=True, rename={"key_ids": "key_IDs", "extension": "key_IDs_extension"}
):
    """Table 12 as it came."""

    key_ids: list[WireKeyId]
    extension: dict[str, Any] | None = None


def check_sae(sae: str) -> str:
    """Let an SAE's id pass.

    Raises:
        RequestRefused: 400, it is empty, too long, or not printable.
    """
    if not 1 <= len(sae) <= MAX_SAE_ID:
        raise RequestRefused(400, f"SAE ID: expected 1 to {MAX_SAE_ID} characters, got {len(sae)}")
    if not sae.isprintable():
        raise RequestRefused(400, "SAE ID: expected printable characters, got others")
    return sae


def _segment(raw: bytes) -> str:
    if _ESCAPES.fullmatch(raw) is None:
        raise RequestRefused(400, "SAE ID: expected percent-encoding, got a lone %")
    try:
        return check_sae(unquote_to_bytes(raw).decode())
    except UnicodeDecodeError:
        raise RequestRefused(400, "SAE ID: expected UTF-8, got something else") from None


def _get(query: bytes, body: bytes, names: tuple[str, ...], needs_post: str) -> Mapping[str, str]:
    """Those of `names` that a query has; others are ignored, as unknown members are."""
    if body:
        raise RequestRefused(400, "a GET has its parameters in the query, got a body")
    given: dict[str, str] = {}
    for name, text in query_pairs(query):
        if name == needs_post or name.startswith(("extension_", "key_IDs")):
            raise RequestRefused(400, f"{printable(name)} shall be asked for by POST")
        if name in given:
            raise RequestRefused(400, f"{name}: expected once in the query, got it twice")
        if name in names:
            given[name] = text
    return given


def _post(query: bytes, names: tuple[str, ...]) -> None:
    """Refuse a POST whose query would change its meaning if it were read."""
    if query and any(name in names for name, _ in query_pairs(query)):
        raise RequestRefused(400, "a POST has its parameters in the body, got them in the query")


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a query, decoded; an empty query has one empty pair.

    Raises:
        RequestRefused: 400, a lone % or other bytes than UTF-8.
    """
    if _ESCAPES.fullmatch(query) is None:
        raise RequestRefused(400, "query: expected percent-encoding, got a lone %")
    pairs = []
    for part in query.split(b"&"):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        try:
            pairs.append((unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()))
        except UnicodeDecodeError:
            raise RequestRefused(400, "query: expected UTF-8, got something else") from None
    return pairs


def decimal(name: str, text: str) -> int:
    """A whole number as a query has it.

    Raises:
        RequestRefused: 400, it is none.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise RequestRefused(400, f"{name}: expected an integer, got {printable(text)!r}")
    return int(text)


def _integer(name: str, value: int | float) -> int:  # a bool is refused before
    if isinstance(value, float) and not value.is_integer():
        raise RequestRefused(400, f"{name}: expected an integer, got a fraction")
    return int(value)


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        told = str(value) if abs(value) < _TOLD else "one far beyond"
        raise RequestRefused(400, f"{name}: expected {least} to {most}, got {told}")


def _ids(texts: list[str]) -> bytes:
    ids = _one_id(texts[0]) if len(texts) == 1 else _many_ids(texts)
    if ids is None:
        raise RequestRefused(400, "key_ID: expected a UUID (8-4-4-4-12 hexadecimal digits)")
    if len(texts) == 1:
        return ids
    rows = np.frombuffer(ids, np.dtype((np.void, KEY_ID_BYTES)))
    if len(set(rows.tolist())) != len(texts):
        raise RequestRefused(400, "key_IDs: expected each key_ID once, got one twice")
    return ids


def _one_id(text: str) -> bytes | None:
    if len(text) != _UUID_CHARACTERS or not text[8] == text[13] == text[18] == text[23] == "-":
        return None
    try:
        key_id = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return None
    # fromhex passes over white space, and a hyphen too many was taken out: both leave fewer bytes.
    return key_id if len(key_id) == KEY_ID_BYTES else None


def _many_ids(texts: list[str]) -> bytes | None:
    joined, count = "".join(texts), len(texts)
    if set(map(len, texts)) != {_UUID_CHARACTERS}:
        return None
    if any(joined[at::_UUID_CHARACTERS] != "-" * count for at in _HYPHENS):
        return None
    try:
        ids = unhexlify(joined.encode().translate(None, b"-"))
    except ValueError:
        return None
    return ids if len(ids) == count * KEY_ID_BYTES else None  # else there were more hyphens
