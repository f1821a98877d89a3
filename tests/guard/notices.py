"""Notices of a relay, for tests: who signs them, and what they say."""

import time

from bellwire.channel import places
from bellwire.channel.places import Level, Notice, Place
from bellwire.crypto.composite import CompositeKey
from bellwire.crypto.ed25519 import Ed25519Key
from bellwire.crypto.signatures import SigningKey

KEY = CompositeKey(Ed25519Key(bytes(range(32))), SigningKey(bytes(range(32, 64))))
OTHER = CompositeKey(Ed25519Key(bytes(32)), SigningKey(bytes(range(32, 64))))
RELAY_ID = KEY.public.fingerprint


def notice(
    sequence: int, level: Level, *urls: str, at: float | None = None, life_s: int = 3600
) -> Notice:
    issued = int(time.time() if at is None else at)
    found = tuple(Place.of_url(each) for each in urls)
    return Notice(sequence, issued, issued + life_s, level, found)


def signed(
    sequence: int,
    level: Level,
    *urls: str,
    at: float | None = None,
    life_s: int = 3600,
    key: CompositeKey = KEY,
) -> bytes:
    return places.sign(notice(sequence, level, *urls, at=at, life_s=life_s), key)
