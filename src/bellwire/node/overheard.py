"""What a passive Eve hears of sessions, in the lab alone: messages of the public channel.

Nothing of it is secret: whoever holds the wire between the nodes has it anyway, and whole. A node
outside the lab keeps none of it.
"""

import itertools
import uuid
from collections import deque
from typing import Annotated

import msgspec
from msgspec import Meta

from bellwire.base.detections import Side
from bellwire.node.under_way import UnderWay

KEPT = 2048
"""Messages that are kept; older ones are forgotten."""

SHOWN_BYTES = 256
"""First bytes of a message that are kept; its length is told."""


class Message(msgspec.Struct, frozen=True, array_like=True):
    """A message of a session.

    Attributes:
        number: Running number at this node, from 1.
        session: Id of the session.
        sender: Who said it.
        step: Of the lockstep.
        phase: What it was about.
        size: Its length in bytes.
        beginning: Its first bytes.
    """

    number: int
    session: Annotated[str, Meta(max_length=36)]
    sender: Side
    step: int
    phase: Annotated[str, Meta(max_length=32)]
    size: int
    beginning: Annotated[bytes, Meta(max_length=SHOWN_BYTES)]


class Overheard:
    """The latest messages of a node's sessions."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._kept: deque[Message] = deque(maxlen=KEPT)

    def hear(self, block: UnderWay, sender: Side, step: int, body: bytes) -> None:
        """A message crossed the channel."""
        assert block.pad is not None
        self._kept.append(
            Message(
                next(self._numbers),
                str(uuid.UUID(bytes=block.pad.key_id)),
                sender,
                step,
                block.session.phase.value,
                len(body),
                body[:SHOWN_BYTES],
            )
        )

    def after(self, number: int, session: str = "") -> list[Message]:
        """Messages behind that of a running number, oldest first; `session` names the only one."""
        return [
            each for each in self._kept if each.number > number and session in {"", each.session}
        ]
