"""The polynomial of Poly1305 in Python integers: the slow twin of `bellwire.distill.verification`.

Source: RFC 8439, section 2.5.1.
"""

from bellwire.base.bits import Bits

P = 2**130 - 5
CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF


def poly1305(r: bytes, s: bytes, message: bytes) -> bytes:
    """The RFC's authenticator, both halves of its key apart."""
    point = int.from_bytes(r, "little") & CLAMP
    total = 0
    for at in range(0, len(message), 16):
        block = int.from_bytes(message[at : at + 16] + b"\x01", "little")
        total = (total + block) * point % P
    return ((total + int.from_bytes(s, "little")) % 2**128).to_bytes(16, "little")


def slow_key_hash(key: Bits, hash_key: bytes) -> bytes:
    """Length and bits packed by hand, then the polynomial with s = 0."""
    value = 0
    for at, bit in enumerate(key.tolist()):
        value |= bit << at
    message = key.size.to_bytes(8, "little") + value.to_bytes((key.size + 7) // 8, "little")
    return poly1305(hash_key, bytes(16), message)
