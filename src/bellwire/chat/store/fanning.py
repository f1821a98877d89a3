"""How what is said in a group counts: a copy for each member, and what may be taken of others.

Everything here happens within the transaction in which the message was opened or said. A copy is an
ordinary message between two people, with a pad, states and records of its own; it names the group,
and the roster by which its author said it. Source: spec/chat.md, 9.

`now` is in seconds since the epoch.
"""

import hmac
import os
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bellwire.chat.attachment import read_file_key
from bellwire.chat.content import ID_BYTES, Content, ContentKind
from bellwire.chat.errors import ContentMalformed, GroupRefused, GroupUnusable
from bellwire.chat.pads import Policy
from bellwire.chat.roster import (
    Roster,
    check_first,
    check_follows,
    check_id,
    forked,
    number_of,
    read_roster,
)
from bellwire.chat.session import Protection
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.files import FileState
from bellwire.chat.store.groups import Group
from bellwire.chat.store.messages import State
from bellwire.chat.store.work import NO_PROTECTION, Work, receipt

MAX_ROSTERS: Final = 16
"""That one question for them is answered with."""

NONE_KNOWN: Final = (1 << 32) - 1
"""In the place of a number, by whom no roster of a group has reached."""

MAX_IN_OUTBOX: Final = 128
"""With so many payloads for a member in the outbox, nothing is passed on to them."""


class Verdict(Enum):
    """What becomes of something said in a group: shown, or kept until its roster is here."""

    TAKE = "take"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of something that was said about a group.

    Attributes:
        is_new: Whether it changed anything.
        released: What waited for it, and may be shown now.
    """

    is_new: bool
    released: tuple[tuple[bytes, Content, Protection], ...] = ()


# What we say


def say(work: Work, me: bytes, content: Content) -> list[bytes]:
    """Keep what we say in a group, and a copy for each other member; to whom something goes now.

    Args:
        work: The transaction.
        me: Our fingerprint.
        content: With group and roster.

    Raises:
        GroupUnusable: we are not in it, or nobody else is.
    """
    others = others_in(work, me, _group(content))
    now = content.sent_ms / 1000
    work.apply(work.contacts.get(me), content, NO_PROTECTION, now, ours=True)
    if content.kind is ContentKind.DELETE and content.target is not None:
        return [each for each in others if _take_back(work, each, content)]
    return [each for each in others if _copy(work, me, each, content)]


def say_typing(work: Work, me: bytes, group: bytes, now: float) -> bool:
    """Say to the other members of a group that we type; whether there was anybody to tell.

    It is only true now: whoever has not got what we said before is not told.
    """
    told = False
    for each in others_in(work, me, group):
        if is_reachable(work, each) and not work.has_unsent(each):
            tell(work, work.contacts.get(each), about(ContentKind.TYPING, group, b"", now))
            told = True
    return told


def types(work: Work, me: bytes, author: bytes, group: bytes) -> bool:
    """Whether it is shown that somebody types in a group: to members, of members."""
    kept = work.groups.get(group)
    return kept is not None and kept.has(me) and kept.has(author)


def others_in(work: Work, me: bytes, group: bytes) -> list[bytes]:
    """Who else is in a group now and is heard by us; GroupUnusable if we or they are not."""
    kept = member_of(work, me, group)
    others = [each for each in kept.active() if each != me and not work.strangers.is_blocked(each)]
    if not others:
        raise GroupUnusable("expected somebody else in the group, got nobody")
    return others


def member_of(work: Work, me: bytes, group: bytes) -> Group:
    """A group that we are in; GroupUnusable."""
    kept = work.groups.get(group)
    if kept is None or not kept.has(me):
        raise GroupUnusable("expected a group that we are in, got one that we are not")
    return kept


def catch_up(work: Work, me: bytes, member: bytes) -> bool:
    """There is a way to a member now: what waited for it goes; whether there was anything."""
    contents = work.groups.take_unsent(member)
    for content in contents:
        kept = work.groups.get(_group(content))
        if kept is not None and kept.has(me) and kept.has(member):
            _copy(work, me, member, content)
    return bool(contents)


def is_reachable(work: Work, member: bytes) -> bool:
    """Whether there is a way to write to somebody."""
    route = work.routes.get(member)
    known = work.contacts.knows(member) and not work.strangers.has(member)
    return known and route is not None and route.card is not None and bool(work.sessions.of(member))


def _copy(work: Work, me: bytes, member: bytes, content: Content) -> bool:
    """Have a copy wait for its pad, or for a way to the member; whether it can go."""
    if not is_reachable(work, member):
        work.groups.put_unsent(member, content)
        return False
    known, now = work.contacts.get(member), content.sent_ms / 1000
    if content.kind is ContentKind.FILE_KEY:
        source = work.files.get(me, content.content_id, ours=True)
        if source is None:
            return False  # it was taken back
        about = read_file_key(content.text)
        work.files.add(
            member, content.content_id, about, FileState.COMING, ours=True, source=source.file
        )
    state = State.WAITING
    work.apply(known, content, NO_PROTECTION, now, ours=True, state=state, copy=True)
    work.waiting.add(member, content)
    return True


def _take_back(work: Work, member: bytes, content: Content) -> bool:
    """Take a member's copy back; whether they must be told."""
    assert content.target is not None
    group = _group(content)
    if work.waiting.remove(member, content.target):
        work.history.delete(member, content.target, ours=True, group=group)
        return False
    if work.history.entry(member, content.target, ours=True) is None:
        work.groups.drop_unsent(group, content_id=content.target)
        return False
    return _copy(work, member, member, content)


