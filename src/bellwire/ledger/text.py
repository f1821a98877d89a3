"""The small pieces of the log's text formats: base64, numbers and hashes, each in one way only.

Whatever can be written in two ways can be changed without being noticed. So base64 has its padding
and no stray bits or characters (Python's decoder, left alone, skips what it does not know), and
numbers have no leading zeros.

Source: RFC 4648, 4; C2SP tlog-checkpoint, "Note text".
"""

import base64
import binascii
import re
from typing import Final

from bellwire.ledger.tree import HASH_BYTES, MAX_SIZE

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_HASH_CHARACTERS: Final = 44


def to_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes:
    """What `to_base64` made `text` of.

    Raises:
        ValueError: it is not the one base64 of anything.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("expected standard base64 with padding, got other characters") from error
    if to_base64(data) != text:
        raise ValueError("expected standard base64 with padding, got bits to spare")
    return data


def to_number(text: str) -> int:
    """A decimal number from 0 to 2**63 − 1 in ASCII without leading zeros.

    Raises:
        ValueError: it is none.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise ValueError(f"expected a number from 0 to {MAX_SIZE}, got {text[:24]!r}")
    return int(text)


def to_hash(text: str) -> bytes:
    """A SHA-256 hash in base64.

    Raises:
        ValueError: it is none.
    """
    data = from_base64(text) if len(text) == _HASH_CHARACTERS else b""
    if len(data) != HASH_BYTES:
        raise ValueError(f"expected a hash of {HASH_BYTES} bytes in base64, got {text[:60]!r}")
    return data
