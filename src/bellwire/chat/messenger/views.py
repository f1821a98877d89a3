"""What a screen shows, as values: conversations, lines, sessions, and what has just happened.

Nothing here is a secret key, and every text is as the other side wrote it: whoever puts it on a
terminal makes it harmless first (`bellwire.chat.messenger.harmless`).
"""

from dataclasses import dataclass
from enum import Enum

from bellwire.chat.pads import Policy
from bellwire.chat.session import Protection
from bellwire.etsi014.record import SessionRecord


class Mode(Enum):
    """Where the pads of a conversation come from.

    POOL: from stock, fetched ahead. FRESH: from a session of E91 for each message.
    """

    POOL = "pool"
    FRESH = "fresh"


class LineState(Enum):
    """How far a line has come.

    WAITING: it waits for its pad, in fresh mode for its session. NOT_SENT: there was none, and
    `Line.why` says why; it is tried again. QUEUED: sealed, and on its way to the relay. SENT:
    durable at the relay. DELIVERED, READ: by the other's word; of theirs, READ is by us. RECEIVED:
    theirs, and not read yet. REFUSED: the other side could or would not show it. DELETED: taken
    back.
    """

    WAITING = "waiting"
    NOT_SENT = "not sent"
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    RECEIVED = "received"
    REFUSED = "refused"
    DELETED = "deleted"


class AttachmentState(Enum):
    """How far an attachment has come.

    COMING: not all of it is with its receiver. HERE: it is, and its hash was checked. SAVED: it is
    theirs, in a folder of this machine, and no longer in the store. STOPPED: its receiver had no
    room, or its sender took it back. ELSEWHERE: another device of ours has, or had, it; here are
    its name and size alone.
    """

    COMING = "coming"
    HERE = "here"
    SAVED = "saved"
    STOPPED = "stopped"
    ELSEWHERE = "on another device"


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a line has beside words.

    Attributes:
        name: A safe name of a file; the line's text, too.
        size: In bytes.
        done: Bytes that its receiver has, as far as we know.
        state: How far it has come.
        chunked: Whether it goes under AES-256-GCM, its key alone being under pad; else all of it is
            protected as the line says.
    """

    name: str
    size: int
    done: int
    state: AttachmentState
    chunked: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """How far a message of ours in a group has come with one member.

    Attributes:
        member: Fingerprint, 32 bytes.
        name: What we call them.
        state: As of a line.
        why: Why it was not sent; else None.
        protection: What their copy was protected by.
    """

    member: bytes
    name: str
    state: LineState
    why: str | None
    protection: Protection


@dataclass(frozen=True, slots=True)
class Line:
    """One message.

    Attributes:
        number: Its place in the store; later ones are higher.
        contact: The conversation: fingerprint of whom it was said with, 32 bytes, or id of the
            group, 16 bytes.
        message_id: 16 bytes; names it in `reply`, `edit`, `session` and the like.
        ours: Whether we said it.
        text: The words; empty when deleted.
        sent_ms: The sender's clock, milliseconds since the epoch.
        state: How far it has come.
        why: Why it was not sent; else None.
        target: The message it replies to.
        edited: Whether the words were changed later.
        protection: What it was protected by.
        attachment: The file that it is; its text is the name then.
        brought: Whether another device of ours said or heard it (`bellwire chat history import`).
        author: Of what others said in a group: fingerprint of who said it.
        author_name: What we call them.
        copies: Of what we said in a group: how far it has come with each member. The line's state
            is that of the copy that has come least far, its protection the weakest.
    """

    number: int
    contact: bytes
    message_id: bytes
    ours: bool
    text: str
    sent_ms: int
    state: LineState
    why: str | None
    target: bytes | None
    edited: bool
    protection: Protection
    attachment: Attachment | None = None
    brought: bool = False
    author: bytes | None = None
    author_name: str = ""
    copies: tuple[Copy, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupMember:
    """Somebody in a group.

    Attributes:
        contact: Fingerprint, 32 bytes.
        name: What we call them; the beginning of the fingerprint while we have not met.
        is_me: Whether it is us.
        is_admin: Whether they alone change who is in it.
        is_reachable: Whether there is a way to write to them yet.
        is_verified: Whether safety numbers were compared.
    """

    contact: bytes
    name: str
    is_me: bool
    is_admin: bool
    is_reachable: bool
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """An entry of the list of conversations.

    Of a group, pad, policy and mode are the least of what its members' conversations have, since a
    copy for each goes by them.

    Attributes:
        contact: Fingerprint, 32 bytes; our own stands for the notes to ourselves. Of a group its
            id, 16 bytes.
        name: What we call them.
        is_notes: Whether these are the notes to ourselves.
        unread: Messages of theirs that were not read.
        last: The newest line, if there is one.
        pad_bytes: Bytes of pad left under which we send; in fresh mode 0 is usual.
        pad_messages: How many messages of `PAD_MESSAGE_BYTES` of text they are for.
        policy: Of pad.
        mode: Where pads come from.
        verified: Whether safety numbers were compared.
        timer_s: After how many seconds messages disappear; 0: they stay.
        typing: Whether they are typing now; of a group: whether any of `typists` is.
        reachable: Whether there is a way to write to them yet; of a group, to all in it.
        members: How many are in the group, with us; 0: it is none.
        is_in: Of a group: whether we are in it; else what was said is there to be read.
        typists: Of a group: what we call those who are typing now.
    """

    contact: bytes
    name: str
    is_notes: bool
    unread: int
    last: Line | None
    pad_bytes: int
    pad_messages: int
    policy: Policy
    mode: Mode
    verified: bool
    timer_s: int
    typing: bool
    reachable: bool
    members: int = 0
    is_in: bool = True
    typists: tuple[str, ...] = ()

    @property
    def is_group(self) -> bool:
        """Whether it is a group's."""
        return self.members > 0


