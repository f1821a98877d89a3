"""The code of a file of history: 128 random bits, drawn for that file alone and shown once."""

import os
from typing import Final

from bellwire.base.secret import Secret
from bellwire.crypto.labels import CHAT_HISTORY
from bellwire.crypto.spelling import SECRET_BYTES, read_spelt, spell

HINT: Final = "Compare it letter by letter; nothing was imported, and the code is still good."


def draw_code() -> Secret:
    """A new one."""
    return Secret(os.urandom(SECRET_BYTES))


def spelt(code: Secret) -> str:
    """As it is shown: eight groups of four letters. Secret."""
    return spell(code, CHAT_HISTORY)


def read_code(typed: str) -> Secret:
    """The code that somebody typed; CodeMalformed if it is none, or has a slip."""
    return read_spelt(typed, CHAT_HISTORY, hint=HINT)
