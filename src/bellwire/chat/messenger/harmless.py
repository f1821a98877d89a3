"""Other people's words on a terminal: nothing in them moves the cursor, colours or hides anything.

Control characters, escape sequences, line separators, and the characters that change the direction
of what comes after them are shown as visible signs. Right-to-left words, accents and emoji stay.
"""

import unicodedata
from typing import Final

_HIDDEN: Final = frozenset("\u200b\u2060\ufeff\u00ad\u034f\u115f\u1160\u3164\uffa0")
_DIRECTION: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_JOINER: Final = "\u200d"
"""Joins emoji, and letters of some scripts; it changes nothing else."""


def harmless(text: str, *, lines: bool = False) -> str:
    """`text` for a terminal; one line, or with its line ends kept if `lines`."""
    return "".join(each if lines and each == "\n" else _shown(each) for each in text)


def _shown(character: str) -> str:
    if character in {" ", _JOINER}:
        return character
    if character in _HIDDEN or character in _DIRECTION:
        return f"<U+{ord(character):04X}>"
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        if ord(character) < 0x20:
            return chr(0x2400 + ord(character))  # the signs of Unicode for them
        # Flags of regions are made of tags; without them it is another flag, and no harm.
        return f"<U+{ord(character):04X}>"
    return character
