"""What requests to accounts and their answers are made of: sizes, names, choices and reasons.

Source: spec/accounts.md, 4.
"""

from enum import IntEnum
from typing import Annotated, Final

import msgspec

from bellwire.chat.card import MAX_CARD_BYTES
from bellwire.chat.identity import PUBLIC_BYTES, SIGNATURE_BYTES
from bellwire.chat.prekeys import PREKEY_BYTES

TOKEN_BYTES: Final = 32
DEVICE_BYTES: Final = 8
MAX_DEVICE_CHARS: Final = 64
INVITATION_BYTES: Final = 16
MAX_AT_ONCE: Final = 3
"""One-time prekeys that one request publishes: more would not fit a record."""


def _exactly(size: int) -> msgspec.Meta:
    return msgspec.Meta(min_length=size, max_length=size)


Handle = Annotated[str, msgspec.Meta(max_length=32)]
Public = Annotated[bytes, _exactly(PUBLIC_BYTES)]
Signature = Annotated[bytes, _exactly(SIGNATURE_BYTES)]
Invitation = Annotated[bytes, _exactly(INVITATION_BYTES)]
Token = Annotated[bytes, _exactly(TOKEN_BYTES)]
DeviceId = Annotated[bytes, _exactly(DEVICE_BYTES)]
DeviceName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_DEVICE_CHARS)]
PrekeyBytes = Annotated[bytes, _exactly(PREKEY_BYTES)]
CardBytes = Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_CARD_BYTES)]


class Visibility(IntEnum):
    """Who finds an account."""

    HIDDEN = 0
    EXACT = 1
    LISTED = 2


class AccountReason(IntEnum):
    """Why accounts refuse."""

    WRONG = 1
    TAKEN = 2
    TOO_FAST = 3
    NOBODY = 4
    FULL = 5
    FAILED = 6
    UNSIGNED = 7
    SESSION_OVER = 8
    EXPIRED = 9
    NO_DEVICE = 10
    MALFORMED = 11
    UNINVITED = 12
    CLOSED = 13


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A map with the names of its fields."""