# What others say


def judge(work: Work, me: bytes, author: bytes, content: Content) -> Verdict:
    """Whether something that was said in a group may be shown.

    Raises:
        GroupRefused: its author is not in the group, or we are not, or its roster is another than
            ours of that number.
    """
    assert content.view is not None
    group = _group(content)
    check_id(group, author, content.content_id)
    kept = work.groups.get(group)
    number = number_of(content.view)
    if kept is None or number > kept.roster.number:
        return Verdict.HOLD
    known = work.groups.roster(group, number)
    if known is not None and not hmac.compare_digest(known.view, content.view):
        raise forked()
    if not kept.has(me):
        raise GroupRefused(
            "expected a group that we are in, got one that we are not", content.content_id
        )
    if not kept.has(author):
        raise GroupRefused(
            "expected words of a member of the group, got those of another", content.content_id
        )
    return Verdict.TAKE


def take(work: Work, me: bytes, known: Contact, content: Content, now: float) -> Taken:
    """Do what somebody says about a group.

    Raises:
        GroupRefused: it is not theirs to say.
        ContentMalformed: it says nothing.
    """
    match content.kind:
        case ContentKind.ROSTER:
            return _take_roster(work, me, known, content, now)
        case ContentKind.ROSTER_ASK:
            return Taken(_answer(work, me, known, content, now))
        case ContentKind.INTRODUCTION:
            return Taken(_pass_on(work, me, known, content, now))
        case _:
            return Taken(_left(work, me, known, content))


def ask_for_rosters(work: Work, known: Contact, content: Content, now: float) -> None:
    """Ask who said something by a roster that we lack for those that we lack, now and then."""
    group = _group(content)
    kept = work.groups.get(group)
    if work.groups.may_ask(group, known.contact, now):
        number = NONE_KNOWN if kept is None else kept.roster.number
        text = number.to_bytes(4, "big")
        tell(work, known, about(ContentKind.ROSTER_ASK, group, text, now))


def ask_after(work: Work, me: bytes, known: Contact, now: float) -> None:
    """Ask a member whose words we missed for newer rosters of all groups that we share."""
    for kept in work.groups.all():
        if kept.has(me) and kept.has(known.contact):
            number = kept.roster.number.to_bytes(4, "big")
            tell(work, known, about(ContentKind.ROSTER_ASK, kept.group, number, now))


def accept(work: Work, me: bytes, roster: Roster) -> None:
    """A roster counts from now on: nothing more goes to those who are in the group no more."""
    former = work.groups.get(roster.group)
    work.groups.keep(roster)
    kept = work.groups.get(roster.group)
    if former is None or kept is None:
        return
    for each in former.roster.members:
        if each.contact != me and not kept.has(each.contact):
            withhold(work, roster.group, each.contact)


def withhold(work: Work, group: bytes, member: bytes) -> None:
    """Nothing of what was said in a group, and has not left, goes to somebody any more."""
    work.groups.drop_unsent(group, member=member)
    work.files.stop_copies(group, member)
    work.history.drop_copies(group, member)
    for content_id in work.waiting.drop_group(member, group):
        # What was sealed and is here still does not go either: the ratchet bears the gap.
        work.cursor.execute(
            "DELETE FROM outbox WHERE contact = ? AND content_id = ?", (member, content_id)
        )


