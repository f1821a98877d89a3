"""Files into a conversation and out of it, as `/attach` and `/save` name them."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from bellwire.base.errors import UsageError

if TYPE_CHECKING:
    from bellwire.chat.messenger.engine import Messenger
    from bellwire.chat.messenger.views import Line

_LOOKED_AT: Final = 1000
"""Messages among which the newest file is looked for."""

_MOST_DIGITS: Final = 5
_UNITS: Final = ("B", "kB", "MB")


def path_of(text: str) -> Path:
    """A path as it was typed: with `~` for a home, in quotes or not.

    Raises:
        UsageError: it is empty, or of a home of nobody.
    """
    words = text.strip()
    if len(words) > 1 and words[0] == words[-1] and words[0] in "\"'":
        words = words[1:-1]
    if not words or "\0" in words:
        raise UsageError("expected the path of a file, got nothing that is one")
    try:
        return Path(words).expanduser()
    except RuntimeError as error:
        raise UsageError("expected the path of a file, got one in a home of nobody") from error


async def to_save(messenger: "Messenger", contact: bytes, rest: str) -> "tuple[Line, Path]":
    """The message that `/save [N] [PATH]` means, and where it goes; PATH is here if missing.

    Raises:
        UsageError: there is no such message, or no file of theirs that was not saved.
    """
    from bellwire.chat.messenger.views import AttachmentState

    first, _, more = rest.strip().partition(" ")
    is_number = first.isascii() and first.isdigit() and len(first) <= _MOST_DIGITS
    place = path_of((more if is_number else rest).strip() or ".")
    lines = await messenger.history(contact, limit=max(1, int(first)) if is_number else _LOOKED_AT)
    if is_number:
        if len(lines) < int(first) or not int(first):
            raise UsageError(f"expected the number of a message from 1 to {len(lines)}")
        return lines[0], place
    files = [each for each in lines if each.attachment is not None and not each.ours]
    here = [
        each for each in files if each.attachment and each.attachment.state is AttachmentState.HERE
    ]
    if not (here or files):
        raise UsageError("expected a file of theirs to save, got a conversation without one")
    return (here or files)[-1], place


def size_words(size: int) -> str:
    """A size for people: `999 B`, `64.0 kB`, `100.0 MB`, in powers of 1,000."""
    value, unit = float(size), 0
    while value >= 999.95 and unit + 1 < len(_UNITS):
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{size} B"
