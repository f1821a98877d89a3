"""Verification: do both sides hold the same key? Ask with a universal hash.

The hash is the polynomial of Poly1305 (RFC 8439, section 2.5, with s = 0) at the point r given by a
fresh public hash key, over the key's length in bits (8 bytes, little-endian) and its packed bits.
Two different keys have equal hashes with probability at most `collision_bound` over the choice of
hash key, however they came about, so long as the hash key was drawn after both were fixed.

The hash is announced in the open: it leaks `HASH_BITS` bits of the key. It proves equality to an
honest peer and is no message authentication code.

Source: Bernstein, "The Poly1305-AES message-authentication code", FSE 2005, theorem 3.3.
"""

import hmac

from cryptography.hazmat.primitives.poly1305 import Poly1305

from bellwire.base.bits import PackedBits
from bellwire.distill.errors import HashKeyLengthError, KeyMismatch

HASH_KEY_BYTES = 16
HASH_BITS = 128

_LENGTH_BYTES = 8


def collision_bound(bits: int) -> float:
    """Upper limit of the probability that two different keys of up to `bits` bits hash alike.

    8·⌈L/16⌉ / 2¹⁰⁶ for L bytes hashed: 106 bits of the hash key are free, and two polynomials of
    degree ⌈L/16⌉ agree, up to the carry of the last reduction, at few of those points.
    """
    length = _LENGTH_BYTES + (bits + 7) // 8
    return 8 * -(-length // 16) / 2**106


def key_hash(key: PackedBits, hash_key: bytes) -> bytes:
    """Hash a key.

    Args:
        key: Secret.
        hash_key: 16 public bytes, drawn after the key was fixed.

    Returns:
        16 bytes; public once sent.

    Raises:
        HashKeyLengthError: the hash key has another length.
    """
    if len(hash_key) != HASH_KEY_BYTES:
        raise HashKeyLengthError(expected=HASH_KEY_BYTES, got=len(hash_key))
    message = key.size.to_bytes(_LENGTH_BYTES, "little") + key.to_bytes()
    return Poly1305.generate_tag(hash_key + bytes(16), message)


def verify_key_hash(key: PackedBits, hash_key: bytes, expected: bytes) -> None:
    """Check, in constant time, that the peer's hash is the hash of our key.

    Raises:
        KeyMismatch: it is not; the two keys differ, or the hash was not computed as it should be.
        HashKeyLengthError: the hash key is not 16 bytes.
    """
    if not hmac.compare_digest(key_hash(key, hash_key), expected):
        raise KeyMismatch("expected the peer's key to have our hash, got another")