PAD_MESSAGE_BYTES = 256
"""Text of the message by which `Conversation.pad_messages` counts."""


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody who found our handle and wrote first, and waits to be accepted.

    Attributes:
        contact: Fingerprint, 32 bytes.
        name: What they call themselves; nobody has verified it.
        came_s: When they first wrote, in seconds since the epoch.
        lines: What they said, oldest first.
        is_like_contact: Whether a contact of ours, who is somebody else, is called the same.
    """

    contact: bytes
    name: str
    came_s: int
    lines: tuple[Line, ...]
    is_like_contact: bool


@dataclass(frozen=True, slots=True)
class Safety:
    """What two people compare: sixty digits, and our code to scan (spec/chat.md, 6)."""

    number: str
    code: bytes


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """What stands in the corner.

    Attributes:
        sending: Whether there is a line to the relay on which we drop.
        receiving: Whether there is one on which we listen.
        trouble: Why there is none, in words; None if there is, or nobody knows.
        keys: The link's status by our own node: `GREEN`, `YELLOW`, `RED`; None: not known.
        source: Where its keys come from; None: not known.
        keys_trouble: Why our own node does not answer, in words.
    """

    sending: bool = False
    receiving: bool = False
    trouble: str | None = None
    keys: str | None = None
    source: str | None = None
    keys_trouble: str | None = None


# Events


@dataclass(frozen=True, slots=True)
class LineChanged:
    """A line is new, or its state or words have changed."""

    line: Line
    is_new: bool


@dataclass(frozen=True, slots=True)
class AttachmentChanged:
    """More of an attachment has come, or its state has changed."""

    line: Line


@dataclass(frozen=True, slots=True)
class ConversationChanged:
    """An entry of the list has changed; `Messenger.conversation` has it."""

    contact: bytes


@dataclass(frozen=True, slots=True)
class TypingChanged:
    """Somebody types in a conversation, or has stopped.

    Attributes:
        contact: The conversation.
        typing: Whether they type.
        who: Who it is: of a group one of its members, else the contact.
    """

    contact: bytes
    typing: bool
    who: bytes


@dataclass(frozen=True, slots=True)
class SessionBegan:
    """Our node was asked for a session for a message."""

    contact: bytes
    message_id: bytes


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session for a message of ours has ended; `record.accepted` says how."""

    contact: bytes
    message_id: bytes
    record: SessionRecord | None


@dataclass(frozen=True, slots=True)
class RequestsChanged:
    """Who waits to be accepted, or what they said, has changed; `Messenger.requests` has it."""


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """What stands in the corner has changed."""

    status: LinkStatus


class AlertKind(Enum):
    """What one must be told of.

    EVE: a session was aborted; nothing was sent under it. CLEAR: sessions succeed again.
    DEGRADED: a message went without pad, as the policy permits. UNSHOWN: something came that is
    not authentic, and was not shown. NO_PAD: a message cannot go for want of pad. REFUSED:
    the other side could not, or would not, show a message of ours. CONTACT: somebody new.
    REQUEST: a stranger has written, and waits to be accepted. IDENTITY: a handle names another
    identity than before. RELAY: what answers has not the key of our relay. ACCOUNT: our handle
    cannot be found as it should, and why. GROUP: others have changed who is in a group. RENEWED:
    a new session has taken the place of one on which not all could be opened any more.
    """

    EVE = "eve"
    CLEAR = "clear"
    DEGRADED = "degraded"
    UNSHOWN = "unshown"
    NO_PAD = "no pad"
    REFUSED = "refused"
    CONTACT = "contact"
    REQUEST = "request"
    IDENTITY = "identity changed"
    RELAY = "relay changed"
    ACCOUNT = "account"
    GROUP = "group"
    RENEWED = "session renewed"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something one must be told of.

    Attributes:
        kind: What it is.
        contact: In which conversation; None: in none.
        words: For people, one line.
        record: Of the session, with S and QBER, where there was one.
    """

    kind: AlertKind
    contact: bytes | None
    words: str
    record: SessionRecord | None = None


Event = (
    LineChanged
    | AttachmentChanged
    | ConversationChanged
    | TypingChanged
    | SessionBegan
    | SessionEnded
    | LinkChanged
    | RequestsChanged
    | Alert
)
