"""What a console carries between a page and its relays: the shapes of `/api/chat`.

The frames are those of spec/relay.md. The console looks into none of them: what is in them is said
between the page and its relay, and the people who talk.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from bellwire.console.views import Done, Heartbeat
from bellwire.etsi014.record import MAX_MARK, SessionNow, SessionRecord

MAX_RELAYS = 4
MAX_KEYS = 128
MAX_KEY_ID = 64
MAX_LEAST = 6_176
"""Bytes of pad that one message of one part takes, and of a new pad's point (spec/chat.md, 4)."""

Sae = Annotated[str, Meta(min_length=1, max_length=255)]
MAX_FRAME = 16_441
"""Bytes of the longest frame of a client: a payload that is dropped (spec/relay.md)."""

MAX_FRAMES = 64
"""Frames that come in one request; what they are together, the door bounds."""

OWN_LINES = 4
"""Lines to the first relay that a page has for as long as it needs them."""

OWN = MAX_RELAYS + 1
"""The number of the first of these."""

Line = Annotated[int, Meta(ge=0, le=MAX_RELAYS + OWN_LINES)]
OwnLine = Annotated[int, Meta(ge=OWN, le=MAX_RELAYS + OWN_LINES)]
WayName = Annotated[str, Meta(max_length=64)]


class ChatView(msgspec.Struct, frozen=True):
    """What a page needs to talk.

    Attributes:
        relays: Addresses of the relays that this console reaches, `ws://…` or `wss://…`; the first
            one is where its members have their mailboxes.
        sae: Who its pages are to the key servers; empty: they have no pads.
    """

    relays: tuple[str, ...]
    sae: str


class WayOpened(msgspec.Struct, frozen=True):
    """What is sent goes by this name, and to whoever listens here."""

    way: str


class CameFrame(msgspec.Struct, frozen=True):
    """A frame of a relay.

    Attributes:
        line: 0 leads to the first relay, for its owner's mailboxes; from 1 on, there is one to each
            relay, to drop by, on which nobody logs in; 5 to 8 are lines of the page's own to the
            first relay.
        frame: As it came.
    """

    line: Line
    frame: bytes


class LineEnded(msgspec.Struct, frozen=True):
    """A relay does not answer on a line; the console goes on trying, and a challenge tells.

    A line of the page's own is not tried again: its number is free now.
    """

    line: Line


class SessionUnfolds(msgspec.Struct, frozen=True):
    """A session for a message is under way.

    Attributes:
        mark: As the page that asked for it named it.
        now: What the site's node knows of it so far.
    """

    mark: str
    now: SessionNow


class ChatEvents(msgspec.Struct, frozen=True):
    """The content of each event of `/api/chat/way`, by the event's name.

    Attributes:
        opened: At first.
        frame: Of a relay.
        ended: A line has ended, or could not be had.
        session: A session is under way that a page of the same account asked for.
        heartbeat: Every five seconds.
        signed_out: The browser's session is over; the stream ends.
    """

    opened: WayOpened
    frame: CameFrame
    ended: LineEnded
    session: SessionUnfolds
    heartbeat: Heartbeat
    signed_out: Done


class SentFrames(msgspec.Struct, frozen=True):
    """Frames for a relay, in their order.

    Attributes:
        way: As `opened` named it.
        line: Of this way.
        frames: As spec/relay.md has them.
    """

    way: WayName
    line: Line
    frames: Annotated[
        tuple[Annotated[bytes, Meta(min_length=1, max_length=MAX_FRAME)], ...],
        Meta(min_length=1, max_length=MAX_FRAMES),
    ]


class AskedLine(msgspec.Struct, frozen=True):
    """A line of the page's own to the first relay, that nothing else goes by.

    Attributes:
        way: As `opened` named it.
        line: Its number, which the page chooses; it ends by `ended`.
        open: Whether it is to begin; else it is to end.
    """

    way: WayName
    line: OwnLine
    open: bool


class AskedPad(msgspec.Struct, frozen=True):
    """A pad from stock that is wanted.

    Attributes:
        peer: SAE of who is to have it too.
        least: Bytes, less than which are of no use.
    """

    peer: Sae
    least: Annotated[int, Meta(ge=33, le=MAX_LEAST)]


class DrawnPad(msgspec.Struct, frozen=True):
    """A pad from stock. Secret.

    Attributes:
        source: Where its keys come from.
        key_ids: Of its keys, in their order.
        pad: The keys, one behind the other.
    """

    source: str
    key_ids: tuple[str, ...]
    pad: bytes


class NamedKeys(msgspec.Struct, frozen=True):
    """Keys that somebody drew.

    Attributes:
        peer: His SAE.
        ids: Theirs, in the order in which they are a pad.
    """

    peer: Sae
    ids: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=MAX_KEY_ID)], ...],
        Meta(min_length=1, max_length=MAX_KEYS),
    ]


class FetchedPad(msgspec.Struct, frozen=True):
    """A pad. Secret.

    Attributes:
        source: Where its keys come from.
        pad: The keys, one behind the other.
    """

    source: str
    pad: bytes


class AskedSession(msgspec.Struct, frozen=True):
    """A pad that a session of its own is to make.

    Attributes:
        peer: SAE of who is to have it too.
        bytes: Of pad.
        mark: By what the session is told of on the ways of the account while it goes on; empty: it
            is not. Best a UUID of the page's own.
    """

    peer: Sae
    bytes: Annotated[int, Meta(ge=32, le=MAX_LEAST)]
    mark: Annotated[str, Meta(max_length=MAX_MARK)] = ""


class MadePad(msgspec.Struct, frozen=True):
    """What a session made. Secret.

    Attributes:
        session: Its id, and the pad's: a UUID.
        record: What it measured; null where the key server does not say.
        pad: Null if it was aborted.
    """

    session: str
    record: SessionRecord | None
    pad: bytes | None


class OverheardMessage(msgspec.Struct, frozen=True):
    """A message of a session, as it crossed the public channel.

    Attributes:
        number: Grows with each message that the site's node overhears.
        sender: `alice`, of site a, or `bob`, of site b.
        phase: What it was about.
        size: Its length in bytes.
        beginning: Its first bytes, 256 at most.
    """

    number: int
    sender: str
    phase: str
    size: int
    beginning: bytes


class OverheardMessages(msgspec.Struct, frozen=True):
    """What a passive Eve hears of a session in the lab, oldest first."""

    messages: list[OverheardMessage]


class NamedPad(msgspec.Struct, frozen=True):
    """A pad that somebody asked for by a session.

    Attributes:
        peer: His SAE.
        session: Id of both, a UUID.
    """

    peer: Sae
    session: Annotated[str, Meta(min_length=36, max_length=36)]


class SessionPad(msgspec.Struct, frozen=True):
    """What became of a session. Secret.

    Attributes:
        record: What it measured; null where the key server has forgotten it.
        pad: Null if it was aborted.
    """

    record: SessionRecord | None
    pad: bytes | None
