"""The list of people: in which order, and which of them are meant by what was typed."""

from collections.abc import Iterable

from bellwire.chat.messenger.views import Conversation, Mode
from bellwire.chat.pads import Policy


def in_order(entries: Iterable[Conversation], kept: bytes | None = None) -> list[Conversation]:
    """Unread first, then whom we talked with last; notes to ourselves come last.

    Args:
        entries: All of them.
        kept: One that was unread when it was opened: it stays where it was until another is.
    """

    def place(entry: Conversation) -> tuple[bool, bool, int, str]:
        latest = 0 if entry.last is None else entry.last.number
        is_unread = bool(entry.unread) or entry.contact == kept
        return entry.is_notes, not is_unread, -latest, entry.name.casefold()

    return sorted(entries, key=place)


def meant(entries: Iterable[Conversation], typed: str) -> list[Conversation]:
    """Those in whose names all words that were typed occur, in any case."""
    words = typed.casefold().split()
    return [each for each in entries if all(word in each.name.casefold() for word in words)]


def next_protection(entry: Conversation) -> tuple[str, bool]:
    """What the next message to them would be under, in a word, and whether that is a pad."""
    if entry.is_notes:
        return "", True
    if entry.policy is Policy.OFF:
        return "AES", False
    if entry.mode is Mode.FRESH:
        return "own", True
    if entry.pad_messages or entry.policy is Policy.REQUIRE:
        return "pool", bool(entry.pad_messages)
    return "AES", False
