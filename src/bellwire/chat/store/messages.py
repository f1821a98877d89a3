"""One message as it is kept, and as it is shown: how far it has come, and what there is of it."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import msgspec

from bellwire.chat.content import ContentKind
from bellwire.chat.session import Protection

FILES: Final = frozenset({ContentKind.FILE, ContentKind.FILE_KEY})


class State(IntEnum):
    """How far a message of ours has come; of theirs, whether it was read, or refused by policy.

    WAITING waits for its pad, and NOT_SENT found none; neither was ever sealed.
    """

    WAITING = -2
    NOT_SENT = -1
    QUEUED = 0
    SENT = 1
    DELIVERED = 2
    READ = 3
    REFUSED = 4
    DELETED = 5


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed of a message."""

    kind: int
    sent_ms: int
    text: str
    group: bytes | None
    target: bytes | None
    timer_s: int | None
    edited: bool
    pad_source: str | None
    pad_bytes: int
    mixed_source: str | None
    pad_ids: tuple[bytes, ...] = ()
    why: str | None = None
    brought: bool = False

    def __repr__(self) -> str:
        return "Kept()"


@dataclass(frozen=True, slots=True)
class Entry:
    """One message, for people.

    Attributes:
        number: Its place in the store; later ones are higher.
        contact: With whom.
        ours: Whether we said it.
        content_id: By which receipts, replies and edits name it.
        state: How far it has come.
        text: The words; empty when deleted. Not yet made harmless for a terminal.
        sent_ms: The sender's clock.
        group: In which group it was said.
        target: What it replies to.
        edited: Whether the words were changed later.
        protection: What it was protected by.
        why: Why it was not sent.
        is_file: Whether it is an attachment; its text is the name.
        brought: Whether another device of ours said or heard it, and not this one.
    """

    number: int
    contact: bytes
    ours: bool
    content_id: bytes
    state: State
    text: str
    sent_ms: int
    group: bytes | None
    target: bytes | None
    edited: bool
    protection: Protection
    why: str | None
    is_file: bool
    brought: bool


@dataclass(frozen=True, slots=True)
class Leaving:
    """One message as it goes from one device of ours to another.

    Attributes:
        number: Its place in the store.
        contact: With whom.
        ours: Whether we said it.
        content_id: Its id.
        state: How far it has come.
        gone_at: When it disappears, in seconds since the epoch; None: its time does not run.
        kept: The rest.
    """

    number: int
    contact: bytes
    ours: bool
    content_id: bytes
    state: State
    gone_at: int | None
    kept: Kept
