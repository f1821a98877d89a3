"""One hop of a share: encrypted with a one-time pad, and tagged, by key of that one link.

The key of a frame is drawn from the link's pool and named by its ids: 32 bytes make the tag, the
rest is the pad. It leaves the pool once at each end, so no pad serves twice; a frame that is sent
again is the same bytes. Who has the frame and not the key learns the route and the length; who
changes a bit of it is found before anything of it is used.

Layout: spec/key-relay.md, *Hops*. Tag: `bellwire.crypto.one_time_mac`.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.secret import Secret
from bellwire.crypto.errors import TagMismatch
from bellwire.crypto.labels import KEY_RELAY
from bellwire.crypto.one_time_mac import (
    HASH_KEY_BYTES,
    PAD_BYTES,
    TAG_BYTES,
    tag,
    verify_tag,
)
from bellwire.keys.kme import KEY_ID_BYTES
from bellwire.network.errors import Malformed, NotAuthentic
from bellwire.network.identity import NodeName
from bellwire.network.linkstate import OwnLink
from bellwire.network.model import MAX_BLOCK_BYTES, SHARE_OVERHEAD, TRANSFER_BYTES
from bellwire.network.routes import MAX_HOPS, MAX_ROUTES

VERSION: Final = 1
HOP_OVERHEAD: Final = HASH_KEY_BYTES + PAD_BYTES
"""Bytes of link key that a hop takes beyond those of the share."""

MAX_KEY_IDS: Final = 256
"""Link keys of one frame."""

MAX_SHARE_BYTES: Final = MAX_BLOCK_BYTES + SHARE_OVERHEAD
MAX_HEADER_BYTES: Final = 4096
MAX_FRAME_BYTES: Final = MAX_SHARE_BYTES + MAX_KEY_IDS * KEY_ID_BYTES + MAX_HEADER_BYTES + 256

_LABEL: Final = KEY_RELAY + b" hop"


@dataclass(frozen=True, slots=True)
class LinkKey:
    """Key that left a link's pool at one end.

    Attributes:
        ids: 16 bytes for each key it was made of: the other end fetches by them.
        key: As many bytes as were asked for. Secret.
    """

    ids: bytes
    key: Secret


class HopKeys(Protocol):
    """Key of one link, at one of its ends; whatever pool is behind it.

    Errors of `keys.errors`, such as LinkRed, NotEnoughKey or KeyGone: nothing left.
    """

    async def draw(self, size: int) -> LinkKey:
        """`size` bytes that never left before, and never will again."""

    async def fetch(self, ids: bytes, size: int) -> Secret:
        """The first `size` bytes of what the other end drew under `ids`; once."""

    def view(self) -> OwnLink:
        """Status, stock and cost, as this end sees them now."""


class ShareHeader(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a relay reads of a share.

    Attributes:
        transfer: Name of the attempt.
        index: Which share of it.
        route: All nodes, origin first.
        position: Place of the receiver in `route`, from 1.
    """

    transfer: Annotated[bytes, Meta(min_length=TRANSFER_BYTES, max_length=TRANSFER_BYTES)]
    index: Annotated[int, Meta(ge=0, lt=MAX_ROUTES)]
    route: Annotated[tuple[NodeName, ...], Meta(min_length=2, max_length=MAX_HOPS + 1)]
    position: Annotated[int, Meta(ge=1, le=MAX_HOPS)]

    @property
    def sender(self) -> str:
        """Who sends this hop."""
        return self.route[self.position - 1]

    @property
    def receiver(self) -> str:
        """Who receives this hop."""
        return self.route[self.position]

    @property
    def last(self) -> bool:
        """Whether the receiver is the target."""
        return self.position == len(self.route) - 1

    def forward(self) -> "ShareHeader":
        """The header of the next hop."""
        return ShareHeader(self.transfer, self.index, self.route, self.position + 1)


class _Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    header: Annotated[bytes, Meta(max_length=MAX_HEADER_BYTES)]
    ids: Annotated[bytes, Meta(min_length=KEY_ID_BYTES, max_length=MAX_KEY_IDS * KEY_ID_BYTES)]
    sealed: Annotated[bytes, Meta(min_length=SHARE_OVERHEAD + 1, max_length=MAX_SHARE_BYTES)]
    tag: Annotated[bytes, Meta(min_length=TAG_BYTES, max_length=TAG_BYTES)]


