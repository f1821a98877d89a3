"""What the ends of a transfer, and its relays, say to each other beside the shares.

    Received   target → origin   which shares have arrived, and from which neighbour
    Check      origin → target   the routes, the point of the hash, and a tag of each share
    Confirm    target → origin   which shares arrived altered; none: the block is stored
    Done       origin → target   the block is stored here as well
    Failed     relay  → origin   a hop could not be made, and why

Each is signed by its sender and names its receiver. Ends that have a meeting key from an earlier
block authenticate by it as well, so that who forges one of the two proofs still lacks the other.

Layout: spec/key-relay.md, *Control messages*.
"""

import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.secret import Secret
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import KEY_RELAY
from bellwire.crypto.one_time_mac import HASH_KEY_BYTES, TAG_BYTES
from bellwire.crypto.signatures import SigningKey
from bellwire.network.errors import Malformed, NotAuthentic
from bellwire.network.identity import NodeName, Roster, check, sign
from bellwire.network.model import MAX_BLOCK_BYTES, TRANSFER_BYTES
from bellwire.network.routes import MAX_HOPS, MAX_ROUTES

PURPOSE: Final = b"transfer"
MAC_BYTES: Final = 32
MEETING_ID_BYTES: Final = 8

TransferId = Annotated[bytes, Meta(min_length=TRANSFER_BYTES, max_length=TRANSFER_BYTES)]
Index = Annotated[int, Meta(ge=0, lt=MAX_ROUTES)]
Hops = Annotated[tuple[NodeName, ...], Meta(min_length=2, max_length=MAX_HOPS + 1)]
Tag = Annotated[bytes, Meta(min_length=TAG_BYTES, max_length=TAG_BYTES)]


class Reason(StrEnum):
    """Why a hop could not be made."""

    RED = "the link is RED or not recently judged"
    NO_KEY = "the link has too little key"
    NO_LINK = "there is no such link"
    STORE = "the pool of the link failed"


class Received(msgspec.Struct, frozen=True, array_like=True, tag="received"):
    """Shares that the target holds: index, and the neighbour that brought it."""

    transfer: TransferId
    arrivals: Annotated[tuple[tuple[Index, NodeName], ...], Meta(max_length=64)]


class Check(msgspec.Struct, frozen=True, array_like=True, tag="check"):
    """What the shares must be; `point` and `tags` are public from now on."""

    transfer: TransferId
    block_bytes: Annotated[int, Meta(ge=1, le=MAX_BLOCK_BYTES)]
    routes: Annotated[tuple[Hops, ...], Meta(min_length=1, max_length=MAX_ROUTES)]
    point: Annotated[bytes, Meta(min_length=HASH_KEY_BYTES, max_length=HASH_KEY_BYTES)]
    tags: Annotated[tuple[Tag, ...], Meta(min_length=1, max_length=MAX_ROUTES)]


class Confirm(msgspec.Struct, frozen=True, array_like=True, tag="confirm"):
    """Which shares arrived altered; if none, the target has stored the block."""

    transfer: TransferId
    altered: Annotated[tuple[Index, ...], Meta(max_length=MAX_ROUTES)]


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """The origin has stored the block as well."""

    transfer: TransferId


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """The hop from `sender` to `receiver` of a share could not be made."""

    transfer: TransferId
    index: Index
    sender: NodeName
    receiver: NodeName
    reason: Reason


Control = Received | Check | Confirm | Done | Failed


class _Told(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    receiver: NodeName
    meeting: Annotated[bytes, Meta(max_length=MEETING_ID_BYTES)]
    mac: Annotated[bytes, Meta(max_length=MAC_BYTES)]
    message: bytes


_told = msgspec.msgpack.Decoder(_Told)
_control: msgspec.msgpack.Decoder[Control] = msgspec.msgpack.Decoder(Control)


@dataclass(frozen=True, slots=True)
class Heard:
    """A control message whose signature holds.

    Attributes:
        sender: Who signed it.
        message: What it says.
        meeting: Id of the meeting key that it says it is authenticated by; empty for none.
    """

    sender: str
    message: Control
    meeting: bytes
    _mac: bytes
    _text: bytes

    def check_meeting(self, key: Secret) -> None:
        """Return only if who has the meeting key sent this.

        Raises:
            NotAuthentic: it has another tag, or none.
        """
        if not hmac.compare_digest(self._mac, _mac(key, self._text)):
            raise NotAuthentic(f"expected {self.sender} to have the key of an earlier block")


def meeting_id(key: Secret) -> bytes:
    """The name of a meeting key, 8 bytes, which says nothing about it."""
    return hkdf(key.reveal(), info=KEY_RELAY + b" meeting id", length=MEETING_ID_BYTES)


def tell(
    identity: SigningKey, sender: str, receiver: str, message: Control, meeting: Secret | None
) -> bytes:
    """A control message, signed, and tagged by the meeting key where there is one."""
    body = msgspec.msgpack.encode(message)
    if meeting is None:
        told = _Told(receiver, b"", b"", body)
    else:
        mac = _mac(meeting, _text(sender, receiver, body))
        told = _Told(receiver, meeting_id(meeting), mac, body)
    return sign(identity, sender, PURPOSE, msgspec.msgpack.encode(told))


def hear(roster: Roster, receiver: str, data: bytes) -> Heard:
    """Read a control message and check its signature; the meeting key is the caller's to check.

    Raises:
        Malformed: it is none.
        NotAuthentic: its signature does not hold, or it is for somebody else.
    """
    sender, body = check(roster, PURPOSE, data)
    try:
        told = _told.decode(body)
        message = _control.decode(told.message)
    except UNDECODABLE as error:
        raise Malformed(f"expected a control message, got something else: {error}") from error
    if told.receiver != receiver:
        raise NotAuthentic(f"expected a message for {receiver}, got one for {told.receiver}")
    if isinstance(message, Check) and len(message.tags) != len(message.routes):
        raise Malformed(
            f"expected a tag for each of {len(message.routes)} routes, got {len(message.tags)}"
        )
    text = _text(sender, receiver, told.message)
    return Heard(sender, message, told.meeting, told.mac, text)


def _text(sender: str, receiver: str, body: bytes) -> bytes:
    names = (sender.encode(), receiver.encode())
    return b"".join(bytes([len(name)]) + name for name in names) + body


def _mac(key: Secret, text: bytes) -> bytes:
    derived = hkdf(key.reveal(), info=KEY_RELAY + b" meeting tag", length=MAC_BYTES)
    return hmac.digest(derived, text, "sha256")
