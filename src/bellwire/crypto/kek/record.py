"""The record of a wrapped secret, and how its key-encryption key is come by.

A record is one line of JSON. The secret is sealed with AES-256-GCM under a key-encryption key of
32 bytes that wraps nothing else; all other fields are associated data. What is read must be, byte
for byte, what we would write, so that no changed byte goes unnoticed, however JSON would read it.
"""

import secrets
from typing import Annotated, Literal

import msgspec

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.secret import Secret
from bellwire.crypto.aead import KEY_BYTES, NONCE_BYTES, TAG_BYTES, open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kek.errors import KekRefused

KEK_BYTES = KEY_BYTES
ID_BYTES = 16
SALT_BYTES = 16

MAX_SETTING_CHARS = 4096
MIN_SECRET_BYTES = 32
MAX_SECRET_BYTES = 1024
MAX_RECORD_BYTES = 32_768

MIN_MEMORY_KIB = 8 << 10
MAX_MEMORY_KIB = 1 << 20
MAX_ITERATIONS = 16
MAX_LANES = 16
"""Bounds of Argon2id's parameters: a foreign record costs at most 1 GiB and half a minute."""


def _hex(size: int, most: int | None = None) -> msgspec.Meta:
    return msgspec.Meta(
        pattern=r"^(?:[0-9a-f]{2})*\Z", min_length=2 * size, max_length=2 * (most or size)
    )


KekId = Annotated[str, _hex(ID_BYTES)]


class _Kek(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="source"):
    """How one key-encryption key is come by; nothing of it is secret."""


class FileKek(_Kek, tag="file", frozen=True, forbid_unknown_fields=True):
    """32 random bytes in a file that is named by `key`."""

    key: KekId


class PassphraseKek(_Kek, tag="passphrase", frozen=True, forbid_unknown_fields=True):
    """Argon2id of a passphrase (RFC 9106), memory in KiB."""

    salt: Annotated[str, _hex(SALT_BYTES)]
    memory_kib: Annotated[int, msgspec.Meta(ge=MIN_MEMORY_KIB, le=MAX_MEMORY_KIB)]
    iterations: Annotated[int, msgspec.Meta(ge=1, le=MAX_ITERATIONS)]
    lanes: Annotated[int, msgspec.Meta(ge=1, le=MAX_LANES)]


class KeyringKek(_Kek, tag="keyring", frozen=True, forbid_unknown_fields=True):
    """32 random bytes in the keyring of the operating system, under the name `key`."""

    key: KekId


class TokenKek(_Kek, tag="pkcs11", frozen=True, forbid_unknown_fields=True):
    """32 random bytes, `wrapped` (RFC 3394) by the token's key whose CKA_ID is `key`."""

    key: KekId
    wrapped: Annotated[str, _hex(KEK_BYTES + 8)]


Kek = FileKek | PassphraseKek | KeyringKek | TokenKek
Kind = Literal["file", "passphrase", "keyring", "pkcs11"]
Form = Literal[
    "bellwire wrapped data key 1",
    "bellwire wrapped identity 1",
    "bellwire wrapped log key 1",
    "bellwire wrapped chain key 1",
]
"""What a record begins with: whose secret it is, so that none serves as another's."""


class Replaced(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key-encryption key that this record's replaced, and that may not be destroyed yet.

    Attributes:
        source: What the settings said to mean its source.
        key: Its id there.
    """

    source: Annotated[str, msgspec.Meta(max_length=MAX_SETTING_CHARS)]
    key: KekId


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds."""

    format: Form
    kek: Kek
    replaces: Replaced | None
    nonce: Annotated[str, _hex(NONCE_BYTES)]
    sealed: Annotated[str, _hex(MIN_SECRET_BYTES + TAG_BYTES, MAX_SECRET_BYTES + TAG_BYTES)]


def kind_of(kek: Kek) -> Kind:
    """The word of a key-encryption key's source."""
    match kek:
        case FileKek():
            return "file"
        case PassphraseKek():
            return "passphrase"
        case KeyringKek():
            return "keyring"
        case TokenKek():
            return "pkcs11"


def wrap(
    bare: Secret, secret: Secret, kek: Kek, form: Form, replaces: Replaced | None = None
) -> Record:
    """Wrap `bare`, of 32 to 1024 bytes, under the key-encryption key `secret`.

    `kek` describes that key.
    """
    assert MIN_SECRET_BYTES <= len(bare) <= MAX_SECRET_BYTES
    nonce = secrets.token_bytes(NONCE_BYTES)
    unsealed = Record(form, kek, replaces, nonce.hex(), "")
    sealed = seal(secret.reveal(), nonce, bare.reveal(), encode(unsealed))
    return msgspec.structs.replace(unsealed, sealed=sealed.hex())


def unwrap(record: Record, secret: Secret) -> Secret:
    """What is wrapped.

    Raises:
        KekRefused: another key-encryption key, or a changed record.
    """
    aad = encode(msgspec.structs.replace(record, sealed=""))
    nonce, sealed = bytes.fromhex(record.nonce), bytes.fromhex(record.sealed)
    try:
        return Secret(open_sealed(secret.reveal(), nonce, sealed, aad))
    except AuthenticationFailed:
        raise does_not_open() from None


def describe(record: Record) -> dict[str, object]:
    """How it is wrapped, in plain values; nothing secret, and nothing verified."""
    kek, replaced = record.kek, record.replaces
    return {
        "source": kind_of(kek),
        "key": None if isinstance(kek, PassphraseKek) else kek.key,
        "argon2id": {
            "memory_mib": kek.memory_kib // 1024,
            "iterations": kek.iterations,
            "lanes": kek.lanes,
        }
        if isinstance(kek, PassphraseKek)
        else None,
        "replaces": named(replaced),
    }


def named(key: Replaced | None) -> dict[str, str] | None:
    """A replaced key in plain values."""
    return None if key is None else {"source": key.source, "key": key.key}


def encode(record: Record) -> bytes:
    """The record as it is written."""
    return msgspec.json.encode(record) + b"\n"


def decode(content: bytes, form: Form) -> Record:
    """Read a record of this form.

    Raises:
        KekRefused: it is none of ours, or of another form.
    """
    try:
        record = msgspec.json.decode(content, type=Record)
    except UNDECODABLE:
        record = None
    if record is None or encode(record) != content or record.format != form:
        raise KekRefused(
            f"expected a record of form {form!r}, got one that bellwire did not write so",
            hint="Put the right file back; nothing was changed.",
        )
    return record


def does_not_open() -> KekRefused:
    """The one refusal for a wrong secret and for a changed record."""
    return KekRefused(
        "expected the secret and the wrapped key that belong together, got others",
        hint="Give the right secret, or put the right file back; nothing was changed.",
    )
