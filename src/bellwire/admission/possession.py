"""Proof that a newcomer holds the private half of every key that it registers.

The server challenges: a nonce, and for each key of a KEM a secret encapsulated to it; for one of
X25519, an ephemeral key to agree on a secret with. The newcomer signs a transcript with each
signing key, and answers each secret with an HMAC over the same transcript. The transcript names
everything (who asks, for what name, all keys, the challenge), so that no proof serves for another
name, another server, another set of keys or a second time. A key that does not sign cannot vouch
for itself in a request; RFC 9883 lets another key do it, a live challenge shows that it is there.

Steps: `Challenge.issue` at the server, `prove` at the newcomer, `Challenge.verify` at the server.

Source: RFC 9883, 1 (why a KEM key needs another way); FIPS 203; RFC 7748, 6.1; FIPS
204, 5.2; RFC 8032; FIPS 186-5; RFC 2104.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from bellwire.admission.errors import PossessionUnproven, PossessionUnusable
from bellwire.crypto.labels import ADMISSION_POSSESSION

NONCE_BYTES: Final = 32
TAG_BYTES: Final = 32
MAX_PROOF_BYTES: Final = 3309

Verifier = Ed25519PublicKey | ec.EllipticCurvePublicKey | MLDSA44PublicKey | MLDSA65PublicKey
PrivateKey = (
    Ed25519PrivateKey
    | ec.EllipticCurvePrivateKey
    | MLDSA44PrivateKey
    | MLDSA65PrivateKey
    | MLKEM768PrivateKey
    | X25519PrivateKey
)

PUBLIC_BYTES: Final = {
    "ed25519": 32,
    "ml-dsa-44": 1312,
    "ml-dsa-65": 1952,
    "ml-kem-768": 1184,
    "p-256": 65,
    "x25519": 32,
}
"""The kinds of keys, and how long their public halves are; of P-256 the uncompressed point."""

_SHARED: Final = frozenset({"ml-kem-768", "x25519"})
"""Kinds that do not sign: both sides come to a secret, from what the challenge has for them."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What one newcomer has to answer, once. Kept by the server; its secrets never show.

    Attributes:
        server: Name of the server that asks.
        handle: The name to be registered.
        keys: Public keys by kind.
        nonce: 32 bytes.
        ciphertexts: For the keys that do not sign, by kind.
    """

    server: str
    handle: str
    keys: Mapping[str, bytes]
    nonce: bytes
    ciphertexts: Mapping[str, bytes]
    _secrets: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"Challenge({self.handle!r}, {', '.join(sorted(self.keys))})"

    @classmethod
    def issue(cls, server: str, handle: str, keys: Mapping[str, bytes]) -> "Challenge":
        """A challenge for these keys.

        Args:
            server: Our name.
            handle: In the one way to write it.
            keys: Public keys by kind: at least one that signs.

        Raises:
            PossessionUnusable: a key is of no known kind or malformed, or none signs.
        """
        if not set(keys) - _SHARED:
            raise PossessionUnusable("expected at least one key that signs, got none")
        for kind, public in keys.items():
            _check(kind, public)
        ciphertexts, secrets = {}, {}
        for kind in _SHARED.intersection(keys):
            secrets[kind], ciphertexts[kind] = _encapsulate(kind, keys[kind])
        nonce = os.urandom(NONCE_BYTES)
        return cls(server, handle, dict(keys), nonce, ciphertexts, secrets)

    @property
    def transcript(self) -> bytes:
        """What every proof is made over."""
        return transcript(self.server, self.handle, self.keys, self.nonce, self.ciphertexts)

    def verify(self, proofs: Mapping[str, bytes]) -> None:
        """Return only if every key is proven.

        Raises:
            PossessionUnproven: a proof is missing, too much, or not of this challenge.
        """
        if set(proofs) != set(self.keys):
            raise PossessionUnproven(
                f"expected a proof of {', '.join(sorted(self.keys))} each, and no other"
            )
        text = self.transcript
        for kind, public in self.keys.items():
            try:
                if kind in _SHARED:
                    _check_tag(self._secrets[kind], text, proofs[kind])
                else:
                    _check_signature(kind, public, proofs[kind], text)
            except InvalidSignature as error:
                raise PossessionUnproven(
                    f"expected a proof of {kind} for this challenge"
                ) from error


def transcript(
    server: str,
    handle: str,
    keys: Mapping[str, bytes],
    nonce: bytes,
    ciphertexts: Mapping[str, bytes],
) -> bytes:
    """The hash of all that a challenge is, each part with its length; 64 bytes."""
    parts = [server.encode(), handle.encode(), nonce]
    for group in (keys, ciphertexts):
        parts.append(len(group).to_bytes(1, "big"))
        for kind in sorted(group):
            parts += [kind.encode(), group[kind]]
    whole = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.sha512(ADMISSION_POSSESSION + whole).digest()


def prove(
    server: str,
    handle: str,
    private: Mapping[str, PrivateKey],
    nonce: bytes,
    ciphertexts: Mapping[str, bytes],
) -> dict[str, bytes]:
    """The newcomer's answer: a proof for each key.

    Args:
        server: Whom it means to register with.
        handle: What it means to be called.
        private: Its keys by kind.
        nonce: Of the challenge.
        ciphertexts: Of the challenge.

    Raises:
        PossessionUnusable: the challenge is none for these keys.
    """
    keys = {kind: public_bytes(key) for kind, key in private.items()}
    if len(nonce) != NONCE_BYTES or set(ciphertexts) != set(keys) & _SHARED:
        raise PossessionUnusable("expected a challenge for these keys, got another")
    text = transcript(server, handle, keys, nonce, ciphertexts)
    return {kind: _answer(key, text, ciphertexts.get(kind)) for kind, key in private.items()}


def generate(kind: str) -> PrivateKey:
    """A new key of a kind, from the operating system's generator.

    Raises:
        PossessionUnusable: there is no such kind.
    """
    match kind:
        case "ed25519":
            return Ed25519PrivateKey.generate()
        case "p-256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ml-dsa-44":
            return MLDSA44PrivateKey.generate()
        case "ml-dsa-65":
            return MLDSA65PrivateKey.generate()
        case "ml-kem-768":
            return MLKEM768PrivateKey.generate()
        case "x25519":
            return X25519PrivateKey.generate()
    raise _unknown(kind)


def public_bytes(key: PrivateKey) -> bytes:
    """The public half as it is registered."""
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        numbers = public.public_numbers()
        return b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    return public.public_bytes_raw()


def p256_key(public: bytes) -> ec.EllipticCurvePublicKey:
    """A registered key of P-256.

    Raises:
        PossessionUnusable: it is none.
    """
    key = _verifier("p-256", public)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _check(kind: str, public: bytes) -> None:
    if kind not in PUBLIC_BYTES:
        raise _unknown(kind)
    if len(public) != PUBLIC_BYTES[kind]:
        raise PossessionUnusable(
            f"expected {PUBLIC_BYTES[kind]} bytes of a key {kind}, got {len(public)}"
        )
    if kind not in _SHARED:  # those are read when a secret is made for them
        _verifier(kind, public)


def _encapsulate(kind: str, public: bytes) -> tuple[bytes, bytes]:
    """A secret, and what brings it to whoever holds the private key."""
    try:
        if kind == "ml-kem-768":
            return MLKEM768PublicKey.from_public_bytes(public).encapsulate()
        ephemeral = X25519PrivateKey.generate()
        secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:  # that of X25519 is of low order
        raise PossessionUnusable(f"expected a key {kind}, got other bytes") from error
    return secret, ephemeral.public_key().public_bytes_raw()


def _verifier(kind: str, public: bytes) -> Verifier:
    try:
        match kind:
            case "ed25519":
                return Ed25519PublicKey.from_public_bytes(public)
            case "p-256":
                return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
            case "ml-dsa-44":
                return MLDSA44PublicKey.from_public_bytes(public)
            case "ml-dsa-65":
                return MLDSA65PublicKey.from_public_bytes(public)
    except ValueError as error:
        raise PossessionUnusable(f"expected a key {kind}, got other bytes") from error
    raise _unknown(kind)


def _check_tag(secret: bytes, text: bytes, tag: bytes) -> None:
    if not hmac.compare_digest(_tag(secret, text), tag):
        raise InvalidSignature


def _check_signature(kind: str, public: bytes, proof: bytes, text: bytes) -> None:
    verifier = _verifier(kind, public)
    match verifier:
        case Ed25519PublicKey():
            verifier.verify(proof, text)
        case ec.EllipticCurvePublicKey():
            verifier.verify(proof, text, ec.ECDSA(hashes.SHA256()))
        case _:
            verifier.verify(proof, text, ADMISSION_POSSESSION)


def _answer(key: PrivateKey, text: bytes, ciphertext: bytes | None) -> bytes:
    match key:
        case MLKEM768PrivateKey() | X25519PrivateKey():
            assert ciphertext is not None  # the challenge was found to have it
            try:
                return _tag(_secret(key, ciphertext), text)
            except ValueError as error:
                raise PossessionUnusable("expected a ciphertext for our key") from error
        case Ed25519PrivateKey():
            return key.sign(text)
        case ec.EllipticCurvePrivateKey():
            return key.sign(text, ec.ECDSA(hashes.SHA256()))
        case _:
            return key.sign(text, ADMISSION_POSSESSION)


def _secret(key: MLKEM768PrivateKey | X25519PrivateKey, ciphertext: bytes) -> bytes:
    if isinstance(key, MLKEM768PrivateKey):
        return key.decapsulate(ciphertext)
    return key.exchange(X25519PublicKey.from_public_bytes(ciphertext))


def _tag(secret: bytes, text: bytes) -> bytes:
    return hmac.digest(secret, text, "sha256")


def _unknown(kind: str) -> PossessionUnusable:
    return PossessionUnusable(
        f"expected a key of a kind out of {', '.join(PUBLIC_BYTES)}, got {kind[:40]!a}"
    )
