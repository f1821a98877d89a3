"""The key server of our own site, as the messenger uses it (ETSI GS QKD 014, and its sessions).

A client asks its own site's server and no other. What it gets is a pad at once: in the person's
store, sealed, until it is used up.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bellwire.base.secret import Secret
from bellwire.chat.content import PART_BYTES
from bellwire.chat.pads import PAD_ID_BYTES
from bellwire.chat.store.offers import MAX_KEY_ID_BYTES, MAX_KEYS
from bellwire.chat.store.pads import SOURCES
from bellwire.etsi014.errors import KmeUnavailable
from bellwire.etsi014.exchange import Key
from bellwire.etsi014.fresh import FreshPad
from bellwire.etsi014.messages import Status

FILL_BYTES: Final = 4096
"""Pad that is fetched ahead at once, if the stock allows it."""

AHEAD_BYTES: Final = 1024
"""Less than that is not fetched ahead: many small pads cut what is said into many messages."""

_KEY_BITS: Final = 2048


class KeyServer(Protocol):
    """What `bellwire.etsi014.fresh.FreshClient` does."""

    async def fresh(self, slave: str, bits: int) -> FreshPad:
        """A pad by a session of its own."""

    async def pad(self, master: str, pad_id: str) -> FreshPad:
        """The pad that a master was given by a session, once."""

    async def get_keys(self, slave: str, number: int = 1, bits: int | None = None) -> list[Key]:
        """Keys from stock."""

    async def get_keys_with_ids(self, master: str, key_ids: Sequence[str]) -> list[Key]:
        """The keys that a master got from stock, once."""

    async def status(self, slave: str) -> Status:
        """What there is for a slave."""


@dataclass(frozen=True, slots=True)
class Site:
    """Our own site: its key server, and who we are to it."""

    server: KeyServer
    sae: str


@dataclass(frozen=True, slots=True)
class Stock:
    """A pad from stock: its keys' ids, in order, and what they are together. Secret."""

    key_ids: tuple[str, ...]
    pad: Secret


async def draw(server: KeyServer, slave: str, status: Status, least: int) -> Stock:
    """A pad of `FILL_BYTES` or `least` from stock; less, but not than `least`, if it is low.

    A key lies in one piece at its server, whose stock is in many: where long keys are refused, keys
    of the server's own size are asked for, in which it counts its stock.

    Raises:
        Etsi014Error: as `AsyncClient.get_keys`.
        KmeUnavailable: not even `least` is in stock, or the ids of its keys do not fit one offer.
    """
    longest = max(8, min(_KEY_BITS, status.max_key_size) // 8 * 8)
    most = max(1, min(MAX_KEYS, status.max_key_per_request))
    usual = longest
    wanted = max(FILL_BYTES, least)
    while True:
        # So long that as many as one request may ask for are enough.
        bits = min(longest, max(usual, -(-wanted // most) * 8))
        number = min(most, -(-8 * wanted // bits))
        try:
            keys = await server.get_keys(
                slave, number, bits if number > 1 else min(bits, 8 * wanted)
            )
        except KmeUnavailable:
            if usual > status.key_size >= 8:
                usual = status.key_size // 8 * 8
            elif wanted > least:
                wanted = max(wanted // 2, least)
            else:
                raise
            continue
        key_ids = tuple(each.key_id for each in keys)
        if any(len(each) > MAX_KEY_ID_BYTES for each in key_ids):
            raise KmeUnavailable("expected ids of keys of at most 64 characters, got longer ones")
        if PAD_ID_BYTES + sum(1 + len(each) for each in key_ids) > PART_BYTES:
            raise KmeUnavailable(f"expected ids of keys that fit one offer, got {len(key_ids)}")
        return Stock(key_ids, joined(keys))


def joined(keys: Sequence[Key]) -> Secret:
    """Keys as one pad; they themselves are wiped."""
    pad = Secret(b"".join(each.key.reveal() for each in keys))
    for each in keys:
        each.key.wipe()
    return pad


def source_of(status: Status) -> str:
    """Where a link's keys come from, by the server's own word; `vendor` where it says nothing."""
    extension = status.status_extension
    said = extension.get("source") if isinstance(extension, dict) else None
    return said if isinstance(said, str) and said in SOURCES else "vendor"


def health_of(status: Status) -> str | None:
    """The link's status by the server's own word: `GREEN`, `YELLOW` or `RED`."""
    extension = status.status_extension
    said = extension.get("link_status") if isinstance(extension, dict) else None
    return said.upper()[:16] if isinstance(said, str) else None


def session_id(pad_id: bytes) -> str:
    """The id under which a key server knows a pad of 16 bytes of id."""
    return str(uuid.UUID(bytes=pad_id))


def pad_id_of(session: str) -> bytes:
    """Undo `session_id`.

    Raises:
        ValueError: it is no UUID.
    """
    return uuid.UUID(session).bytes
