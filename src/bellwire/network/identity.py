"""Who says it: every word that has to be believed beyond one link is signed by its node.

A roster pins the members of a network: names, and the fingerprints of their ML-DSA-65 identities
as operators have compared them. A signed message carries the public key; the roster says whether it
is the right one. Kinds of messages have contexts of their own, so that none passes for another.

Layout: spec/key-relay.md, *Signed messages*.
"""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.crypto.errors import SignatureInvalid
from bellwire.crypto.labels import KEY_RELAY
from bellwire.crypto.signatures import (
    FINGERPRINT_BYTES,
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    SigningKey,
    fingerprint,
    verify,
)
from bellwire.network.errors import Malformed, NetworkMisuse, NotAuthentic

VERSION: Final = 1

MAX_NODES: Final = 4096
"""Members of one network: what link-state messages and memory are bounded for."""

MAX_SIGNED_BYTES: Final = 32 * 1024
"""Of a signed message, with its key and signature."""

NAME_PATTERN: Final = r"\A[A-Za-z0-9_-]{1,64}\Z"
NodeName = Annotated[str, Meta(pattern=NAME_PATTERN)]
"""A node's name: a subject of NATS and a word of a log take it as it is."""


class _Signed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    signer: NodeName
    body: bytes
    public: Annotated[bytes, Meta(min_length=PUBLIC_BYTES, max_length=PUBLIC_BYTES)]
    signature: Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]


_signed = msgspec.msgpack.Decoder(_Signed)


def check_name(name: str) -> None:
    """Let a node's name pass.

    Raises:
        NetworkMisuse: not 1 to 64 of letters, digits, - and _.
    """
    try:
        msgspec.convert(name, NodeName)
    except msgspec.ValidationError as error:
        raise NetworkMisuse(
            f"expected a node's name of 1 to 64 letters, digits, - and _, got {name!r:.80}"
        ) from error


class Roster:
    """The members of a network, as operators wrote them down.

    Args:
        members: Name → fingerprint of the node's identity, 32 bytes.

    Raises:
        NetworkMisuse: a name or a fingerprint is none, or there are too many.
    """

    def __init__(self, members: Mapping[str, bytes]) -> None:
        if len(members) > MAX_NODES:
            raise NetworkMisuse(f"expected at most {MAX_NODES} nodes, got {len(members)}")
        for name, pinned in members.items():
            check_name(name)
            if len(pinned) != FINGERPRINT_BYTES:
                raise NetworkMisuse(
                    f"expected a fingerprint of {FINGERPRINT_BYTES} bytes for {name}, "
                    f"got {len(pinned)}"
                )
        self._members = dict(members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def fingerprint(self, name: str) -> bytes | None:
        """The pinned fingerprint of a member; None for who is none."""
        return self._members.get(name)


def sign(identity: SigningKey, signer: str, purpose: bytes, body: bytes) -> bytes:
    """A message that others can attribute to `signer`.

    Args:
        identity: Its long-term key.
        signer: Its name.
        purpose: What kind of message this is.
        body: What is said.
    """
    signature = identity.sign(_text(signer, body), KEY_RELAY + b" " + purpose)
    return msgspec.msgpack.encode(_Signed(VERSION, signer, body, identity.public_bytes, signature))


def signer_of(message: bytes) -> tuple[str, bytes]:
    """Who a message says has signed it, and its body: to be believed only after `check`.

    Raises:
        Malformed: it is no signed message of this version.
    """
    signed = _parse(message)
    return signed.signer, signed.body


def check(roster: Roster, purpose: bytes, message: bytes) -> tuple[str, bytes]:
    """Who signed a message, and its body; returns only if the roster's identity did.

    Raises:
        Malformed: it is no signed message of this version.
        NotAuthentic: the signer is no member, has another identity, or did not sign this.
    """
    signed = _parse(message)
    pinned = roster.fingerprint(signed.signer)
    if pinned is None or fingerprint(signed.public) != pinned:
        raise NotAuthentic(f"expected the identity that is pinned for {signed.signer}, got another")
    try:
        text = _text(signed.signer, signed.body)
        verify(signed.public, signed.signature, text, KEY_RELAY + b" " + purpose)
    except SignatureInvalid as error:
        raise NotAuthentic(f"expected the signature of {signed.signer}, got another") from error
    return signed.signer, signed.body


def _parse(message: bytes) -> _Signed:
    if len(message) > MAX_SIGNED_BYTES:
        raise Malformed(
            f"expected a signed message of at most {MAX_SIGNED_BYTES} bytes, got {len(message)}"
        )
    try:
        signed = _signed.decode(message)
    except UNDECODABLE as error:
        raise Malformed(f"expected a signed message, got something else: {error}") from error
    if signed.version != VERSION:
        raise Malformed(f"expected a signed message of version {VERSION}, got {signed.version}")
    return signed


def _text(signer: str, body: bytes) -> bytes:
    name = signer.encode()
    return bytes([VERSION, len(name)]) + name + body
