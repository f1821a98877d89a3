"""Entries as bytes: JSON with one way to write each entry (RFC 8785).

What always holds: bytes that `decode` takes are the bytes that `encode` gives for the same entry.
So two logs cannot hold one fact in two forms, and nothing can be hidden in how a fact is written.
"""

from typing import Final

import msgspec

from bellwire.base.decoding import UNDECODABLE
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.entries.model import Entry

MAX_ENTRY_BYTES: Final = 8192
"""A registration with a key of each algorithm fits."""

_encoder = msgspec.json.Encoder(order="sorted")
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """The entry's bytes, of which the log holds the hash.

    Raises:
        EntryMalformed: a field is out of its bounds.
    """
    encoded = _encoder.encode(entry)
    decode(encoded)  # a struct that is made in Python is not checked
    return encoded


def decode(encoded: bytes) -> Entry:
    """Read an entry.

    Raises:
        EntryMalformed: too long, not an entry, or not in its one form.
    """
    if len(encoded) > MAX_ENTRY_BYTES:
        raise EntryMalformed(f"entry: expected at most {MAX_ENTRY_BYTES} bytes, got {len(encoded)}")
    try:
        entry = _decoder.decode(encoded)
    except UNDECODABLE as error:
        raise EntryMalformed(f"entry: expected one of spec/ledger.md, got: {error}") from error
    if _encoder.encode(entry) != encoded:
        raise EntryMalformed(
            "entry: expected its one form (members sorted, no spaces, no member twice), got another"
        )
    return entry
