"""Commands about people whom we do not know yet: who waits to be accepted, and who can be found."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from bellwire.base.errors import UsageError
from bellwire.cli.chat_words import note_words

if TYPE_CHECKING:
    from bellwire.chat.messenger.engine import Messenger
    from bellwire.chat.messenger.views import Request


async def find(messenger: "Messenger", prefix: str) -> str:
    """Handles that begin so."""
    found = await messenger.search_people(prefix)
    return "\n".join(f"@{each}" for each in found) or "nobody who wants to be found"


async def waiting(messenger: "Messenger", _: str = "") -> str:
    """Who waits, and what they said."""
    found = await messenger.requests.waiting()
    if not found:
        return "nobody waits to be accepted"
    return "\n".join(_words(number, each) for number, each in enumerate(found, 1))


async def accept(messenger: "Messenger", which: str) -> str:
    """Have them as a contact."""
    found = await _pick(messenger, which)
    name = await messenger.requests.accept(found.contact)
    said = [f"{note_words(name)} is a contact now; compare safety numbers with /verify"]
    return "\n".join(said + [f"  {note_words(each.text)}" for each in found.lines])


async def decline(messenger: "Messenger", which: str) -> str:
    """Forget them."""
    found = await _pick(messenger, which)
    await messenger.requests.decline(found.contact)
    return f"{note_words(found.name)} is forgotten, and was not told"


async def block(messenger: "Messenger", which: str) -> str:
    """Hear somebody no more, who waits or is a contact; without a name: who is not heard."""
    if not which:
        found = await messenger.requests.blocked()
        lines = [f"{each.hex()} {note_words(name or '')}".rstrip() for each, name in found]
        return "\n".join(lines) or "nobody is blocked"
    try:
        stranger = await _pick(messenger, which)
        contact, name = stranger.contact, stranger.name
    except UsageError:
        known = [
            each
            for each in await messenger.contacts()
            if not (each.is_notes or each.is_group)
            and each.name.casefold() == which.removeprefix("@").casefold()
        ]
        if len(known) != 1:
            raise
        contact, name = known[0].contact, known[0].name
    await messenger.requests.block(contact)
    return f"{note_words(name)} is blocked, and was not told; /unblock {contact.hex()} undoes it"


async def unblock(messenger: "Messenger", which: str) -> str:
    """Hear somebody again."""
    try:
        contact = bytes.fromhex(which)
    except ValueError:
        raise UsageError("expected a fingerprint that /block lists") from None
    await messenger.requests.unblock(contact)
    return "not blocked any more; they can write to you as a stranger"


ACTS: "Final[Mapping[str, Callable[[Messenger, str], Awaitable[str]]]]" = {
    "find": find,
    "requests": waiting,
    "accept": accept,
    "decline": decline,
    "block": block,
    "unblock": unblock,
}
"""By the commands' names."""


def _words(number: int, request: "Request") -> str:
    came = time.strftime("%Y-%m-%d %H:%M", time.localtime(request.came_s))
    like = ", NOT your contact of that name" if request.is_like_contact else ""
    head = (
        f"{number}. a stranger who says “{note_words(request.name)}” (not verified{like}), "
        f"{request.contact.hex()[:16]}, since {came}:"
    )
    return "\n".join([head, *(f"   {note_words(each.text)}" for each in request.lines)])


async def _pick(messenger: "Messenger", which: str) -> "Request":
    found = await messenger.requests.waiting()
    wanted = which.casefold()
    if which.isascii() and which.isdigit() and 1 <= int(which[:4]) <= len(found):
        return found[int(which[:4]) - 1]
    picked = [
        each
        for each in found
        if each.name.casefold() == wanted
        or (len(wanted) >= 8 and each.contact.hex().startswith(wanted))
    ]
    if len(picked) != 1:
        raise UsageError(
            "expected one who waits, by number, name or fingerprint, got "
            f"{note_words(which[:40])!r}",
            hint="/requests lists them.",
        )
    return picked[0]
