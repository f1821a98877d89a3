"""Other people's words on a terminal: nothing in them moves the cursor, colours or hides anything.

Control characters, escape sequences, line separators, and the characters that change the direction
of what comes after them are shown as visible signs. Right-to-left words, accents and emoji stay.
"""

import unicodedata
from typing import Final

_HIDDEN: Final = frozenset("\u200b\u2060\ufeff\u00ad\u034f\u115f\u1160\u2800\u3164\uffa0")
_DIRECTION: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_JOINER: Final = "\u200d"
"""Joins emoji, and letters of some scripts; it changes nothing else."""

MAX_MARKS: Final = 6
"""Marks and joiners on one letter; more would grow over the rows above and below it, and stand for
one replacement character."""


def harmless(text: str, *, lines: bool = False) -> str:
    """`text` for a terminal; one line, or with its line ends kept if `lines`."""
    shown: list[str] = []
    marks = 0
    for each in text:
        marks = marks + 1 if _is_mark(each) else 0
        if marks <= MAX_MARKS:
            shown.append(each if lines and each == "\n" else _shown(each))
        elif marks == MAX_MARKS + 1:
            shown.append("\ufffd")
    return "".join(shown)


def _is_mark(character: str) -> bool:
    """Whether it takes no cell of its own."""
    if character.isascii():
        return False
    return character == _JOINER or unicodedata.category(character) in {"Mn", "Me"}


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
