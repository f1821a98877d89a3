"""`/group`, in the line mode and in the window: groups made, changed, left and looked at."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bellwire.base.errors import UsageError
from bellwire.cli.chat_words import note_words

if TYPE_CHECKING:
    from bellwire.chat.messenger.engine import Messenger
    from bellwire.chat.messenger.views import GroupMember

LEAST_FINGERPRINT: Final = 8
"""Hexadecimal digits of a fingerprint by which somebody may be named."""

_GROUP_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did.

    Attributes:
        words: For people.
        told: The same as JSON.
        opened: The conversation to go on in; None: the one that it was.
    """

    words: str
    told: dict[str, Any] = field(default_factory=dict)
    opened: bytes | None = None


def one_person(conversation: bytes) -> bytes:
    """A conversation with one person; UsageError for a group, which has no settings of its own."""
    if len(conversation) == _GROUP_ID_BYTES:
        raise UsageError(
            "expected a conversation with one person, got a group",
            hint="Copies go by what is chosen for each member: /to NAME opens that conversation.",
        )
    return conversation


async def run(messenger: "Messenger", conversation: bytes, rest: str) -> Done:
    """Do what stands behind `/group`.

    Args:
        messenger: At work.
        conversation: The one that is chosen.
        rest: What stands behind the command.

    Raises:
        UsageError: there is no such command, or nobody of such a name.
        GroupUnusable: it cannot be done, or not by us.
    """
    word, _, more = rest.strip().partition(" ")
    if word == "new":
        return await _new(messenger, more.strip())
    act = _ACTS.get(word)
    if act is None:
        raise UsageError(
            f"expected /group {', '.join(['new', *_ACTS])}, got {note_words(word[:40]) or 'none'}"
        )
    if len(conversation) != _GROUP_ID_BYTES:
        raise UsageError(
            "expected a group to be chosen, got another conversation",
            hint="/to NAME chooses one, /group new NAME @A @B makes one.",
        )
    return await act(messenger, conversation, more.strip())


async def _new(messenger: "Messenger", rest: str) -> Done:
    name, *people = _pieces(rest)
    if not name or not people:
        raise UsageError("expected /group new NAME @A @B, with a name and at least one contact")
    members = [await _contact(messenger, each) for each in people]
    group = await messenger.groups.new(name, members)
    return Done(
        f"{note_words(name)} is a group of {len(set(members)) + 1} now, with you as its admin",
        {"group": group.hex(), "name": name},
        group,
    )


async def _add(messenger: "Messenger", group: bytes, rest: str) -> Done:
    people = _people(rest)
    for contact in [await _contact(messenger, each) for each in people]:
        await messenger.groups.add(group, contact)
    return await _members(messenger, group, "")


async def _remove(messenger: "Messenger", group: bytes, rest: str) -> Done:
    people = _people(rest)
    for member in [await _member(messenger, group, each) for each in people]:
        await messenger.groups.remove(group, member.contact)
    return await _members(messenger, group, "")


async def _leave(messenger: "Messenger", group: bytes, rest: str) -> Done:
    if rest:
        raise UsageError("expected /group leave alone, got words behind it")
    await messenger.groups.leave(group)
    return Done("you have left the group; what was said stays here to be read")


async def _rename(messenger: "Messenger", group: bytes, rest: str) -> Done:
    await messenger.groups.rename(group, rest)
    return Done(f"the group is called {note_words(rest)} now", {"name": rest})


async def _admin(messenger: "Messenger", group: bytes, rest: str) -> Done:
    (wanted, *more) = _people(rest)
    if more:
        raise UsageError("expected one member to be the admin, got several")
    member = await _member(messenger, group, wanted)
    await messenger.groups.hand_over(group, member.contact)
    return Done(f"{note_words(member.name)} is the admin now", {"admin": member.contact.hex()})


async def _renew(messenger: "Messenger", group: bytes, rest: str) -> Done:
    if rest:
        raise UsageError("expected /group renew alone, got words behind it")
    fresh = await messenger.groups.renew(group)
    members = await messenger.groups.members(fresh)
    words = f"the group was made anew with {len(members)} members, and you as its admin"
    return Done(words, {"group": fresh.hex()}, fresh)


async def _members(messenger: "Messenger", group: bytes, _: str) -> Done:
    found = await messenger.groups.members(group)
    told = [
        {
            "name": each.name,
            "contact": each.contact.hex(),
            "me": each.is_me,
            "admin": each.is_admin,
            "reachable": each.is_reachable,
            "verified": each.is_verified,
        }
        for each in found
    ]
    return Done("\n".join(map(_words, found)), {"members": told})


_ACTS: "Final[Mapping[str, Callable[[Messenger, bytes, str], Awaitable[Done]]]]" = {
    "add": _add,
    "remove": _remove,
    "leave": _leave,
    "rename": _rename,
    "admin": _admin,
    "renew": _renew,
    "members": _members,
}


def _words(member: "GroupMember") -> str:
    said = ["admin"] if member.is_admin else []
    if member.is_me:
        said.append("you")
    else:
        said.append("verified" if member.is_verified else "not verified")
        if not member.is_reachable:
            said.append("not reachable yet")
    return f"{note_words(member.name)}: {', '.join(said)}"


def _pieces(rest: str) -> list[str]:
    """What stands before the first `@`, and each name behind one; names may have spaces."""
    return [each.strip() for each in f" {rest}".split(" @")]


def _people(rest: str) -> list[str]:
    before, *people = _pieces(rest)
    if before and not people:
        people = [before]  # one of them, without its @
    elif before or not people:
        raise UsageError("expected @NAME, or several, got another word")
    return people


async def _contact(messenger: "Messenger", wanted: str) -> bytes:
    there = [each for each in await messenger.contacts() if not (each.is_notes or each.is_group)]
    return _picked([(each.name, each.contact) for each in there], wanted, "a contact")


async def _member(messenger: "Messenger", group: bytes, wanted: str) -> "GroupMember":
    found = {each.contact: each for each in await messenger.groups.members(group)}
    named = [(each.name, each.contact) for each in found.values() if not each.is_me]
    return found[_picked(named, wanted, "a member")]


def _picked(there: Sequence[tuple[str, bytes]], wanted: str, what: str) -> bytes:
    """The one of that name, or of that beginning of a fingerprint."""
    name = wanted.casefold()
    found = [contact for each, contact in there if each.casefold() == name]
    if not found and len(name) >= LEAST_FINGERPRINT:
        found = [contact for _, contact in there if contact.hex().startswith(name)]
    if len(found) != 1:
        raise UsageError(
            f"expected the name of {what}, got {note_words(wanted[:40])!r}, which is that of "
            f"{len(found)}",
            hint="/contacts lists contacts, /group members the members.",
        )
    return found[0]
