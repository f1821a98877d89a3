"""CTR_DRBG: AES-256 in counter mode, whose key is replaced after every request.

A state that leaks says nothing of what was drawn before. Seeds must be uniform: there is no
derivation function here, they are conditioned where they are made.

Source: NIST SP 800-90A Rev. 1, 10.2.1 (without a derivation function); limits of Table 3.
"""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from bellwire.crypto.errors import LengthError, require_length

SEED_BYTES = 48
"""seedlen: a key and a counter block."""

MAX_REQUEST_BYTES = 1 << 16

_KEY = 32
_BLOCK = 16


class CtrDrbg:
    """A generator; its repr shows nothing of its state.

    Args:
        seed: 48 bytes, uniform. Secret.

    Raises:
        LengthError: the seed has another length.
    """

    __slots__ = ("_key", "_v")

    def __init__(self, seed: bytes) -> None:
        self._key = bytes(_KEY)
        self._v = 0
        self.reseed(seed)

    def __repr__(self) -> str:
        return "CtrDrbg()"

    def reseed(self, seed: bytes) -> None:
        """Mix 48 fresh bytes into the state; LengthError."""
        require_length("a seed of CTR_DRBG", seed, SEED_BYTES)
        self._update(self._stream(SEED_BYTES), seed)

    def generate(self, count: int) -> bytes:
        """The next `count` bytes, at most 65,536; LengthError."""
        if not 0 <= count <= MAX_REQUEST_BYTES:
            raise LengthError("a request", f"0 to {MAX_REQUEST_BYTES} bytes", count)
        whole = -(-count // _BLOCK) * _BLOCK
        # The blocks after the output's are those that the next state is made of.
        stream = self._stream(whole + SEED_BYTES)
        self._update(stream[whole:], bytes(SEED_BYTES))
        return stream[:count]

    def _stream(self, count: int) -> bytes:
        """Blocks V + 1, V + 2, … under the key."""
        first = (self._v + 1) % (1 << 128)
        encryptor = Cipher(AES256(self._key), CTR(first.to_bytes(_BLOCK, "big"))).encryptor()
        return encryptor.update(bytes(count))

    def _update(self, stream: bytes, provided: bytes) -> None:
        state = bytes(a ^ b for a, b in zip(stream, provided, strict=True))
        self._key, self._v = state[:_KEY], int.from_bytes(state[_KEY:], "big")
