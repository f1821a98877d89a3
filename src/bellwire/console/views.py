"""What a console shows browsers: the shapes of `/api`, from which its OpenAPI is made.

Times are seconds since the epoch, rates of errors 0 to 1, amounts of key bits. No field holds a key
but `MadeSession.aes_key`, which its member is entitled to.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bellwire.console.guards import ShownGuard

Level = Literal["GREEN", "YELLOW", "RED"]
Role = Literal["member", "operator", "auditor"]
Site = Literal["a", "b"]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(max_length=80)]


class About(msgspec.Struct, frozen=True):
    """What a page may know before anybody has signed in.

    Attributes:
        site: `a` or `b`.
        version: Of bellwire.
        lab: Whether operators may let Eve in; then everything shown is simulated.
        first_operator: Whether no operator has chosen a password yet: a one-time link is waiting.
        record: Whether this console shows a log.
        chat: Whether it reaches a relay, so that people can talk.
    """

    site: Site
    version: str
    lab: bool
    first_operator: bool
    record: bool
    chat: bool


class Me(msgspec.Struct, frozen=True):
    """Who is signed in, and until when.

    Attributes:
        name: Of the account.
        role: What it may do.
        site: Where.
        has_password: Whether one was chosen.
        idle_until: The browser's session ends then, unless it is used before; null for a program.
        until: It ends then in any case; null for a program.
        sessions: Browser sessions of this account now.
    """

    name: str
    role: Role
    site: Site
    has_password: bool
    idle_until: float | None
    until: float | None
    sessions: Count


class PasswordSignIn(msgspec.Struct, frozen=True):
    """Sign in with a name and a password."""

    name: Name
    password: Annotated[str, Meta(max_length=1024)]


class TokenSignIn(msgspec.Struct, frozen=True):
    """Sign in with the token that `bellwire accounts add` printed."""

    token: Annotated[str, Meta(max_length=128)]


class LinkSignIn(msgspec.Struct, frozen=True):
    """Sign in with the code of a one-time link, and choose a password."""

    code: Annotated[str, Meta(max_length=128)]
    password: Annotated[str, Meta(max_length=1024)]


class NewPassword(msgspec.Struct, frozen=True):
    """Another password; `current` is null where there is none yet."""

    current: Annotated[str, Meta(max_length=1024)] | None
    password: Annotated[str, Meta(max_length=1024)]


class Done(msgspec.Struct, frozen=True):
    """It is done."""


class LinkView(msgspec.Struct, frozen=True):
    """The link now.

    Attributes:
        status: GREEN, YELLOW or RED; RED as well where nothing recent is known.
        reason: Why, for people.
        qber: Mean of the last accepted blocks; null if there are none.
        last_qber: Of the latest block that had one.
        last_chsh: S of the latest block that had one.
        since: When this status began; null if the node does not say.
        stale: Whether nothing recent is known.
        keys_may_flow: Whether keys are given.
        reachable: Whether the site's node answers; if not, the rest says why in `reason`.
    """

    status: Level
    reason: str
    qber: Ratio | None
    last_qber: Ratio | None
    last_chsh: float | None
    since: float | None
    stale: bool
    keys_may_flow: bool
    reachable: bool


class StockView(msgspec.Struct, frozen=True):
    """How much key the site's node has at a moment.

    Attributes:
        at: When.
        stock_bits: That this side may hand out as master.
        reserve_sets: Blocks that the authentication key is still good for.
        made_per_s: Secret bits of blocks a second, over the last minute.
        change_per_s: By which the stock grew (or, below zero, shrank) a second, in that time.
        empty_at: When the stock is used up if it goes on like this; null if it does not shrink.
    """

    at: float
    stock_bits: Count
    reserve_sets: Count
    made_per_s: float
    change_per_s: float
    empty_at: float | None


class BlockView(msgspec.Struct, frozen=True):
    """A block or probe that was decided.

    Attributes:
        seq: Running number at this console: the page's cursor.
        number: Of the block, as the node counts; probes are counted apart.
        at: When it was decided.
        probe: True of one that watches and yields no key.
        protocol: `e91`, `bbm92`, `bb84` or `decoy-bb84`; null of a vendor's boxes.
        accepted: Whether it became key (a probe: would have).
        reason: Why not, as a word; null if accepted.
        message: The same in words.
        pulses: Or pairs, sent.
        detected: Common slots.
        sifted_bits: Bits with equal bases, or of key settings.
        qber: With its standard error.
        qber_stderr: See above.
        chsh: S of E91, with its standard error.
        chsh_stderr: See above.
        leaked_bits: What reconciliation announced.
        secret_bits: Net key; 0 unless accepted.
        epsilon: Upper limit of the probability that anything stated fails; null unless it is key.
    """

    seq: Count
    number: Count
    at: float
    probe: bool
    protocol: str | None
    accepted: bool
    reason: str | None
    message: str | None
    pulses: Count
    detected: Count
    sifted_bits: Count
    qber: Ratio | None
    qber_stderr: float | None
    chsh: float | None
    chsh_stderr: float | None
    leaked_bits: Count
    secret_bits: Count
    epsilon: float | None


class EveView(msgspec.Struct, frozen=True):
    """Who is on the simulated link: kind of attack, and share of the pulses."""

    kind: str
    share: Ratio


class LabView(msgspec.Struct, frozen=True):
    """The lab's hand on the link; all light is simulated.

    Attributes:
        eve: Who is on it now; null if nobody.
        kinds: Attacks that there are.
        reachable: Whether the link answers.
    """

    eve: EveView | None
    kinds: tuple[str, ...]
    reachable: bool


class Thresholds(msgspec.Struct, frozen=True):
    """From which QBER the status is YELLOW and RED, and below which S."""

    yellow_qber: float
    red_qber: float
    chsh_floor: float
    chsh_classical: float
    chsh_quantum: float


class EventView(msgspec.Struct, frozen=True):
    """Something that happened, for the timeline.

    Attributes:
        seq: Running number at this console.
        at: When.
        kind: What: `status`, `attack`, `reset`, `guard`, `session`, `node`.
        level: GREEN, YELLOW or RED where the status changed, else null.
        text: In words.
        actor: Who did it, where a person did.
        watchers: Whether it is for operators, auditors and those whom it is about alone.
    """

    seq: Count
    at: float
    kind: Literal["status", "attack", "reset", "guard", "session", "node"]
    level: Level | None
    text: str
    actor: str | None
    watchers: bool


class SessionView(msgspec.Struct, frozen=True):
    """A session of two members, as this console saw it; never its key.

    Attributes:
        session_id: A UUID, the same for both.
        opened_by: NAME@SITE of who called first; null if the other site's console decided.
        members: NAME@SITE of both.
        opened_at: When this console first saw it.
        joined_at: When both had it; null while one is awaited, or if he never came within 60 s.
        decided_here: Whether this console decided; if not, it does not know when the other came.
        source: Where its key comes from: `simulated`, `local`, …
        qber: Of the link at that time.
        link_status: Of the link at that time.
    """

    session_id: str
    opened_by: str | None
    members: tuple[str, str]
    opened_at: float
    joined_at: float | None
    decided_here: bool
    source: str
    qber: Ratio | None
    link_status: str


class NetworkView(msgspec.Struct, frozen=True):
    """Everything that the page of the network begins with.

    Attributes:
        at: When, by the console's clock.
        site: Of this console.
        link: The link now.
        stock: The site's key; null if the node does not say.
        thresholds: Of the status, by this site's settings.
        lab: Null outside the lab.
        guards: Null for who may not see them.
    """

    at: float
    site: Site
    link: LinkView
    stock: StockView | None
    thresholds: Thresholds
    lab: LabView | None
    guards: list[ShownGuard] | None


class Blocks(msgspec.Struct, frozen=True):
    """Blocks, ascending; `more` if there are others on the far side of the limit."""

    blocks: list[BlockView]
    more: bool


class Stocks(msgspec.Struct, frozen=True):
    """Samples of the stock, ascending."""

    samples: list[StockView]


class Events(msgspec.Struct, frozen=True):
    """The timeline, ascending; `more` if there are older ones."""

    events: list[EventView]
    more: bool


class StatusRecordView(msgspec.Struct, frozen=True):
    """How the link was from a moment on, as the node keeps it over restarts."""

    at: float
    status: Level
    stale: bool
    qber: Ratio | None
    reason: str


class StatusRecords(msgspec.Struct, frozen=True):
    """The kept history of the link, ascending."""

    records: list[StatusRecordView]


class SessionList(msgspec.Struct, frozen=True):
    """Sessions, latest first: all for operators and auditors, for members their own."""

    sessions: list[SessionView]


class MakeSession(msgspec.Struct, frozen=True):
    """With whom: NAME or NAME@SITE."""

    peer: Name


class MadeSession(msgspec.Struct, frozen=True):
    """A session, for the member who asked for it.

    Attributes:
        session: As everybody sees it.
        aes_key: 256 bits, 64 hexadecimal digits; given this once.
    """

    session: SessionView
    aes_key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Heartbeat(msgspec.Struct, frozen=True):
    """Nothing happened; the console lives."""

    at: float


class LiveEvents(msgspec.Struct, frozen=True):
    """The content of each event of `/api/live`, by the event's name.

    Attributes:
        network: Everything; at first, and where what was missed is no longer known.
        link: At each change.
        block: Of each block and probe.
        stock: Once a second.
        lab: At each change of Eve.
        event: For the timeline.
        guards: At each change of a guard; for operators and auditors.
        session: A session was opened or joined.
        heartbeat: Every two seconds.
        signed_out: The browser's session is over; the stream ends.
    """

    network: NetworkView
    link: LinkView
    block: BlockView
    stock: StockView
    lab: LabView
    event: EventView
    guards: list[ShownGuard]
    session: SessionView
    heartbeat: Heartbeat
    signed_out: Done
