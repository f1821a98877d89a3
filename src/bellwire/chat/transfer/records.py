"""What a file of history has: whose it is, whom they know, what was said, and an end that counts.

Nothing in it is a key: no identity's, session's, pad's or mailbox's, and no mark that safety
numbers were compared. Lengths and numbers are bounded here, so that what is read can be kept.

Source: spec/history.md, 3.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.chat.attachment import MAX_FILE_BYTES
from bellwire.chat.content import ID_BYTES, MAX_PARTS, MAX_TIMER_S, ContentKind
from bellwire.chat.errors import HistoryRefused
from bellwire.chat.identity import FINGERPRINT_BYTES, PUBLIC_BYTES
from bellwire.etsi014.record import SessionRecord

MAX_PEOPLE: Final = 20_000
MAX_MESSAGES: Final = 1_000_000
MAX_SESSIONS: Final = 2 * MAX_PARTS
"""Pads of one message, and so the sessions that gave them."""

_Time = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_Fingerprint = Annotated[bytes, Meta(min_length=FINGERPRINT_BYTES, max_length=FINGERPRINT_BYTES)]
_Id = Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
_Name = Annotated[str, Meta(min_length=1, max_length=240)]
_Source = Annotated[str, Meta(max_length=256)]


class _Record(msgspec.Struct, frozen=True, array_like=True):
    """Shows nothing of what was said."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class About(_Record, frozen=True, tag="about"):
    """The first record.

    Attributes:
        owner: Fingerprint of the identity of the device that exports; stands for notes to oneself.
        made_ms: When, in milliseconds since the epoch.
    """

    owner: _Fingerprint
    made_ms: _Time


class Somebody(_Record, frozen=True, tag="somebody"):
    """Somebody whom the owner knows, before anything that was said with them.

    Attributes:
        identity: Public, 1984 bytes.
        name: What the owner calls them.
        policy: Of pad.
        mode: Where pads come from.
        timer_s: After which new messages disappear; 0: they stay.
        is_blocked: Whether they are not heard.
    """

    identity: Annotated[bytes, Meta(min_length=PUBLIC_BYTES, max_length=PUBLIC_BYTES)]
    name: _Name
    policy: Annotated[str, Meta(pattern=r"\A(require|prefer|off)\Z")]
    mode: Annotated[str, Meta(pattern=r"\A(pool|fresh)\Z")]
    timer_s: Annotated[int, Meta(ge=0, le=MAX_TIMER_S)]
    is_blocked: bool


class Said(_Record, frozen=True, tag="said"):
    """One message, in the order in which the owner has it.

    Attributes:
        contact: With whom: a `Somebody` before, or the owner for notes.
        ours: Whether the owner said it.
        content_id: Its id.
        state: How far it had come: as the history has it, of what left and was not taken back.
        kind: Words, a reply or an attachment (spec/chat.md, 5.5).
        sent_ms: By its sender's clock.
        text: The words, or the name of an attachment.
        group: In which group.
        target: What it replies to.
        timer_s: After which it disappears once it is read.
        gone_at: When it does, in seconds since the epoch; None: its time does not run.
        edited: Whether the words were changed.
        pad_source: Of the pad it was under; None: none.
        pad_bytes: Of pad that it took.
        mixed_source: Of pad that its keys have from a step.
        pad_ids: Names of the pads, by which the sessions are found.
        size: Of an attachment, which itself is not here; else None.
        sessions: For each pad, the record of the session that gave it; None: it was from stock.
    """

    contact: _Fingerprint
    ours: bool
    content_id: _Id
    state: Annotated[int, Meta(ge=0, le=4)]
    kind: int
    sent_ms: Annotated[int, Meta(ge=0)]
    text: Annotated[str, Meta(max_length=65_536)]
    group: _Id | None
    target: _Id | None
    timer_s: Annotated[int, Meta(ge=1, le=MAX_TIMER_S)] | None
    gone_at: _Time | None
    edited: bool
    pad_source: _Source | None
    pad_bytes: Annotated[int, Meta(ge=0, le=1 << 24)]
    mixed_source: _Source | None
    pad_ids: Annotated[tuple[_Id, ...], Meta(max_length=MAX_SESSIONS)]
    size: Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)] | None
    sessions: Annotated[tuple[SessionRecord | None, ...], Meta(max_length=MAX_SESSIONS)]


class End(_Record, frozen=True, tag="end"):
    """The last record: how many were before it."""

    people: Annotated[int, Meta(ge=0, le=MAX_PEOPLE)]
    messages: Annotated[int, Meta(ge=0, le=MAX_MESSAGES)]


Record = About | Somebody | Said | End
KINDS: Final = frozenset(
    {ContentKind.TEXT, ContentKind.REPLY, ContentKind.FILE, ContentKind.FILE_KEY}
)
_DECODER: Final[msgspec.msgpack.Decoder[Record]] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """As it is in the file."""
    return msgspec.msgpack.encode(record)


def decode(data: bytes) -> Record:
    """Undo `encode`; HistoryRefused."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HistoryRefused("expected records of this version in it, got another") from error
