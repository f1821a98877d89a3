"""Cryptographic streams of random words for choices and for simulated light.

AES-256 in counter mode (NIST SP 800-38A) under a key derived from a 32-byte seed and a label, so
that one seed serves several purposes with independent streams. `KeyStream` is addressed by
position: the choice of slot i is the same whenever and in whatever order it is asked for.
`NoiseStream` is read on and on.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

SEED_BYTES = 32
_BLOCK = 16


class KeyStream:
    """A stream of bytes addressed by position; seed must be 32 bytes, else ValueError."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes, label: str) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
        self._key = HKDF(SHA256(), 32, None, b"bellwire stream " + label.encode()).derive(seed)

    def __repr__(self) -> str:
        return "KeyStream()"

    def at(self, start: int, count: int) -> NDArray[np.uint8]:
        """Bytes start … start + count − 1, as (count,) uint8."""
        first = start // _BLOCK
        skip = start - first * _BLOCK
        encryptor = Cipher(
            algorithms.AES256(self._key), modes.CTR(first.to_bytes(_BLOCK, "big"))
        ).encryptor()
        stream = encryptor.update(bytes(skip + count))
        return np.frombuffer(stream, np.uint8)[skip:]

    def into(self, start: int, buffer: NDArray[np.uint8]) -> None:
        """Write bytes from `start` on into a contiguous buffer that is there.

        Args:
            start: Place in the stream, in bytes; a multiple of 16.
            buffer: (n,) uint8; overwritten.

        Raises:
            ValueError: `start` is no multiple of 16.
        """
        if start % _BLOCK:
            raise ValueError(f"expected a start that is a multiple of {_BLOCK}, got {start}")
        counter = (start // _BLOCK).to_bytes(_BLOCK, "big")
        encryptor = Cipher(algorithms.AES256(self._key), modes.CTR(counter)).encryptor()
        buffer.fill(0)
        encryptor.update_into(buffer.data, buffer.data)

    def words(self, start: int, count: int) -> NDArray[np.uint32]:
        """(count,) uint32: words start … start + count − 1 of the stream, little-endian."""
        return self.at(4 * start, 4 * count).view("<u4")


def limit_of(p: NDArray[np.float64] | float) -> NDArray[np.uint64]:
    """Of p in [0, 1], of any shape: `integers` below this have a `uniform` number below p."""
    return np.ceil(np.multiply(p, 2.0**53)).astype(np.uint64)


class NoiseStream:
    """Uniform numbers and bits, drawn one after the other from a KeyStream."""

    __slots__ = ("_at", "_stream")

    def __init__(self, seed: bytes, label: str) -> None:
        self._stream = KeyStream(seed, label)
        self._at = 0

    def __repr__(self) -> str:
        return "NoiseStream()"

    def _take(self, count: int) -> NDArray[np.uint8]:
        data = self._stream.at(self._at, count)
        self._at += count
        return data

    def uniform(self, n: int) -> NDArray[np.float64]:
        """(n,) float64, uniform on [0, 1) with 53 bits."""
        return np.asarray(self.integers(n) * 2.0**-53, np.float64)

    def integers(self, n: int) -> NDArray[np.uint64]:
        """(n,) uint64, uniform below 2⁵³: what `uniform` scales. See `limit_of`."""
        words = np.ascontiguousarray(self._take(8 * n)).view("<u8")
        return np.asarray(words >> np.uint64(11), np.uint64)

    def skip(self, n: int) -> None:
        """Leave out n numbers, which would decide nothing."""
        self._at += 8 * n

    def bits(self, n: int) -> NDArray[np.uint8]:
        """(n,) uint8 of 0/1, uniform."""
        return np.unpackbits(self._take((n + 7) // 8), count=n, bitorder="little")