def about(kind: ContentKind, group: bytes, text: bytes, now: float) -> Content:
    """Something that is said about a group."""
    return Content(kind, os.urandom(ID_BYTES), int(now * 1000), text, group)


def tell(work: Work, known: Contact, content: Content) -> None:
    """Say something about a group to one contact."""
    work.seal(known, content, Policy.OFF)


def _take_roster(work: Work, me: bytes, known: Contact, content: Content, now: float) -> Taken:
    roster = read_roster(content.text)
    if roster.group != content.group:
        raise ContentMalformed("expected the roster of the group that is named, got another's")
    kept = work.groups.get(roster.group)
    if kept is None:
        check_first(roster, known.contact, me)
    elif roster.number <= kept.roster.number:
        same = work.groups.roster(roster.group, roster.number)
        if same is not None and not hmac.compare_digest(same.digest, roster.digest):
            raise forked()
        return Taken(False)
    elif roster.number > kept.roster.number + 1:
        ask_for_rosters(work, known, content, now)
        return Taken(False)
    else:
        check_follows(kept.roster, roster)
    accept(work, me, roster)
    return Taken(True, tuple(_release(work, me, roster.group, now)))


def _release(
    work: Work, me: bytes, group: bytes, now: float
) -> list[tuple[bytes, Content, Protection]]:
    """What waited for a roster and may be shown now; what never may be is told to its author."""
    found = []
    for each in work.groups.held(group):
        try:
            if judge(work, me, each.contact, each.content) is Verdict.HOLD:
                continue
        except GroupRefused as error:
            if error.content_id is not None and is_reachable(work, each.contact):
                refused = receipt(ContentKind.REFUSED, [error.content_id], now)
                work.seal(work.contacts.get(each.contact), refused)
        else:
            found.append((each.contact, each.content, each.protection))
        work.groups.release(each)
    return found


def _answer(work: Work, me: bytes, known: Contact, content: Content, now: float) -> bool:
    """Give a member the rosters that they lack; they are signed, so that anybody may.

    The first one that they see is the admin's to give.
    """
    group, number = _group(content), int.from_bytes(content.text, "big")
    kept = work.groups.get(group)
    if kept is None or not kept.has(me) or not kept.has(known.contact):
        return False
    if number == NONE_KNOWN:
        if kept.roster.admin.fingerprint != me:
            return False
        number = kept.roster.number - 1
    for each in range(number + 1, min(number + MAX_ROSTERS, kept.roster.number) + 1):
        roster = work.groups.roster(group, each)
        if roster is None:
            break
        tell(work, known, about(ContentKind.ROSTER, group, roster.encode(), now))
    return False


def _left(work: Work, me: bytes, known: Contact, content: Content) -> bool:
    """Somebody is in a group no more, by their own word."""
    group, number = _group(content), int.from_bytes(content.text, "big")
    kept = work.groups.get(group)
    if kept is None or not kept.has(known.contact):
        return False
    if kept.roster.admin.fingerprint == known.contact:
        raise GroupRefused("expected the admin to hand the group over before they leave")
    work.groups.leave(group, known.contact, min(number, kept.roster.number))
    withhold(work, group, known.contact)
    return True


def _pass_on(work: Work, me: bytes, known: Contact, content: Content, now: float) -> bool:
    """A contact link of a member for another: for us, or to be passed on; whether it is for us."""
    group, text = _group(content), content.text
    maker, reader, link = text[:32], text[32:64], text[64:]
    kept = work.groups.get(group)
    if len(text) <= 64 or not link.isascii() or maker == reader:
        raise ContentMalformed("expected an introduction of this version, got another content")
    if kept is None or not all(kept.has(each) for each in (me, known.contact, maker, reader)):
        raise GroupRefused("expected an introduction of members to each other, got another")
    if reader == me:
        if is_reachable(work, maker) or work.strangers.is_blocked(maker):
            return False
        work.groups.introduced(maker, group, link, now)
        return True
    if maker != known.contact:
        raise GroupRefused("expected a member's own link to pass on, got another's")
    (waiting,) = work.cursor.execute(
        "SELECT count(*) FROM outbox WHERE contact = ?", (reader,)
    ).fetchone()
    if is_reachable(work, reader) and waiting < MAX_IN_OUTBOX:
        tell(work, work.contacts.get(reader), about(content.kind, group, text, now))
    return False


def _group(content: Content) -> bytes:
    assert content.group is not None  # what is said in or about a group names it
    return content.group
