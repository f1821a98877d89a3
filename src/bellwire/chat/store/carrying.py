"""How attachments count: what is kept of them, and which chunks go when somebody asks.

The receiver asks for what it lacks, a window at a time, and the sender gives what was asked for,
durable in its outbox together with the question. So neither side keeps a place, and whatever dies
in between, nothing that is here is sent again but what was on its way.

`now` is in seconds since the epoch.
"""

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bellwire.chat.attachment import (
    MAX_ASKED,
    FileKey,
    ask_text,
    chunk_text,
    open_chunk,
    read_ask_text,
    read_chunk_text,
    read_file_key,
    read_small_file,
    safe_name,
)
from bellwire.chat.content import ID_BYTES, Content, ContentKind
from bellwire.chat.pads import Policy
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.files import FileState, KeptFile

if TYPE_CHECKING:
    from bellwire.chat.store.work import Work

ATTACHING: Final = frozenset(
    {
        ContentKind.FILE,
        ContentKind.FILE_KEY,
        ContentKind.CHUNK,
        ContentKind.ASK,
        ContentKind.STOP,
    }
)
"""All that attachments are said by; nobody is heard by it who waits to be accepted."""

ASK_NEXT: Final = 32
"""Chunks that are asked for at once, as soon as no more than so many are on their way."""

MAX_IN_OUTBOX: Final = 2 * MAX_ASKED
"""With so many payloads for a contact in the outbox, questions for more are not answered."""

TOLD_EVERY: Final = 16
"""Chunks after which a change is told of."""


def keep_file(work: "Work", known: Contact, content: Content, now: float, *, ours: bool) -> str:
    """Know of the attachment that a message is, and ask for it if it is theirs; its name."""
    contact, file_id = known.contact, content.content_id
    if content.kind is ContentKind.FILE:
        name, data = read_small_file(content.text)
        name = safe_name(name)
        if ours:
            about = FileKey(bytes(32), hashlib.sha256(data).digest(), len(data), name)
            work.files.add(contact, file_id, about, FileState.WHOLE, ours=True)
        else:
            work.files.add_whole(contact, file_id, name, data)
        return name
    about = read_file_key(content.text)
    about = replace(about, name=safe_name(about.name))
    if ours:
        return about.name  # it was kept with its chunks
    has_room = work.files.has_room(contact, about.size)
    state = FileState.COMING if has_room else FileState.STOPPED
    if work.files.add(contact, file_id, about, state, ours=False):
        kept = work.files.get(contact, file_id, ours=False)
        assert kept is not None
        if state is FileState.COMING:
            ask(work, known, kept, [(0, min(MAX_ASKED, kept.chunks))], now)
        else:
            _say(work, known, ContentKind.STOP, file_id, b"", now)
    return about.name


def ask(
    work: "Work", known: Contact, kept: KeptFile, ranges: list[tuple[int, int]], now: float
) -> None:
    """Ask for chunks of a file of theirs; for none: say that all are here."""
    _say(work, known, ContentKind.ASK, kept.file_id, ask_text(ranges), now)
    if ranges:
        work.files.reached(kept, asked=sum(ranges[-1]))


def carry(work: "Work", known: Contact, content: Content, now: float) -> bool:
    """Do what the other side says of an attachment; whether there is something to tell."""
    match content.kind:
        case ContentKind.CHUNK:
            return _take_chunk(work, known, content, now)
        case ContentKind.ASK:
            return _give_chunks(work, known, content, now)
        case _:
            return _stop(work, known, content)


def _take_chunk(work: "Work", known: Contact, content: Content, now: float) -> bool:
    """Keep a chunk of a file of theirs, and ask on; whether there is something to tell."""
    kept = work.files.get(known.contact, _target(content), ours=False)
    if kept is None or kept.state is not FileState.COMING:
        return False
    number, sealed = read_chunk_text(content.text)
    open_chunk(kept.about.key, kept.file_id, kept.size, number, sealed)
    if not work.files.put(kept, number, sealed):
        return False
    came = kept.came + 1
    if came == kept.chunks:
        if work.files.is_right(kept):
            work.files.settle(kept, FileState.WHOLE, keep=True)
            ask(work, known, kept, [], now)
        else:
            work.files.settle(kept, FileState.STOPPED)
            _say(work, known, ContentKind.STOP, kept.file_id, b"", now)
    elif kept.asked < kept.chunks and kept.asked - came <= ASK_NEXT:
        ask(work, known, kept, [(kept.asked, min(ASK_NEXT, kept.chunks - kept.asked))], now)
    return came % TOLD_EVERY == 0 or came == kept.chunks


def _give_chunks(work: "Work", known: Contact, content: Content, now: float) -> bool:
    """Send the chunks of a file of ours that are asked for; whether there is something to tell."""
    file_id = _target(content)
    kept = work.files.get(known.contact, file_id, ours=True)
    if kept is None or kept.state in {FileState.STOPPED, FileState.ELSEWHERE}:
        _say(work, known, ContentKind.STOP, file_id, b"", now)
        return False
    if kept.state is not FileState.COMING:
        return False
    numbers = read_ask_text(content.text, kept.chunks)
    if not numbers:
        work.files.reached(kept, came=kept.chunks)
        work.files.settle(kept, FileState.WHOLE)
        return True
    (waiting,) = work.cursor.execute(
        "SELECT count(*) FROM outbox WHERE contact = ?", (known.contact,)
    ).fetchone()
    if waiting > MAX_IN_OUTBOX or work.sessions.begins(known.contact):
        return False  # they ask again
    for number in numbers:
        text = chunk_text(number, work.files.chunk(kept, number))
        _say(work, known, ContentKind.CHUNK, file_id, text, now)
    # What is asked for next says that all but a window is there.
    work.files.reached(kept, came=max(0, max(numbers) + 1 - MAX_ASKED), asked=max(numbers) + 1)
    return True


def _stop(work: "Work", known: Contact, content: Content) -> bool:
    """The other side will not give, or not take, a file."""
    stopped = False
    for ours in (True, False):
        kept = work.files.get(known.contact, _target(content), ours=ours)
        if kept is not None and kept.state is FileState.COMING:
            work.files.settle(kept, FileState.STOPPED)
            stopped = True
    return stopped


def _say(  # noqa: PLR0917 - in the order of a content
    work: "Work", known: Contact, kind: ContentKind, target: bytes, text: bytes, now: float
) -> None:
    content = Content(kind, os.urandom(ID_BYTES), int(now * 1000), text, target=target)
    work.seal(known, content, Policy.OFF)


def _target(content: Content) -> bytes:
    assert content.target is not None  # these kinds have one
    return content.target
