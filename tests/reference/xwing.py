"""X-Wing as its draft says it, of kyber-py's ML-KEM-768 and a plain ladder for X25519.

Nothing of it shares code with the product's primitives, which are OpenSSL's; and encapsulation
takes its coins from outside. Slow, and not constant-time.

Source: draft-connolly-cfrg-xwing-kem; FIPS 203 (kyber-py); RFC 7748, 5.
"""

import hashlib

from kyber_py.ml_kem import ML_KEM_768

LABEL = b"\\.//^\\"
PRIME = 2**255 - 19
BASE = (9).to_bytes(32, "little")


def x25519(scalar: bytes, point: bytes) -> bytes:
    """RFC 7748, 5: the Montgomery ladder."""
    k = int.from_bytes(scalar, "little") & ~7 & (2**255 - 1) | 2**254
    x_1 = int.from_bytes(point, "little") & (2**255 - 1)
    x_2, z_2, x_3, z_3, swap = 1, 0, x_1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x_2, z_2, x_3, z_3 = x_3, z_3, x_2, z_2
        swap = bit
        a, b = x_2 + z_2, x_2 - z_2
        aa, bb = a * a % PRIME, b * b % PRIME
        e = aa - bb
        da, cb = (x_3 - z_3) * a, (x_3 + z_3) * b
        x_3, z_3 = (da + cb) ** 2 % PRIME, x_1 * (da - cb) ** 2 % PRIME
        x_2, z_2 = aa * bb % PRIME, e * (aa + 121665 * e) % PRIME
    if swap:
        x_2, z_2 = x_3, z_3
    return (x_2 * pow(z_2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def generate(seed: bytes) -> tuple[bytes, bytes, bytes]:
    """The public key, and the two private keys: of ML-KEM-768 and of X25519."""
    expanded = hashlib.shake_256(seed).digest(96)
    public, private = ML_KEM_768.key_derive(expanded[:64])
    return public + x25519(expanded[64:], BASE), private, expanded[64:]


def encapsulate(public: bytes, coins: bytes) -> tuple[bytes, bytes]:
    """Ciphertext and secret, by 64 bytes of coins."""
    lattice, curve = public[:1184], public[1184:]
    ss_m, ct_m = ML_KEM_768._encaps_internal(lattice, coins[:32])
    ct_x = x25519(coins[32:], BASE)
    return ct_m + ct_x, combine(ss_m, x25519(coins[32:], curve), ct_x, curve)


def decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    """The secret; of a ciphertext that was changed, another (FIPS 203, 6.3)."""
    public, lattice, curve = generate(seed)
    ct_m, ct_x = ciphertext[:1088], ciphertext[1088:]
    ss_m = ML_KEM_768.decaps(lattice, ct_m)
    return combine(ss_m, x25519(curve, ct_x), ct_x, public[1184:])


def combine(ss_m: bytes, ss_x: bytes, ct_x: bytes, pk_x: bytes) -> bytes:
    """The draft's combiner."""
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + LABEL).digest()
