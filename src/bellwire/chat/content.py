"""What a message says, apart from how it is protected.

A content has two parts: what it is about (kind, id, time, what it refers to), and its text. The
text is what goes under one-time pad, byte by byte; the rest is sealed beside it and covered by the
same one-time tag, so that no pad is spent on it. Texts over `PART_BYTES`, or longer than what any
pad has left, travel as several parts of one id. Layouts are in spec/chat.md, 5.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from bellwire.chat.errors import ChatMisuse, ContentMalformed

ID_BYTES: Final = 16
VIEW_BYTES: Final = 36
"""Number and hash of a group's roster: by which of them its author took the group."""

PART_BYTES: Final = 6144
"""Text of one part: with everything else it fits the largest payload, also that of an opening."""

MAX_TEXT_BYTES: Final = 65_536
MAX_PARTS: Final = -(-MAX_TEXT_BYTES // PART_BYTES)
MAX_PADDED_BYTES: Final = 65_536
"""The largest file that travels inside a message; larger ones come in chunks."""

MAX_NAME_BYTES: Final = 255
CHUNK_BYTES: Final = 12_288
"""Of a file, in one payload of the largest size."""

CHUNK_TEXT_BYTES: Final = 4 + CHUNK_BYTES + 16
MAX_TIMER_S: Final = 365 * 86_400

_HEAD: Final = struct.Struct(">BB16sQ")
_TIMER: Final = struct.Struct(">I")
_PART: Final = struct.Struct(">BB")


class ContentKind(IntEnum):
    """What a content is.

    TEXT and EDIT have words; REPLY has words about `target`; DELETE takes `target` back for both;
    TIMER has messages disappear after `timer_s` (0: never again). DELIVERED and READ have ids of
    messages, joined; TYPING has nothing; PAD_OFFER names keys that become a pad; REFUSED has the id
    of a message that the receiver's policy did not take, or whose pad had served before. CARD says
    how we are reached; ABORTED has the ids of sessions that gave no pad, so that a message was not
    sent. PAD_LOST has the ids of a message and of its pad, which the receiver can never have.

    FILE has a file with its name, FILE_KEY the key of one that comes in chunks. Of the one that the
    message `target` has, CHUNK is a chunk; ASK names those that are wanted, or none once all are
    here; STOP ends it.

    Of a group (`chat.roster`): ROSTER is who is in it, ROSTER_ASK has the number of the newest one
    that the asker knows, INTRODUCTION is a contact link from one member to another, LEFT says by
    the same number that its sender is in it no more.

    RENEW has keys for a new session, of somebody who cannot open what comes on this one.
    """

    TEXT = 1
    REPLY = 2
    EDIT = 3
    DELETE = 4
    TIMER = 5
    FILE = 6
    FILE_KEY = 7
    DELIVERED = 16
    READ = 17
    TYPING = 18
    PAD_OFFER = 19
    REFUSED = 20
    CARD = 21
    ABORTED = 22
    PAD_LOST = 23
    CHUNK = 24
    ASK = 25
    STOP = 26
    ROSTER = 27
    ROSTER_ASK = 28
    INTRODUCTION = 29
    LEFT = 30
    RENEW = 31

    @property
    def is_padded(self) -> bool:
        """Whether it is one of those that one-time pad is for: words, and what changes them."""
        return self < ContentKind.DELIVERED


_NEEDS_TARGET: Final = frozenset(
    {
        ContentKind.REPLY,
        ContentKind.EDIT,
        ContentKind.DELETE,
        ContentKind.CHUNK,
        ContentKind.ASK,
        ContentKind.STOP,
    }
)
OF_GROUPS: Final = frozenset(
    {
        ContentKind.ROSTER,
        ContentKind.ROSTER_ASK,
        ContentKind.INTRODUCTION,
        ContentKind.LEFT,
    }
)
"""What is said about a group, not in it."""

_MAY_HAVE_GROUP: Final = OF_GROUPS | {ContentKind.TYPING}

_HAS_PARTS: Final = frozenset(
    {
        ContentKind.TEXT,
        ContentKind.REPLY,
        ContentKind.EDIT,
        ContentKind.FILE,
        ContentKind.ROSTER,
        ContentKind.INTRODUCTION,
        ContentKind.RENEW,
    }
)
_HAS_WORDS: Final = frozenset({ContentKind.TEXT, ContentKind.REPLY, ContentKind.EDIT})
_HAS_IDS: Final = frozenset(
    {ContentKind.DELIVERED, ContentKind.READ, ContentKind.REFUSED, ContentKind.ABORTED}
)
_HAS_NOTHING: Final = frozenset(
    {ContentKind.DELETE, ContentKind.TIMER, ContentKind.TYPING, ContentKind.STOP}
)

_NUMBERED: Final = frozenset({ContentKind.ROSTER_ASK, ContentKind.LEFT})
_MAY_HAVE_TIMER: Final = frozenset(
    {
        ContentKind.TEXT,
        ContentKind.REPLY,
        ContentKind.EDIT,
        ContentKind.FILE,
        ContentKind.FILE_KEY,
        ContentKind.TIMER,
    }
)
_LIMITS: Final = {
    ContentKind.FILE: 1 + MAX_NAME_BYTES + MAX_PADDED_BYTES,
    ContentKind.FILE_KEY: 72 + MAX_NAME_BYTES,
    ContentKind.CHUNK: CHUNK_TEXT_BYTES,
}


@dataclass(frozen=True, slots=True)
class Content:
    """One content, or one part of a long one.

    Attributes:
        kind: What it is.
        content_id: 16 bytes, random; all parts of a content share it.
        sent_ms: The sender's clock, milliseconds since the epoch.
        text: At most `MAX_TEXT_BYTES`, of a part `PART_BYTES`; of files more (spec/chat.md, 8).
            Words are UTF-8. Secret.
        group: Id of the group it was said in, 16 bytes; each member gets a message of their own.
        target: Id of the message it refers to, 16 bytes.
        timer_s: After how many seconds the message disappears, once read.
        part: Which part this is, from 0.
        parts: Of how many.
        view: Of what is said in a group: number 4 ‖ hash 32 of the roster that its author went by.

    Raises:
        ChatMisuse: something is out of its bounds, or does not go with the kind.
    """

    kind: ContentKind
    content_id: bytes
    sent_ms: int
    text: bytes = b""
    group: bytes | None = None
    target: bytes | None = None
    timer_s: int | None = None
    part: int = 0
    parts: int = 1
    view: bytes | None = None

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault:
            raise ChatMisuse(f"{self.kind.name.lower()}: expected {fault}, got another content")

    def __repr__(self) -> str:
        return f"Content({self.kind.name}, {len(self.text)} bytes)"

    def encode_head(self) -> bytes:
        """Everything but the text; it says itself where it ends."""
        flags = (
            (self.group is not None)
            | (self.target is not None) << 1
            | (self.timer_s is not None) << 2
            | (self.parts > 1) << 3
            | (self.view is not None) << 4
        )
        head = _HEAD.pack(self.kind, flags, self.content_id, self.sent_ms)
        head += (self.group or b"") + (self.view or b"") + (self.target or b"")
        if self.timer_s is not None:
            head += _TIMER.pack(self.timer_s)
        return head + (_PART.pack(self.part, self.parts) if self.parts > 1 else b"")


def decode(head: bytes, text: bytes) -> Content:
    """The content of an authentic message.

    Raises:
        ContentMalformed: it is none of this version, or its text does not go with it.
    """
    try:
        kind, flags, content_id, sent_ms = _HEAD.unpack_from(head)
        at = _HEAD.size
        group = view = target = timer_s = None
        part, parts = 0, 1
        if flags & 1:
            group, at = head[at : at + ID_BYTES], at + ID_BYTES
        if flags & 16:
            view, at = head[at : at + VIEW_BYTES], at + VIEW_BYTES
        if flags & 2:
            target, at = head[at : at + ID_BYTES], at + ID_BYTES
        if flags & 4:
            (timer_s,) = _TIMER.unpack_from(head, at)
            at += _TIMER.size
        if flags & 8:
            part, parts = _PART.unpack_from(head, at)
            at += _PART.size
        content = Content(
            ContentKind(kind), content_id, sent_ms, text, group, target, timer_s, part, parts, view
        )
    except (struct.error, ValueError, ChatMisuse) as error:
        raise ContentMalformed("expected a content of this version, got another") from error
    # There is one way to write a content, so that nothing hides in another.
    if content.encode_head() != head:
        raise ContentMalformed("expected a content as this version writes it, got another")
    return content


def id_of(head: bytes) -> bytes | None:
    """The id in a head whose text could not be read; None if it is no head."""
    return _HEAD.unpack_from(head)[2] if len(head) >= _HEAD.size else None


def split(content: Content, sizes: Sequence[int] | None = None) -> list[Content]:
    """The parts in which a content of any permitted length travels; they may cut a character.

    Args:
        content: Whole.
        sizes: Bytes of text of each part, as `cut_along` gives them; None: all but the last have
            `PART_BYTES`.
    """
    text = content.text
    if content.kind is ContentKind.CHUNK:
        return [content]
    if sizes is None:
        sizes = [min(PART_BYTES, len(text) - at) for at in range(0, len(text), PART_BYTES)] or [0]
    parts, at = [], 0
    for number, size in enumerate(sizes):
        part = replace(content, text=text[at : at + size], part=number, parts=len(sizes))
        parts.append(part)
        at += size
    return parts


def cut_along(content: Content, rooms: Sequence[int], least: int) -> list[int] | None:
    """How to cut a content whose parts go under several pads, each used up before the next.

    Args:
        content: Whole.
        rooms: Bytes of text for which each pad has room, in the order in which pads serve.
        least: Bytes of room that each part after a pad's first takes beside its text.

    Returns:
        Bytes of text of each part; None if it goes as `split` has it by itself, or does not fit.
    """
    left = len(content.text)
    whole = left <= PART_BYTES and max(rooms, default=0) >= left
    if whole or content.kind not in _HAS_PARTS:
        return None
    sizes = []
    for each in rooms:
        room = each
        while left and room > 0:
            size = min(room, left, PART_BYTES)
            sizes.append(size)
            left -= size
            room -= size + least
    return None if left or len(sizes) > MAX_PARTS else sizes


def join(parts: Sequence[Content]) -> Content:
    """The whole content, from all its parts in any order.

    Raises:
        ContentMalformed: a part is missing or of another content, or words are not UTF-8.
    """
    ordered = sorted(parts, key=lambda each: each.part)
    first = ordered[0]
    alike = {replace(each, text=b"", part=0) for each in ordered}
    if [each.part for each in ordered] != list(range(first.parts)) or len(alike) != 1:
        raise ContentMalformed("expected all parts of one content, got others")
    text = b"".join(each.text for each in ordered)
    try:
        return replace(first, text=text, part=0, parts=1)
    except ChatMisuse as error:
        raise ContentMalformed("expected words in UTF-8, got other bytes") from error


def _fault(content: Content) -> str | None:
    """What is wrong with a content, as what would be right."""
    kind, text = content.kind, content.text
    ids = [content.content_id, content.group, content.target]
    limit = PART_BYTES if content.parts > 1 else _LIMITS.get(kind, MAX_TEXT_BYTES)
    checks = {
        f"ids of {ID_BYTES} bytes": all(each is None or len(each) == ID_BYTES for each in ids),
        "a time in milliseconds": 0 <= content.sent_ms < 1 << 64,
        "a target exactly where one is needed": (kind in _NEEDS_TARGET)
        == (content.target is not None),
        "a timer of at most a year": 0 <= (content.timer_s or 0) <= MAX_TIMER_S,
        "a timer where words are, or are to come": content.timer_s is None
        or kind in _MAY_HAVE_TIMER,
        "a group where one is meant": (kind not in OF_GROUPS or content.group is not None)
        and (content.group is None or kind in _MAY_HAVE_GROUP or kind.is_padded),
        f"a roster's number and hash, {VIEW_BYTES} bytes, with what is said in a group": (
            content.view is not None
        )
        == (content.group is not None and kind.is_padded)
        and len(content.view or bytes(VIEW_BYTES)) == VIEW_BYTES,
        "a roster's number": kind not in _NUMBERED or len(text) == 4,
        "a timer": kind is not ContentKind.TIMER or content.timer_s is not None,
        f"part of 1 to {MAX_PARTS}": 0 <= content.part < content.parts <= MAX_PARTS,
        "one part where there are no words": content.parts == 1 or kind in _HAS_PARTS,
        f"a text of at most {limit} bytes": len(text) <= limit,
        "no text": kind not in _HAS_NOTHING or not text,
        f"ids of {ID_BYTES} bytes each": kind not in _HAS_IDS
        or (len(text) >= ID_BYTES and len(text) % ID_BYTES == 0),
        "the ids of a message and of its pad": kind is not ContentKind.PAD_LOST
        or len(text) == 2 * ID_BYTES,
        "words in UTF-8": kind not in _HAS_WORDS or content.parts > 1 or _is_utf8(text),
    }
    return next((what for what, holds in checks.items() if not holds), None)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
