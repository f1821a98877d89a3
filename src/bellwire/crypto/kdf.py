"""HKDF-SHA256: one secret in, as many independent ones out as there are labels.

Source: RFC 5869.
"""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bellwire.crypto.errors import LengthError

MAX_OUTPUT_BYTES = 255 * 32
_HASH: Final = SHA256()


def hkdf(ikm: bytes, *, salt: bytes = b"", info: bytes, length: int) -> bytes:
    """Extract from `ikm` and expand to `length` bytes.

    Args:
        ikm: Input key material, any length. Secret.
        salt: Public, or a chaining key that is secret itself.
        info: Label of the purpose; another label gives unrelated bytes.
        length: Bytes wanted, 1 to 8160.

    Raises:
        LengthError: length is out of range.

    Source: RFC 5869, 2.2 and 2.3.
    """
    if not 1 <= length <= MAX_OUTPUT_BYTES:
        raise LengthError("an output", f"1 to {MAX_OUTPUT_BYTES} bytes", length)
    return HKDF(_HASH, length, salt, info).derive(ikm)
