"""Hiding how long a text is.

Padmé rounds a length up so that it shows no more than its order of magnitude and a few bits below:
Below a floor, all lengths look alike.

Source: Nikitin, Barman, Lueks, Underwood, Hubaux, Ford, "Reducing Metadata Leakage from Encrypted
Files and Communication with PURBs", PoPETs 2019(4) (Padmé).
"""

from enum import Enum
from typing import Final

FLOOR: Final = 128
"""Padded texts are at least this long, in bytes."""

_MARK: Final = b"\x01"


class Padding(Enum):
    """What a sender does about the length of its texts; a receiver takes either."""

    OFF = "off"
    PADME = "padme"


def padded_length(length: int) -> int:
    """How long a text of `length` bytes and its mark become."""
    length = max(length + 1, FLOOR)
    exponent = length.bit_length() - 1
    low = exponent - exponent.bit_length()
    mask = (1 << low) - 1
    return (length + mask) & ~mask


def pad(text: bytes, limit: int) -> bytes:
    """The text, a mark, and zeros; never beyond `limit` bytes, which the text and mark must fit."""
    length = min(padded_length(len(text)), limit)
    return (text + _MARK).ljust(length, b"\0")


def unpad(padded: bytes) -> bytes | None:
    """The text; None if there is no mark in it."""
    text = padded.rstrip(b"\0")
    return text[:-1] if text.endswith(_MARK) else None
