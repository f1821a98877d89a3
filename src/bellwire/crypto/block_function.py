"""A keyed function of 16-byte blocks: AES-256 on each of them.

To whom the key is unknown it cannot be told from a function drawn at random, as long as far fewer
than 2⁶⁴ blocks are seen (the PRP/PRF switching lemma: Bellare and Rogaway, 2006). It is for values
that are one block long. Each block is by itself: there is no mode, equal blocks give equal results,
and nothing is authenticated. It is no way to encrypt a message.

Source: FIPS 197.
"""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from bellwire.crypto.errors import LengthError, require_length

KEY_BYTES = 32
BLOCK_BYTES = 16


class BlockFunction:
    """The function of a key. One thread at a time may call it.

    Args:
        key: 32 bytes, used for nothing else. Secret.

    Raises:
        LengthError: the key has another length.
    """

    __slots__ = ("_encryptor",)

    def __init__(self, key: bytes) -> None:
        require_length("a key of a block function", key, KEY_BYTES)
        # Kept: to make one costs ten times what it takes for a block. No mode carries state.
        self._encryptor = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305 - each by itself

    def __repr__(self) -> str:
        return "BlockFunction()"

    def number(self, value: int) -> int:
        """What becomes of one block, both read as a number, highest byte first.

        Raises:
            OverflowError: it does not fit a block.
        """
        return int.from_bytes(self._encryptor.update(value.to_bytes(BLOCK_BYTES, "big")), "big")

    def __call__(self, blocks: bytes) -> bytes:
        """What becomes of each 16 bytes of `blocks`.

        Raises:
            LengthError: not whole blocks.
        """
        if len(blocks) % BLOCK_BYTES:
            raise LengthError("blocks", f"a multiple of {BLOCK_BYTES} bytes", len(blocks))
        return self._encryptor.update(blocks)
