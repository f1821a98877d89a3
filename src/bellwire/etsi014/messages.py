"""What 014 puts into JSON, with the limits that we set (ETSI GS QKD 014 V1.1.1, clause 6).

Members that we do not know are ignored, as the standard's own growth needs; what servers put into
extensions is handed on as it came.
"""

import base64
import binascii
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from bellwire.base.secret import Secret
from bellwire.etsi014.errors import KmeMisbehaved, RequestUnusable, printable

MAX_KEYS = 1024
"""Keys of one request: far above what servers allow (the standard's example: 128)."""

MAX_KEY_BITS = 1 << 20
MAX_REQUEST_BITS = 1 << 23
"""Bits of all keys of one request: in base64, and with their ids, they fit `MAX_ANSWER`."""

MAX_ANSWER = 2 << 20
MAX_ERROR = 64 << 10
MAX_ID = 256
MAX_SLAVES = 256
MAX_EXTENSIONS = 64

Count = Annotated[int, Meta(ge=0, le=1 << 53)]
Identifier = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
KeyIdentifier = Annotated[str, Meta(min_length=1, max_length=MAX_ID, pattern=r"\A[!-~]+\Z")]
"""014 prints UUIDs; whatever is printable ASCII without spaces is carried as it is."""


_ACRONYMS = {
    "source_kme_id": "source_KME_ID",
    "target_kme_id": "target_KME_ID",
    "master_sae_id": "master_SAE_ID",
    "slave_sae_id": "slave_SAE_ID",
    "max_sae_id_count": "max_SAE_ID_count",
    "key_id": "key_ID",
    "key_ids": "key_IDs",
    "additional_slave_sae_ids": "additional_slave_SAE_IDs",
    "key_id_extension": "key_ID_extension",
}
"""Our names, and the standard's, where they differ: in the case of letters alone."""


class Status(msgspec.Struct, frozen=True, rename=_ACRONYMS):
    """Table 9: what a key server says of its keys between two SAEs."""

    source_kme_id: Identifier
    target_kme_id: Identifier
    master_sae_id: Identifier
    slave_sae_id: Identifier
    key_size: Count
    stored_key_count: Count
    max_key_count: Count
    max_key_per_request: Count
    max_key_size: Count
    min_key_size: Count
    max_sae_id_count: Count
    status_extension: object = None


Extension = dict[str, Any]
"""Names and values that a vendor, or a later edition, gave a meaning."""

Extensions = Annotated[list[Extension], Meta(max_length=MAX_EXTENSIONS)]


class KeyRequest(msgspec.Struct, frozen=True, rename=_ACRONYMS, omit_defaults=True):
    """Table 10; the server chooses a size where none is given."""

    number: Annotated[int, Meta(ge=1, le=MAX_KEYS)]
    size: Annotated[int, Meta(ge=8, le=MAX_KEY_BITS)] | None = None
    additional_slave_sae_ids: Annotated[list[Identifier], Meta(max_length=MAX_SLAVES)] = []
    extension_mandatory: Extensions = []
    extension_optional: Extensions = []


class KeyId(msgspec.Struct, frozen=True, rename=_ACRONYMS):
    """An element of table 12."""

    key_id: KeyIdentifier


class KeyIds(msgspec.Struct, frozen=True, rename=_ACRONYMS):
    """Table 12: the keys that a slave asks for."""

    key_ids: Annotated[list[KeyId], Meta(min_length=1, max_length=MAX_KEYS)]


class WireKey(msgspec.Struct, frozen=True, rename=_ACRONYMS):
    """An element of table 11; `key` is secret and stays out of the repr."""

    key_id: KeyIdentifier
    key: Annotated[str, Meta(max_length=MAX_KEY_BITS // 8 * 4 // 3 + 4)]
    key_id_extension: object = None
    key_extension: object = None

    def __repr__(self) -> str:
        return f"WireKey({self.key_id})"

    def bits(self) -> Secret:
        """The key itself, from base64 with padding (RFC 4648, 4), and from nothing looser.

        Raises:
            KmeMisbehaved: it is not that.
        """
        try:
            data = base64.b64decode(self.key, validate=True)
        except (binascii.Error, ValueError):
            data = None
        if not data or base64.b64encode(data).decode() != self.key:
            raise KmeMisbehaved(f"expected base64 as the key {self.key_id}, got something else")
        return Secret(data)


class KeyContainer(msgspec.Struct, frozen=True):
    """Table 11: the answer of Get key and of Get key with key IDs."""

    keys: Annotated[list[WireKey], Meta(max_length=MAX_KEYS)]


class Error(msgspec.Struct, frozen=True):
    """Table 13, without its details."""

    message: str


T = TypeVar("T", bound=msgspec.Struct)


def decode(body: bytes, kind: type[T]) -> T:
    """Read an answer.

    Raises:
        KmeMisbehaved: it is not JSON, or not what the table says. The message has none of its
            content: that may be key.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        fault = f"expected a {kind.__name__} of ETSI 014 in JSON, got something else"
    raise KmeMisbehaved(fault)


def encode(message: msgspec.Struct) -> bytes:
    """Write a request.

    Raises:
        RequestUnusable: a value is outside its limits.
    """
    try:
        msgspec.convert(msgspec.to_builtins(message), type(message))
        return msgspec.json.encode(message)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        raise RequestUnusable(f"{type(message).__name__}: {printable(str(error))}") from error
