"""Names of people and devices: one way to write each, and none that looks like another's.

A handle is ASCII, lower case. Two handles that differ only in characters which many typefaces draw
alike count as one: the skeleton of both is the same, after the manner of Unicode TS 39, section 4,
for the few characters that a handle can have.
"""

import re
from typing import Final

from bellwire.base.errors import UsageError

MIN_CHARS: Final = 3
MAX_CHARS: Final = 32
MIN_PREFIX_CHARS: Final = 2

_HANDLE: Final = re.compile(rf"[a-z][a-z0-9_-]{{{MIN_CHARS - 1},{MAX_CHARS - 1}}}")
_PREFIX: Final = re.compile(rf"[a-z][a-z0-9_-]{{{MIN_PREFIX_CHARS - 1},{MAX_CHARS - 1}}}")
_ALIKE: Final = (("0", "o"), ("1", "l"), ("i", "l"), ("_", "-"), ("rn", "m"), ("vv", "w"))


class HandleMalformed(UsageError):
    """A handle, or the beginning of one, that is not in its one form."""


def canonical(text: str) -> str:
    """The handle that somebody means: ASCII capitals and one leading `@` are forgiven.

    Raises:
        HandleMalformed: it is none.
    """
    return _read(_HANDLE, text, MIN_CHARS)


def canonical_prefix(text: str) -> str:
    """The same for the beginning of a handle, as one types it.

    Raises:
        HandleMalformed: no handle begins so, or it is too short to search for.
    """
    return _read(_PREFIX, text, MIN_PREFIX_CHARS)


def is_canonical(handle: str) -> bool:
    """Whether it is a handle as it is kept and sent."""
    return _HANDLE.fullmatch(handle) is not None


def is_canonical_prefix(prefix: str) -> bool:
    """Whether it is the beginning of one, long enough to search for."""
    return _PREFIX.fullmatch(prefix) is not None


def skeleton(handle: str) -> str:
    """What all handles that look like this one have in common."""
    for seen, meant in _ALIKE:
        handle = handle.replace(seen, meant)
    return handle


def _read(form: re.Pattern[str], text: str, least: int) -> str:
    # str.lower would turn characters beyond ASCII into ASCII ones, as the Kelvin sign into k.
    bare = text.removeprefix("@")
    if bare.isascii() and form.fullmatch(bare.lower()):
        return bare.lower()
    raise HandleMalformed(
        f"expected {least} to {MAX_CHARS} characters of a-z, 0-9, - and _, a letter first, "
        f"got {_shown(text)}"
    )


def _shown(text: str) -> str:
    return ascii(text[:MAX_CHARS]) + ("…" if len(text) > MAX_CHARS else "")
