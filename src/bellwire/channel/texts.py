"""What records may say: their kinds by direction, how long their texts are, and padded texts.

The same over a stream and over datagrams; spec/channel.md has the table.
"""

from collections.abc import Mapping
from typing import Final

from bellwire.channel.errors import ChannelMisuse, SessionEnded
from bellwire.channel.messages import MAX_PLAINTEXT_BYTES, Direction, Kind
from bellwire.channel.padding import Padding, pad, unpad
from bellwire.channel.refresh import ANSWER_BYTES, OFFER_BYTES

_BOTH: Final = frozenset({Kind.DATA, Kind.PADDED, Kind.CLOSE})
KINDS: Final[Mapping[Direction, frozenset[Kind]]] = {
    Direction.TO_RESPONDER: _BOTH | {Kind.REFRESH_OFFER, Kind.REFRESH_SWITCH},
    Direction.TO_INITIATOR: _BOTH | {Kind.REFRESH_ANSWER},
}
"""What may come in a direction."""

_SIZES: Final[Mapping[Kind, int]] = {
    Kind.CLOSE: 0,
    Kind.REFRESH_OFFER: OFFER_BYTES,
    Kind.REFRESH_ANSWER: ANSWER_BYTES,
    Kind.REFRESH_SWITCH: 0,
}
"""Bytes of text in a record that is no message."""


def wrap(text: bytes, padding: Padding) -> tuple[Kind, bytes]:
    """The record that a message becomes: its kind and its text.

    Raises:
        ChannelMisuse: the message is too long for one.
    """
    padded = padding is not Padding.OFF
    limit = MAX_PLAINTEXT_BYTES - padded
    if len(text) > limit:
        raise ChannelMisuse(f"expected at most {limit} bytes in a record, got {len(text)}")
    return (Kind.PADDED, pad(text, MAX_PLAINTEXT_BYTES)) if padded else (Kind.DATA, text)


def bare(kind: Kind, text: bytes) -> bytes:
    """What a record's text says, without its padding.

    Raises:
        SessionEnded: it has another length than its kind has, or no mark where padding begins.
    """
    if kind is Kind.DATA:
        return text
    if kind is Kind.PADDED:
        found = unpad(text)
        if found is None:
            raise SessionEnded("expected a padded text, got one without a mark")
        return found
    if len(text) != _SIZES[kind]:
        raise SessionEnded(f"expected {kind.name.lower()} of {_SIZES[kind]} bytes, got {len(text)}")
    return text
