"""The classical channel between two nodes: who is at the other end, and nothing altered unnoticed.

Every frame after the first carries a tag of AES-256-GCM over its number and body, under keys of
this connection. That is early detection only: it stops tampering, dropping, repeating and
reordering before they waste a block. What makes a block's bits safe are the one-time tags inside
it (`distill.session`).

A connection begins with one HELLO each way (version, side, nonce), then one SYNC each way, which
settles blocks that an earlier end left pending. Wire format: spec/classical-channel.md.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, AesGcm
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.distill.errors import FrameTampered, MalformedMessage, PeerMismatch
from bellwire.distill.messages import (
    MAX_BODY,
    MAX_PAD_BITS,
    SESSION_BYTES,
    VERSION,
    Nonce,
    decode,
    encode,
)
from bellwire.distill.verdict import Reason

MAC_BYTES = TAG_BYTES
MAX_FRAME = MAX_BODY + 1024
MAX_HELLO = 256
MAX_PENDING = 64
MAX_SYNC = 1024
"""Of SYNC and SETTLED, with room: until SYNC has shown who sends it, no more is taken in."""

BlockNumber = Annotated[int, Meta(ge=0, le=1 << 62)]


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """First frame each way, in clear."""

    version: Annotated[int, Meta(ge=1, le=255)]
    side: Side
    nonce: Nonce


class Step(msgspec.Struct, frozen=True, array_like=True, tag="step"):
    """A step's message of the block that is under way."""

    probe: bool
    number: BlockNumber
    step: Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]
    body: Annotated[bytes, Meta(max_length=MAX_BODY)]


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="ended"):
    """The sender is done with a block that gave no key."""

    probe: bool
    number: BlockNumber
    reason: Reason


class Sync(msgspec.Struct, frozen=True, array_like=True, tag="sync"):
    """The sender's last block number, and the blocks it keeps but may not use yet."""

    last_block: BlockNumber
    pending: Annotated[list[BlockNumber], Meta(max_length=MAX_PENDING)]


class Settled(msgspec.Struct, frozen=True, array_like=True, tag="settled"):
    """Answer to SYNC: which of the peer's pending blocks the sender keeps too."""

    kept: Annotated[list[BlockNumber], Meta(max_length=MAX_PENDING)]


SessionId = Annotated[bytes, Meta(min_length=SESSION_BYTES, max_length=SESSION_BYTES)]


class Wanted(msgspec.Struct, frozen=True, array_like=True, tag="wanted"):
    """Bob asks Alice to open a session for a master of his site; fields as of `messages.Fresh`."""

    session: SessionId
    pad_bits: Annotated[int, Meta(ge=8, le=MAX_PAD_BITS, multiple_of=8)]
    grant: Annotated[int, Meta(ge=1, le=(1 << 18) - 1)]


class Declined(msgspec.Struct, frozen=True, array_like=True, tag="declined"):
    """Alice opens no session, or no further one, for what Bob wanted."""

    session: SessionId
    reason: Reason


Frame = Step | Ended | Sync | Settled | Wanted | Declined
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


class Line:
    """One side's end of a connection, sans-I/O: frames in, messages out and back.

    Args:
        side: Which side we are.
        mac_key: Shared beforehand with the peer. HKDF makes this connection's keys from it and,
            under a label of its own, the key of the key ids (`keys.opaque`); it has no other use.
        nonce: 32 fresh random bytes.
    """

    def __init__(self, side: Side, mac_key: Secret, nonce: bytes) -> None:
        self._side = side
        self._mac_key = mac_key
        self._nonce = nonce
        self._ciphers: tuple[AesGcm, AesGcm] | None = None  # of our frames, and of the peer's
        self._sent = self._received = 0

    def hello(self) -> bytes:
        """Our first frame."""
        return encode(Hello(VERSION, self._side, self._nonce))

    def receive_hello(self, frame: bytes) -> None:
        """Take the peer's first frame; from here on frames can be sealed and opened.

        Raises:
            PeerMismatch: another version, or a peer that says it is on our own side.
            RuntimeError: there was one already; new keys would count frames anew.
        """
        if self._ciphers is not None:
            raise RuntimeError("the peer's HELLO was taken already")
        hello = decode(frame[:MAX_HELLO], Hello)
        if hello.version != VERSION:
            raise PeerMismatch(f"expected version {VERSION} from the peer, got {hello.version}")
        if hello.side is not self._side.peer:
            raise PeerMismatch(f"expected {self._side.peer} at the other end, got {hello.side}")
        ours, theirs = self._nonce, hello.nonce
        salt = ours + theirs if self._side is Side.ALICE else theirs + ours
        ours_key, theirs_key = (
            hkdf(self._mac_key.reveal(), salt=salt, info=b"line from " + side.encode(), length=32)
            for side in (self._side, self._side.peer)
        )
        self._ciphers = AesGcm(ours_key), AesGcm(theirs_key)

    def seal(self, message: Frame) -> bytes:
        """Encode a message as our next frame.

        Raises:
            RuntimeError: before the peer's HELLO there are no keys.
        """
        ours, _ = self._after_hello()
        body = encode(message)
        frame = body + ours.seal(_nonce(self._sent), b"", body)
        self._sent += 1
        return frame

    def open(self, frame: bytes) -> Frame:
        """Decode the peer's next frame.

        Raises:
            FrameTampered: not the peer's next frame; the connection cannot go on.
            MalformedMessage: the peer itself sent what no peer sends.
            RuntimeError: before the peer's HELLO there are no keys.
        """
        _, theirs = self._after_hello()
        body, mac = frame[:-MAC_BYTES], frame[-MAC_BYTES:]
        try:
            theirs.open(_nonce(self._received), mac, body)
        except AuthenticationFailed as error:
            raise FrameTampered(
                f"frame {self._received} from the peer was altered or is not next"
            ) from error
        self._received += 1
        try:
            return _decoder.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise MalformedMessage(f"expected a frame: {error}") from error

    def _after_hello(self) -> tuple[AesGcm, AesGcm]:
        if self._ciphers is None:
            raise RuntimeError("no frames before the peer's HELLO")
        return self._ciphers


def _nonce(number: int) -> bytes:
    """A frame's number serves once under a key, which is of one connection and direction."""
    return number.to_bytes(NONCE_BYTES, "big")
