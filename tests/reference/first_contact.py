"""Signed first contact as spec/first-contact.md says it, from the primitives alone.

Nothing of the product is used: X-Wing is put together from ML-KEM-768 and X25519, HKDF from HMAC.
Both sides are here, as plain functions of the bytes that were sent.
"""

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

LABEL = b"bellwire first contact 1"
HELLO, ANSWER, PROOF, STORED = (b"bwfc\x01" + bytes([kind]) for kind in (1, 2, 3, 4))


def hkdf(ikm: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256."""
    prk = hmac.digest(salt, ikm, "sha256")
    block, out, count = b"", b"", 0
    while len(out) < length:
        count += 1
        block = hmac.digest(prk, block + info + bytes([count]), "sha256")
        out += block
    return out[:length]


@dataclass
class Ephemeral:
    """An X-Wing key pair of a 32-byte seed."""

    seed: bytes

    def __post_init__(self) -> None:
        expanded = hashlib.shake_256(self.seed).digest(96)
        self.lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self.curve = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.public = (
            self.lattice.public_key().public_bytes_raw()
            + self.curve.public_key().public_bytes_raw()
        )

    def open(self, ciphertext: bytes) -> bytes:
        lattice = self.lattice.decapsulate(ciphertext[:1088])
        curve = self.curve.exchange(X25519PublicKey.from_public_bytes(ciphertext[1088:]))
        return combine(lattice, curve, ciphertext[1088:], self.public[1184:])


def combine(lattice: bytes, curve: bytes, sent: bytes, public: bytes) -> bytes:
    return hashlib.sha3_256(lattice + curve + sent + public + b"\\.//^\\").digest()


def encapsulate(public: bytes, curve_seed: bytes) -> tuple[bytes, bytes]:
    """Ciphertext and secret for an X-Wing public key."""
    lattice, sealed = MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    ours = X25519PrivateKey.from_private_bytes(curve_seed)
    sent = ours.public_key().public_bytes_raw()
    curve = ours.exchange(X25519PublicKey.from_public_bytes(public[1184:]))
    return sealed + sent, combine(lattice, curve, sent, public[1184:])


def public_of(seed: bytes) -> bytes:
    return MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


@dataclass
class Shared:
    """What both sides have once secret and transcript are there."""

    hello: bytes
    opened: bytes
    secret: bytes

    @property
    def exchange(self) -> bytes:
        return hashlib.sha512(LABEL + self.hello + self.opened).digest()

    def derive(self, purpose: bytes, length: int) -> bytes:
        return hkdf(self.secret, self.exchange, LABEL + b" " + purpose, length)

    def proof(self, seed: bytes, side: bytes) -> bytes:
        """Signature and confirmation of the side whose identity has this seed."""
        key = MLDSA65PrivateKey.from_seed_bytes(seed)
        signature = key.sign(self.exchange, LABEL + b" " + side)
        return signature + self.confirmation(signature, side)

    def confirmation(self, signature: bytes, side: bytes) -> bytes:
        return hmac.digest(self.derive(b"confirmation of " + side, 32), signature, "sha256")

    def check(self, proof: bytes, public: bytes, side: bytes) -> None:
        signature, confirmation = proof[:3309], proof[3309:]
        context = LABEL + b" " + side
        MLDSA65PublicKey.from_public_bytes(public).verify(signature, self.exchange, context)
        assert confirmation == self.confirmation(signature, side)

    def stored(self) -> bytes:
        return STORED + self.derive(b"stored", 32)

    def key(self) -> bytes:
        """MAC key and hash keys, then 256 pad sets."""
        return b"".join(self.derive(b"key " + i.to_bytes(4, "big"), 64) for i in range(257))


def hello(identity_seed: bytes, nonce: bytes, ephemeral: Ephemeral) -> bytes:
    """Step 1."""
    return HELLO + nonce + public_of(identity_seed) + ephemeral.public


def opened(identity_seed: bytes, nonce: bytes, ciphertext: bytes) -> bytes:
    """Step 2 up to its proof."""
    return ANSWER + nonce + public_of(identity_seed) + ciphertext
