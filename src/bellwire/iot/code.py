"""The one-time code of an invitation: 128 random bits, in letters that are typed or scanned.

A code is 32 letters of RFC 4648's base32, in groups of four: 16 secret bytes and 4 that tell a
slip of the hand (the beginning of the SHA-256 of a label and the secret). Case, spaces and hyphens
do not matter; 0, 1 and 8, which the alphabet has not, are read as the letters that they look like.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bellwire.base.secret import Secret
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import ENROLMENT
from bellwire.iot.errors import CodeMalformed

SECRET_BYTES: Final = 16
CHECK_BYTES: Final = 4
ID_BYTES: Final = 16
KEY_BYTES: Final = 32
LETTERS: Final = 32
GROUP: Final = 4
MAX_TYPED: Final = 200

_LOOKALIKES: Final = str.maketrans("018", "OIB")


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time code.

    Attributes:
        secret: 16 bytes.
    """

    secret: Secret

    @property
    def id(self) -> bytes:
        """The 16 bytes by which the cloud finds the invitation; they give nothing of the secret."""
        return hkdf(self.secret.reveal(), info=ENROLMENT + b"id", length=ID_BYTES)

    @property
    def key(self) -> Secret:
        """The key of 32 bytes that both ends prove to have."""
        return Secret(hkdf(self.secret.reveal(), info=ENROLMENT + b"key", length=KEY_BYTES))

    def spell(self) -> str:
        """The code as it is typed: eight groups of four letters."""
        secret = self.secret.reveal()
        letters = base64.b32encode(secret + _check(secret)).decode()
        return "-".join(letters[at : at + GROUP] for at in range(0, LETTERS, GROUP))


def make_code(random: Callable[[int], bytes] = os.urandom) -> Code:
    """A new code; `random` gives so many random bytes."""
    return Code(Secret(random(SECRET_BYTES)))


def parse_code(typed: str) -> Code:
    """Read a code as somebody typed it.

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
    if not hmac.compare_digest(check, _check(secret)):
        raise CodeMalformed(
            "expected a code as the cloud printed it, got one with a slip",
            hint="Compare it letter by letter; nothing was sent, and the code is still good.",
        )
    return Code(Secret(secret))


def _check(secret: bytes) -> bytes:
    return hashlib.sha256(ENROLMENT + b"check" + secret).digest()[:CHECK_BYTES]
