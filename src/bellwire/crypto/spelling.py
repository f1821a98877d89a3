"""A secret of 128 random bits, in letters that people type or scan.

It is spelt as 32 letters of RFC 4648's base32, in groups of four: 16 secret bytes and 4 that tell a
slip of the hand (the beginning of the SHA-256 of what the secret is for, and the secret). Case,
spaces and hyphens do not matter; 0, 1 and 8, which the alphabet has not, are read as the letters
that they look like.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from bellwire.base.secret import Secret
from bellwire.crypto.errors import CodeMalformed, require_length

SECRET_BYTES: Final = 16
CHECK_BYTES: Final = 4
LETTERS: Final = 32
GROUP: Final = 4
MAX_TYPED: Final = 200

_LOOKALIKES: Final = str.maketrans("018", "OIB")


def spell(secret: Secret, purpose: bytes) -> str:
    """A secret of 16 bytes as it is typed: eight groups of four letters; LengthError."""
    raw = secret.reveal()
    require_length("a secret to spell", raw, SECRET_BYTES)
    letters = base64.b32encode(raw + _check(raw, purpose)).decode()
    return "-".join(letters[at : at + GROUP] for at in range(0, LETTERS, GROUP))


def read_spelt(typed: str, purpose: bytes, *, hint: str) -> Secret:
    """The secret that somebody typed.

    Args:
        typed: Anything.
        purpose: What the secret is for; one for something else is refused like a slip.
        hint: What to do about a slip.

    Raises:
        CodeMalformed: it is none; what was typed is not repeated, it may be nearly right.
    """
    letters = "".join(typed.split()).replace("-", "").upper().translate(_LOOKALIKES)
    if len(typed) > MAX_TYPED or len(letters) != LETTERS:
        raise CodeMalformed(
            f"expected a code of {LETTERS} letters, in groups of {GROUP}, "
            f"got {min(len(letters), MAX_TYPED)}"
        )
    try:
        data = base64.b32decode(letters)
    except (binascii.Error, ValueError):
        raise CodeMalformed("expected a code of letters A to Z and digits 2 to 7") from None
    secret, check = data[:SECRET_BYTES], data[SECRET_BYTES:]
    if not hmac.compare_digest(check, _check(secret, purpose)):
        raise CodeMalformed("expected a code as it was printed, got one with a slip", hint=hint)
    return Secret(secret)


def _check(secret: bytes, purpose: bytes) -> bytes:
    return hashlib.sha256(purpose + b"check" + secret).digest()[:CHECK_BYTES]