_frames = msgspec.msgpack.Decoder(_Frame)
_headers = msgspec.msgpack.Decoder(ShareHeader)


@dataclass(frozen=True, slots=True)
class ShareFrame:
    """A frame as it came: to be believed only once `open_share` has returned.

    Attributes:
        header: What it says of itself.
        ids: Of the link key that it says it was made with.
    """

    header: ShareHeader
    ids: bytes
    _frame: _Frame

    @property
    def key_bytes(self) -> int:
        """Bytes of link key that it takes to open it."""
        return key_bytes(len(self._frame.sealed))

    def open_share(self, key: Secret) -> Secret:
        """The share; returns only if the holder of `key` made this frame.

        Args:
            key: `key_bytes` bytes of the link's.

        Raises:
            NotAuthentic: the frame, or the key, is another.
        """
        frame = self._frame
        if len(key) != self.key_bytes:
            # Whoever drew less than the share takes has left a part of it without a pad.
            raise NotAuthentic(
                f"expected link key of {self.key_bytes} bytes for this share, got {len(key)}"
            )
        hash_key, pad, stream = _cut(key)
        try:
            verify_tag(hash_key, pad, _text(frame.header, frame.ids, frame.sealed), frame.tag)
        except TagMismatch as error:
            raise NotAuthentic(
                f"expected a share that {self.header.sender} tagged with the link's key, "
                "got another"
            ) from error
        return Secret(xor(frame.sealed, stream))


def key_bytes(share_bytes: int) -> int:
    """Bytes of link key that one hop of a share takes."""
    return share_bytes + HOP_OVERHEAD


def seal_share(header: ShareHeader, share: Secret, link_key: LinkKey) -> bytes:
    """The frame of one hop.

    Args:
        header: Of this hop.
        share: What is carried. Secret.
        link_key: `key_bytes(len(share))` bytes of the link's, never used before.
    """
    hash_key, pad, stream = _cut(link_key.key)
    told = msgspec.msgpack.encode(header)
    sealed = xor(share.reveal(), stream)
    mac = tag(hash_key, pad, _text(told, link_key.ids, sealed))
    return msgspec.msgpack.encode(_Frame(VERSION, told, link_key.ids, sealed, mac))


def read_frame(data: bytes) -> ShareFrame:
    """Take a frame apart; nothing of it is believed yet.

    Raises:
        Malformed: it is no share of this version.
    """
    if len(data) > MAX_FRAME_BYTES:
        raise Malformed(f"expected a share of at most {MAX_FRAME_BYTES} bytes, got {len(data)}")
    try:
        frame = _frames.decode(data)
        header = _headers.decode(frame.header)
    except UNDECODABLE as error:
        raise Malformed(f"expected a share, got something else: {error}") from error
    if frame.version != VERSION:
        raise Malformed(f"expected a share of version {VERSION}, got {frame.version}")
    if header.position >= len(header.route) or len(set(header.route)) < len(header.route):
        raise Malformed("expected a route without loops, with the receiver on it, got another")
    if len(frame.ids) % KEY_ID_BYTES:
        raise Malformed(f"expected ids of {KEY_ID_BYTES} bytes each, got {len(frame.ids)} bytes")
    return ShareFrame(header, frame.ids, frame)


def xor(one: bytes, other: bytes) -> bytes:
    """Bitwise sum of two texts of one length; ValueError if they differ in it."""
    if len(one) != len(other):
        raise ValueError(f"expected texts of one length, got {len(one)} and {len(other)}")
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))


def _cut(key: Secret) -> tuple[Secret, Secret, bytes]:
    data = key.reveal()
    return (
        Secret(data[:HASH_KEY_BYTES]),
        Secret(data[HASH_KEY_BYTES:HOP_OVERHEAD]),
        data[HOP_OVERHEAD:],
    )


def _text(header: bytes, ids: bytes, sealed: bytes) -> tuple[bytes, ...]:
    lengths = len(header).to_bytes(4) + len(ids).to_bytes(4)
    return (_LABEL, lengths, header, ids, sealed)
