"""What crosses the link's sockets (spec/link-socket.md gives the numbers and the sizes).

MessagePack arrays that begin with the message's number. Halves travel packed: slots as four bytes
each, settings and outcomes as bit planes. Whatever holds a seed or an outcome hides it in its repr.
"""

import math
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from bellwire.base.bits import PackedBitsError, pack, unpack
from bellwire.base.decoding import UNDECODABLE
from bellwire.base.decoys import Decoys
from bellwire.base.detections import Detections, Half, Protocol, Slots
from bellwire.base.limits import MAX_DETECTIONS, MAX_PULSES
from bellwire.crypto.stream import SEED_BYTES
from bellwire.link.attacks import AnyEve, any_eve
from bellwire.link.config import LinkConfig
from bellwire.link.errors import LinkMisbehaved, ParameterError, Refusal
from bellwire.link.eve import MAX_AXES, Axes, Eve

TICKET_BYTES = 16
REQUEST_LIMIT = 1024
"""Bytes of the longest request."""

ANSWER_LIMIT = 5 * MAX_DETECTIONS
"""Bytes of the longest answer: 4 and 3/8 a detection."""

Ticket = Annotated[bytes, Meta(min_length=TICKET_BYTES, max_length=TICKET_BYTES)]
Seed = Annotated[bytes, Meta(min_length=SEED_BYTES, max_length=SEED_BYTES)]
MAX_PLANE = 2**23
"""Most pulses whose slots are a plane: it is unpacked to a byte for each pulse."""

