"""What the store has, as what a screen shows."""

from typing import Final

from bellwire.chat.content import CHUNK_BYTES, MAX_PADDED_BYTES
from bellwire.chat.messenger.views import (
    PAD_MESSAGE_BYTES,
    Attachment,
    AttachmentState,
    Conversation,
    Line,
    LineState,
    Mode,
)
from bellwire.chat.pads import OVERHEAD_BYTES
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.files import FileState
from bellwire.chat.store.messages import Entry, State
from bellwire.chat.store.work import Work

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


def line_of(work: Work, entry: Entry) -> Line:
    """A message of the history, as a line."""
    state = _STATES[entry.state]
    if not entry.ours and entry.state < State.READ:
        state = LineState.RECEIVED
    return Line(
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


def _attachment(work: Work, entry: Entry) -> Attachment | None:
    if not entry.is_file:
        return None
    kept = work.files.get(entry.contact, entry.content_id, ours=entry.ours)
    if kept is None:
        return None
    whole = kept.state in {FileState.WHOLE, FileState.SAVED}
    done = kept.size if whole else min(kept.size, kept.came * CHUNK_BYTES)
    chunked = kept.size > MAX_PADDED_BYTES
    return Attachment(kept.about.name, kept.size, done, _FILES[kept.state], chunked)


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
