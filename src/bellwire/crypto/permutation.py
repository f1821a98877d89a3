"""A keyed permutation of 16 bytes: AES-256 on one block.

To whom the key is unknown it looks like a permutation drawn at random: seeing any number of blocks
go in and come out says nothing of another. It is for values that are unique and one block long, to
be recognised again by who has the key. It needs no mode, for there is one block; equal values look
equal, which is the point; it authenticates nothing, and a block that was made up comes back as a
random one. It is no way to encrypt a message.

Source: FIPS 197.
"""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from bellwire.crypto.errors import require_length

KEY_BYTES = 32
BLOCK_BYTES = 16


class Permutation:
    """The permutation of a key.

    Args:
        key: 32 bytes, used for nothing else. Secret.

    Raises:
        LengthError: the key has another length.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        require_length("a key of a permutation", key, KEY_BYTES)
        self._cipher = Cipher(AES256(key), ECB())  # noqa: S305 - one block has no mode

    def __repr__(self) -> str:
        return "Permutation()"

    def forward(self, block: bytes) -> bytes:
        """Where 16 bytes go.

        Raises:
            LengthError: another length.
        """
        require_length("a block", block, BLOCK_BYTES)
        return self._cipher.encryptor().update(block)

    def back(self, block: bytes) -> bytes:
        """What goes to these 16 bytes.

        Raises:
            LengthError: another length.
        """
        require_length("a block", block, BLOCK_BYTES)
        return self._cipher.decryptor().update(block)