Plane = Annotated[bytes, Meta(max_length=MAX_DETECTIONS // 8)]


class BlockRequest(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """1. A side asks for its half of the block that both sides call by this ticket.

    `rectilinear` is the probability of the rectilinear basis.
    """

    ticket: Ticket
    protocol: Protocol
    pulses: Annotated[int, Meta(ge=1, le=MAX_PULSES)]
    choice_seed: Seed
    rectilinear: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.5
    decoys: Decoys | None = None
    plane: bool = False  # whether the answer's slots may be one

    @property
    def what(self) -> tuple[object, ...]:
        """Which block is asked for: both sides must ask for the same."""
        return self.protocol, self.pulses, self.rectilinear, self.decoys

    @property
    def described(self) -> str:
        """The same in words."""
        words = f"{self.protocol} of {self.pulses} pulses"
        if self.rectilinear != 0.5:
            words += f", {self.rectilinear:g} of them rectilinear"
        if self.decoys is not None:
            means, shares = (
                ",".join(map("{:g}".format, each))
                for each in (self.decoys.means, self.decoys.shares)
            )
            words += f", intensities {means} in shares {shares}"
        return words

    def __repr__(self) -> str:
        return f"BlockRequest({self.protocol}, {self.pulses} pulses)"


class Prepared(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """2. The pulses were sent: all that the preparing side needs to be told."""


class Detected(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """3. A receiving side's half."""

    count: Annotated[int, Meta(ge=0, le=MAX_DETECTIONS)]
    slots: Annotated[bytes, Meta(max_length=4 * MAX_DETECTIONS)]
    settings_low: Plane
    settings_high: Plane
    outcomes: Plane

    def __repr__(self) -> str:
        return f"Detected({self.count} slots)"


class Refused(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """4. The link declines, with the reason's code and in words."""

    refusal: Refusal
    message: Annotated[str, Meta(max_length=400)]


class Attack(msgspec.Struct, array_like=True, frozen=True):
    """An Eve, as part of a message.

    Attributes:
        kind: What she does.
        share: Share of the photons that she touches.
        axes: Where she measures, radians; `uniform`, or nil for the obvious ones.
    """

    kind: Annotated[str, Meta(max_length=32)]
    share: Annotated[float, Meta(ge=0.0, le=1.0)]
    axes: (
        Annotated[tuple[float, ...], Meta(min_length=1, max_length=MAX_AXES)]
        | Literal["uniform"]
        | None
    )

    @classmethod
    def of(cls, eve: AnyEve | None) -> "Attack | None":
        """The wire's form of an Eve."""
        if eve is None:
            return None
        if not isinstance(eve, Eve) or eve.axes is None:
            return cls(eve.kind, eve.share, None)
        return cls(eve.kind, eve.share, eve.axes.angles or "uniform")

    def eve(self) -> AnyEve:
        """The Eve that this is; ParameterError if there is none such."""
        axes = Axes(self.axes) if isinstance(self.axes, tuple) else None
        return any_eve(self.kind, self.share, Axes.uniform() if self.axes == "uniform" else axes)


class SetEve(msgspec.Struct, array_like=True, frozen=True, tag=5):
    """5. Control: from the next block on, this attack, or none."""

    attack: Attack | None


class GetLink(msgspec.Struct, array_like=True, frozen=True, tag=6):
    """6. Control: how the link is set up."""


class LinkState(msgspec.Struct, array_like=True, frozen=True, tag=7):
    """7. Control: the link's physics and who is on it, answer to 5 and 6."""

    config: LinkConfig
    attack: Attack | None

    @property
    def eve(self) -> AnyEve | None:
        """Who is on the link."""
        return None if self.attack is None else self.attack.eve()


Control = SetEve | GetLink
BlockAnswer = Prepared | Detected | Refused
ControlAnswer = LinkState | Refused
Message = BlockRequest | Control | BlockAnswer | ControlAnswer

_encoder = msgspec.msgpack.Encoder()
_block_request = msgspec.msgpack.Decoder(BlockRequest)
_control: msgspec.msgpack.Decoder[Control] = msgspec.msgpack.Decoder(Control)
_block_answer: msgspec.msgpack.Decoder[BlockAnswer] = msgspec.msgpack.Decoder(BlockAnswer)
_control_answer: msgspec.msgpack.Decoder[ControlAnswer] = msgspec.msgpack.Decoder(ControlAnswer)


def encode(message: Message) -> bytes:
    """A message's bytes, without the frame."""
    return _encoder.encode(message)


def decode_block_request(body: bytes) -> BlockRequest:
    """Read message 1; one of UNDECODABLE on anything else."""
    return _block_request.decode(body)


def decode_control(body: bytes) -> Control:
    """Read message 5 or 6; one of UNDECODABLE on anything else."""
    return _control.decode(body)


def decode_block_answer(body: bytes) -> BlockAnswer:
    """Read message 2, 3 or 4.

    Raises:
        LinkMisbehaved: it is none of them.
    """
    try:
        return _block_answer.decode(body)
    except UNDECODABLE as error:
        raise LinkMisbehaved(f"expected the answer to a request for a block: {error}") from error


def decode_control_answer(body: bytes) -> ControlAnswer:
    """Read message 4 or 7.

    Raises:
        LinkMisbehaved: it is neither, or tells of an impossible link.
    """
    try:
        answer = _control_answer.decode(body)
        if isinstance(answer, LinkState):
            _ = answer.eve
    except (*UNDECODABLE, ParameterError) as error:
        raise LinkMisbehaved(f"expected the answer to a control message: {error}") from error
    return answer


def to_answer(half: Half, request: BlockRequest) -> BlockAnswer:
    """The answer that carries a half; a side that prepares makes its own from its seed."""
    if half.received is None:
        return Prepared()
    held = half.at(half.received)
    return Detected(
        held.slots.size,
        _slots_to_bytes(held.slots, request.pulses, plane=request.plane),
        pack(held.settings & np.uint8(1)),
        pack(held.settings >> np.uint8(1)),
        pack(held.outcomes),
    )


def to_half(answer: Detected, protocol: Protocol, pulses: int) -> Detections:
    """The half in an answer, checked against the block that was asked for.

    Raises:
        LinkMisbehaved: lengths disagree, slots do not rise or lie outside the block, or a setting
            is none of the protocol's.
    """
    n = answer.count
    try:
        slots = _slots_of_bytes(answer.slots, n, pulses)
        settings = unpack(answer.settings_low, n) | unpack(answer.settings_high, n) << np.uint8(1)
        half = Detections(slots, settings, unpack(answer.outcomes, n))
    except (PackedBitsError, ValueError) as error:
        raise LinkMisbehaved(f"expected a half: {error}") from error
    if n and slots[-1] >= pulses:
        raise LinkMisbehaved(f"expected slots below {pulses}, got {slots[-1]}")
    highest = protocol.settings - 1
    if n and settings.max() > highest:
        raise LinkMisbehaved(f"expected settings up to {highest}, got {settings.max()}")
    return half


def _plane_bytes(count: int, pulses: int) -> int | None:
    """Length of a plane of slots, where there may be one: it is shorter than their list."""
    length = (pulses + 7) // 8
    return length if pulses <= MAX_PLANE and length < 4 * count else None


def _slots_to_bytes(slots: Slots, pulses: int, *, plane: bool) -> bytes:
    if not plane or _plane_bytes(slots.size, pulses) is None:
        return slots.astype("<u4").tobytes()
    there = np.zeros(pulses, np.uint8)
    there[slots] = 1
    return pack(there)


def _slots_of_bytes(data: bytes, count: int, pulses: int) -> Slots:
    """The slots of an answer; PackedBitsError or ValueError if they are not `count`."""
    if len(data) == 4 * count:
        return np.frombuffer(data, "<u4").astype(np.int64)
    if len(data) != _plane_bytes(count, pulses):
        raise ValueError(f"expected {4 * count} bytes of slots, got {len(data)}")
    slots = np.flatnonzero(unpack(data, pulses)).astype(np.int64, copy=False)
    if slots.size != count:
        raise ValueError(f"expected {count} slots in their plane, got {slots.size}")
    return slots


def too_many_detections(often: float, pulses: int) -> bool:
    """Whether a block could have more detections than a half may carry, from clicks per pulse.

    Ten standard deviations above the mean; chance exceeds that once in 10²³ blocks.
    """
    mean = pulses * often
    return min(mean + 10.0 * math.sqrt(mean), pulses) > MAX_DETECTIONS
