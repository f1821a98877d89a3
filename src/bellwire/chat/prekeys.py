"""Keys to which a session is begun while their owner is away, each signed by the owner's identity.

A *lasting* prekey serves everybody until it expires; a *one-time* prekey serves one session and is
destroyed by it, so that the session's first messages stay secret even if all other keys are stolen
later. Both are X-Wing keys: X25519 and ML-KEM-768 together.

Source: Kret and Schmidt, "The PQXDH Key Agreement Protocol", 2023 (signed and one-time prekeys);
draft-connolly-cfrg-xwing-kem; spec/chat.md, 2.
"""

import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bellwire.base.secret import Secret
from bellwire.chat.errors import BundleRefused
from bellwire.chat.identity import (
    PUBLIC_BYTES as IDENTITY_BYTES,
)
from bellwire.chat.identity import (
    SIGNATURE_BYTES,
    Identity,
    IdentityPublic,
)
from bellwire.crypto import kem
from bellwire.crypto.errors import KemRefused
from bellwire.crypto.labels import CHAT_PREKEY

PREKEY_ID_BYTES: Final = 16
NO_PREKEY: Final = bytes(PREKEY_ID_BYTES)

_SIGNED: Final = struct.Struct(f">B{PREKEY_ID_BYTES}sQ{kem.PUBLIC_BYTES}s")
PREKEY_BYTES: Final = _SIGNED.size + SIGNATURE_BYTES
_MAGIC: Final = b"bwpk\x01"
BUNDLE_BYTES: Final = len(_MAGIC) + IDENTITY_BYTES + PREKEY_BYTES
"""Without a one-time prekey; with one it is `PREKEY_BYTES` longer."""


class PrekeyKind(IntEnum):
    """How often a prekey serves."""

    LASTING = 1
    ONE_TIME = 2


@dataclass(frozen=True, slots=True)
class Prekey:
    """The public half of a prekey.

    Attributes:
        kind: How often it serves.
        prekey_id: 16 bytes, random.
        not_after: Seconds since the epoch; from then on it does not count.
        public: An X-Wing public key, 1216 bytes.
        signature: The owner's, of all that, 3373 bytes.
    """

    kind: PrekeyKind
    prekey_id: bytes
    not_after: int
    public: bytes
    signature: bytes

    def encode(self) -> bytes:
        """All of it, 4614 bytes."""
        return self.signed_text() + self.signature

    def signed_text(self) -> bytes:
        """What the identity signs."""
        return _SIGNED.pack(self.kind, self.prekey_id, self.not_after, self.public)


@dataclass(frozen=True, slots=True)
class PrekeySecret:
    """A prekey with its private half, an X-Wing seed of 32 bytes."""

    prekey: Prekey
    seed: Secret


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is fetched to begin a session with somebody: verified, and of that identity."""

    identity: IdentityPublic
    lasting: Prekey
    one_time: Prekey | None

    def encode(self) -> bytes:
        """As it is carried; the receiver verifies it with `read_bundle`."""
        one_time = None if self.one_time is None else self.one_time.encode()
        return join_bundle(self.identity, self.lasting.encode(), one_time)


def make_prekey(identity: Identity, kind: PrekeyKind, not_after: int) -> PrekeySecret:
    """A new prekey of `identity`, drawn from the operating system's generator."""
    pair = kem.XWingPrivateKey.generate()
    bare = Prekey(kind, os.urandom(PREKEY_ID_BYTES), not_after, pair.public_bytes, b"")
    signature = identity.sign(bare.signed_text(), CHAT_PREKEY)
    return PrekeySecret(
        Prekey(kind, bare.prekey_id, not_after, pair.public_bytes, signature), pair.seed
    )


def read_prekey(data: bytes, owner: IdentityPublic, kind: PrekeyKind, now: float) -> Prekey:
    """A prekey of `owner` that counts at `now`, in seconds since the epoch.

    Raises:
        BundleRefused: it is malformed, of the other kind, expired, or not signed by the owner.
    """
    if len(data) != PREKEY_BYTES:
        raise BundleRefused(f"expected a prekey of {PREKEY_BYTES} bytes, got {len(data)}")
    found, prekey_id, not_after, public = _SIGNED.unpack_from(data)
    if found != kind or prekey_id == NO_PREKEY:
        raise BundleRefused(f"expected a prekey of kind {kind.name.lower()}, got another")
    owner.verify(data[_SIGNED.size :], data[: _SIGNED.size], CHAT_PREKEY)
    if now >= not_after:
        raise BundleRefused("expected a prekey that is valid now, got one that has expired")
    try:
        kem.check_public(public)
    except KemRefused as error:
        raise BundleRefused("expected a prekey to encapsulate to, got a malformed one") from error
    return Prekey(kind, prekey_id, not_after, public, data[_SIGNED.size :])


def join_bundle(identity: IdentityPublic, lasting: bytes, one_time: bytes | None) -> bytes:
    """A bundle of encoded prekeys, as it is carried; nothing of it is verified."""
    return _MAGIC + identity.public_bytes + lasting + (one_time or b"")


def read_bundle(data: bytes, fingerprint: bytes, now: float) -> Bundle:
    """The keys of the identity that has this fingerprint, verified.

    Raises:
        BundleRefused: malformed, another identity's, expired, or not signed by it.
    """
    if not data.startswith(_MAGIC) or len(data) not in {BUNDLE_BYTES, BUNDLE_BYTES + PREKEY_BYTES}:
        raise BundleRefused(
            f"expected a bundle of {BUNDLE_BYTES} or {BUNDLE_BYTES + PREKEY_BYTES} bytes, "
            f"got {len(data)} bytes or another version"
        )
    at = len(_MAGIC) + IDENTITY_BYTES
    identity = IdentityPublic(data[len(_MAGIC) : at])
    if identity.fingerprint != fingerprint:
        raise BundleRefused(
            f"expected the keys of {fingerprint.hex()[:16]}…, got those of {identity!r}"
        )
    lasting = read_prekey(data[at : at + PREKEY_BYTES], identity, PrekeyKind.LASTING, now)
    rest = data[at + PREKEY_BYTES :]
    one_time = read_prekey(rest, identity, PrekeyKind.ONE_TIME, now) if rest else None
    return Bundle(identity, lasting, one_time)
