"""What both ends of a handshake share: the QKD key, the names of ends, the order of steps."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, HandshakeFailed
from bellwire.channel.messages import (
    KEY_ID_BYTES,
    NO_KEY,
    PROLOGUE_LABEL,
    QKD_KEY_BYTES,
    Policy,
    Suite,
    Transport,
)
from bellwire.channel.symmetric import SymmetricState


@dataclass(frozen=True, slots=True)
class QkdKey:
    """One key from a link, for one handshake; it must never serve again.

    Attributes:
        key_id: 16 bytes, opaque, not all zero. Travels sealed.
        key: 32 bytes.
        source: Where it came from: `simulated`, `recorded`, `hardware`, `vendor` or `local`.
    """

    key_id: bytes
    key: Secret
    source: str

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_BYTES or self.key_id == NO_KEY:
            raise ChannelMisuse(
                f"expected a key id of {KEY_ID_BYTES} bytes that are not all zero, "
                f"got {len(self.key_id)} bytes"
            )
        if len(self.key) != QKD_KEY_BYTES:
            raise ChannelMisuse(f"expected a key of {QKD_KEY_BYTES} bytes, got {len(self.key)}")


class Step(Enum):
    """How far one end has come."""

    START = auto()
    CALLED = auto()
    CALLED_AGAIN = auto()
    OFFERED = auto()
    ANSWERED = auto()
    ESTABLISHED = auto()
    FAILED = auto()


class Event(Enum):
    """What one end does, or is given."""

    SEND_HELLO = auto()
    TAKE_RETRY = auto()
    TAKE_ANSWER = auto()
    TAKE_HELLO = auto()
    SEND_ANSWER = auto()
    REFUSE = auto()
    TAKE_CONFIRM = auto()


Table = Mapping[tuple[Step, Event], Step]

INITIATOR: Final[Table] = MappingProxyType(
    {
        (Step.START, Event.SEND_HELLO): Step.CALLED,
        (Step.CALLED, Event.TAKE_RETRY): Step.CALLED_AGAIN,
        (Step.CALLED, Event.TAKE_ANSWER): Step.ESTABLISHED,
        (Step.CALLED_AGAIN, Event.TAKE_ANSWER): Step.ESTABLISHED,
    }
)
RESPONDER: Final[Table] = MappingProxyType(
    {
        (Step.START, Event.TAKE_HELLO): Step.OFFERED,
        (Step.OFFERED, Event.SEND_ANSWER): Step.ANSWERED,
        (Step.OFFERED, Event.REFUSE): Step.FAILED,
        (Step.ANSWERED, Event.TAKE_CONFIRM): Step.ESTABLISHED,
    }
)


class Progress:
    """Where one end stands in its table; what is not in the table does not happen."""

    __slots__ = ("_table", "step")

    def __init__(self, table: Table) -> None:
        self._table = table
        self.step = Step.START

    @contextlib.contextmanager
    def attempt(self, event: Event) -> Iterator[None]:
        """Do `event`: on success the step is the table's, on any error it is FAILED, for good.

        Raises:
            ChannelMisuse: the table has no such event at this step; the step stays.
        """
        target = self._table.get((self.step, event))
        if target is None:
            raise ChannelMisuse(
                f"expected a handshake that can {_words(event)}, "
                f"got one that is {_words(self.step)}"
            )
        self.step = Step.FAILED
        yield
        self.step = target


def _words(member: Event | Step) -> str:
    return member.name.lower().replace("_", " ")


def fingerprint(public: bytes) -> bytes:
    """The 32 bytes by which an end is known: SHA-256 of its public key."""
    return hashlib.sha256(public).digest()


def check_name(responder_name: str) -> bytes:
    """The name's bytes; ChannelMisuse unless they are 1 to 255."""
    name = responder_name.encode()
    if not 1 <= len(name) <= 255:
        raise ChannelMisuse(f"expected a name of 1 to 255 bytes, got {len(name)}")
    return name


def opening_state(
    suite: Suite,
    transport: Transport,
    responder_name: str,
    responder_public: bytes,
    *,
    resuming: bytes = b"",
) -> SymmetricState:
    """The transcript before the first message: protocol, suite, transport, responder.

    Args:
        suite: The cipher.
        transport: What carries the messages.
        responder_name: 1 to 255 bytes.
        responder_public: Its public key.
        resuming: The initiator's fingerprint, if this is a resumption, whose transcript names both
            ends from the start.
    """
    name = check_name(responder_name)
    state = SymmetricState(suite, suite.resumption_name if resuming else suite.protocol_name)
    prologue = PROLOGUE_LABEL + bytes([suite, transport, len(name)]) + name
    state.mix_hash(prologue + responder_public + resuming)
    return state


def check_policy(policy: Policy, qkd: QkdKey | None) -> None:
    """Raise ChannelMisuse unless an initiator of this policy may come with this key."""
    if (policy is Policy.REQUIRE and qkd is None) or (policy is Policy.OFF and qkd is not None):
        raise ChannelMisuse(
            f"policy {policy.name.lower()} "
            + ("needs a QKD key" if qkd is None else "takes no QKD key")
        )


def reconcile(own: Policy, theirs: Policy, key_id: bytes | None) -> bytes | None:
    """The QKD key that a responder should fetch, by both policies and what was named.

    Raises:
        HandshakeFailed: the policies exclude each other, or one needs a key and none is named.
    """
    if Policy.REQUIRE in (own, theirs) and (Policy.OFF in (own, theirs) or key_id is None):
        raise HandshakeFailed(
            f"our policy is {own.name.lower()}, the initiator's is {theirs.name.lower()}, "
            "and it named " + ("no QKD key" if key_id is None else "a QKD key")
        )
    return None if Policy.OFF in (own, theirs) else key_id


def judge_used(used: int, policy: Policy, qkd: QkdKey | None) -> QkdKey | None:
    """The QKD key that an initiator mixes in, by what the responder says.

    Raises:
        HandshakeFailed: the responder left out a key that our policy requires, or says that it
            used one, and we named none.
    """
    if used == 1 and qkd is not None:
        return qkd
    if used == 0 and policy is not Policy.REQUIRE:
        return None
    raise HandshakeFailed(
        f"our policy is {policy.name.lower()}, and the responder says that QKD was "
        + ("not used" if used == 0 else f"used ({used}) although we named no key")
    )
