"""What the store has, as what a screen shows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bellwire.chat.content import CHUNK_BYTES, MAX_PADDED_BYTES
from bellwire.chat.messenger.views import (
    PAD_MESSAGE_BYTES,
    Attachment,
    AttachmentState,
    Conversation,
    Copy,
    Line,
    LineState,
    Mode,
)
from bellwire.chat.pads import OVERHEAD_BYTES, Policy
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.fanning import is_reachable
from bellwire.chat.store.files import FileState, KeptFile
from bellwire.chat.store.groups import Group
from bellwire.chat.store.messages import Entry, State
from bellwire.chat.store.work import NO_PROTECTION, Work

_STATES: Final = {
    State.WAITING: LineState.WAITING,
    State.NOT_SENT: LineState.NOT_SENT,
    State.QUEUED: LineState.QUEUED,
    State.SENT: LineState.SENT,
    State.DELIVERED: LineState.DELIVERED,
    State.READ: LineState.READ,
    State.REFUSED: LineState.REFUSED,
    State.DELETED: LineState.DELETED,
}


_FILES: Final = {
    FileState.COMING: AttachmentState.COMING,
    FileState.WHOLE: AttachmentState.HERE,
    FileState.SAVED: AttachmentState.SAVED,
    FileState.STOPPED: AttachmentState.STOPPED,
    FileState.ELSEWHERE: AttachmentState.ELSEWHERE,
}


_LEAST_FIRST: Final = (
    LineState.NOT_SENT,
    LineState.WAITING,
    LineState.QUEUED,
    LineState.REFUSED,
    LineState.SENT,
    LineState.DELIVERED,
    LineState.READ,
    LineState.DELETED,
)
"""How far copies have come: a message in a group is where the least of its copies is."""

_POLICIES: Final = (Policy.OFF, Policy.PREFER, Policy.REQUIRE)


def line_of(work: Work, entry: Entry) -> Line:
    """A message of the history, as a line."""
    state = _STATES[entry.state]
    if not entry.ours and entry.state < State.READ:
        state = LineState.RECEIVED
    line = Line(
        entry.number,
        entry.contact,
        entry.content_id,
        entry.ours,
        entry.text,
        entry.sent_ms,
        state,
        entry.why,
        entry.target,
        entry.edited,
        entry.protection,
        _attachment(work, entry),
        entry.brought,
    )
    if entry.group is None:
        return line
    if not entry.ours:
        name = work.contacts.get(entry.contact).name
        return replace(line, contact=entry.group, author=entry.contact, author_name=name)
    copies = _copies(work, entry.group, entry.content_id)
    line = replace(line, contact=entry.group, copies=copies)
    if not copies or line.state is LineState.DELETED:
        return line
    least = min(copies, key=lambda each: _LEAST_FIRST.index(each.state))
    sealed = [each for each in copies if each.state not in {LineState.WAITING, LineState.NOT_SENT}]
    weakest = min(sealed or copies, key=lambda each: each.protection.is_one_time)
    return replace(line, state=least.state, why=least.why, protection=weakest.protection)


def _copies(work: Work, group: bytes, content_id: bytes) -> tuple[Copy, ...]:
    found = [
        Copy(
            each.contact,
            work.contacts.get(each.contact).name,
            _STATES[each.state],
            each.why,
            each.protection,
        )
        for each in work.history.copies(group, content_id)
    ]
    why = "there is no way to them yet"
    found += [
        Copy(each, each.hex()[:16], LineState.WAITING, why, NO_PROTECTION)
        for each in work.groups.unsent(group, content_id)
    ]
    return tuple(found)


def _attachment(work: Work, entry: Entry) -> Attachment | None:
    if not entry.is_file:
        return None
    kept = work.files.get(entry.contact, entry.content_id, ours=entry.ours)
    if kept is None:
        return None
    state = kept.state
    done = _done(kept)
    copies = work.files.copies(kept)
    if copies:  # as far as the member who has least of it
        done = min(_done(each) for each in copies)
        state = min((each.state for each in copies), key=_BY_MEMBERS.index)
    chunked = kept.size > MAX_PADDED_BYTES
    return Attachment(kept.about.name, kept.size, done, _FILES[state], chunked)


_BY_MEMBERS: Final = (FileState.COMING, FileState.WHOLE, FileState.SAVED, FileState.STOPPED)


def _done(kept: KeptFile) -> int:
    whole = kept.state in {FileState.WHOLE, FileState.SAVED}
    return kept.size if whole else min(kept.size, kept.came * CHUNK_BYTES)


def group_conversation(
    work: Work, group: Group, me: bytes, typists: Sequence[bytes] = ()
) -> Conversation:
    """A group, as an entry of the list; with who types in it."""
    latest = work.history.latest(group.group, 1)
    others = [each for each in group.active() if each != me]
    known = [work.contacts.get(each) for each in others if work.contacts.knows(each)]
    left = min((work.shelf(each.contact).left()[0] for each in known), default=0)
    is_fresh = all(each.mode == Mode.FRESH.value for each in known)
    return Conversation(
        group.group,
        group.roster.name,
        False,
        work.history.unread(group.group),
        line_of(work, latest[0]) if latest else None,
        left,
        left // (PAD_MESSAGE_BYTES + OVERHEAD_BYTES),
        min((each.policy for each in known), key=_POLICIES.index, default=Policy.PREFER),
        Mode.FRESH if is_fresh else Mode.POOL,
        len(known) == len(others) and all(each.verified for each in known),
        group.timer_s,
        bool(typists),
        all(is_reachable(work, each) for each in others),
        len(group.roster.members),
        group.has(me),
        tuple(work.contacts.get(each).name for each in typists if work.contacts.knows(each)),
    )


def conversation(work: Work, known: Contact, me: bytes, is_typing: bool) -> Conversation:
    """A contact, as an entry of the list."""
    contact = known.contact
    latest = work.history.latest(contact, 1)
    left, _ = work.shelf(contact).left()
    route = work.routes.get(contact)
    is_notes = contact == me
    reachable = route is not None and route.card is not None and bool(work.sessions.of(contact))
    return Conversation(
        contact,
        known.name,
        is_notes,
        work.history.unread(contact),
        line_of(work, latest[0]) if latest else None,
        left,
        left // (PAD_MESSAGE_BYTES + OVERHEAD_BYTES),
        known.policy,
        Mode(known.mode),
        known.verified,
        known.timer_s,
        is_typing,
        is_notes or reachable,
    )
