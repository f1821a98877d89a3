"""The one-time code of an invitation: 128 random bits, in letters that are typed or scanned."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bellwire.base.secret import Secret
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import ENROLMENT
from bellwire.crypto.spelling import SECRET_BYTES, read_spelt, spell

ID_BYTES: Final = 16
KEY_BYTES: Final = 32


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
        return spell(self.secret, ENROLMENT)


def make_code(random: Callable[[int], bytes] = os.urandom) -> Code:
    """A new code; `random` gives so many random bytes."""
    return Code(Secret(random(SECRET_BYTES)))


def parse_code(typed: str) -> Code:
    """Read a code as somebody typed it.

    Raises:
        CodeMalformed: it is none; what was typed is not repeated, it may be nearly right.
    """
    hint = "Compare it letter by letter; nothing was sent, and the code is still good."
    return Code(read_spelt(typed, ENROLMENT, hint=hint))
