"""A session between two people's devices: contents to payloads of three sizes, and back.

From the inside out, a payload is: the text under one-time pad with a one-time tag, where the policy
and the pads allow it (`pads`); all of it, filled up to a payload size, under AES-256-GCM with a key
of its own (`ratchet`); and a header, which says where the message stands, under AES-256-GCM with
the session's header key of its direction. What a message was protected by is told with it.

Sans-I/O, and states are values: `seal_message` and `open_message` return the next state beside
what they made, and what raises has changed nothing. A state is durable before its payload leaves.
Layouts are in spec/chat.md, 3 to 5.
"""

import contextlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bellwire.chat import content as contents
from bellwire.chat import ratchet
from bellwire.chat.content import CHUNK_TEXT_BYTES, PART_BYTES, Content, ContentKind
from bellwire.chat.errors import (
    ChatMisuse,
    ContentMalformed,
    NotAuthentic,
    PadDiffers,
    PadExhausted,
    PadMissing,
    PadSpent,
    PayloadMalformed,
)
from bellwire.chat.identity import PUBLIC_BYTES as IDENTITY_BYTES
from bellwire.chat.identity import SIGNATURE_BYTES
from bellwire.chat.pads import (
    MIX_BYTES,
    NO_PAD,
    OVERHEAD_BYTES,
    PAD_ID_BYTES,
    TAG_BYTES,
    Pads,
    Policy,
    Slice,
    lock,
    unlock,
)
from bellwire.chat.ratchet import STEP_BYTES, Place, Ratchet
from bellwire.crypto import kem
from bellwire.crypto.aead import NONCE_BYTES, open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import CHAT_MESSAGE, CHAT_TAG

PAYLOAD_SIZES: Final = (512, 4096, 16_384)
"""All that a relay sees of a message's length, in bytes."""

SESSION_ID_BYTES: Final = 16
OPENING_BYTES: Final = (
    2 * 16 + 2 * kem.CIPHERTEXT_BYTES + IDENTITY_BYTES + kem.PUBLIC_BYTES + SIGNATURE_BYTES + 16
)
KIND_OPENING: Final = 1
KIND_PLAIN: Final = 2
KIND_STEP: Final = 3

STEP_EVERY: Final = 50
"""Messages, of either side, after which also a receipt steps; what says something always does."""

MIX_EVERY: Final = 16
"""Steps of which one mixes pad in."""

_PLACE: Final = struct.Struct(">IIII")
_AT: Final = struct.Struct(f">{PAD_ID_BYTES}sQI")
_GCM_TAG: Final = 16


class Session(msgspec.Struct, frozen=True, array_like=True):
    """One side's state of a session; its repr shows nothing secret.

    Attributes:
        session_id: 16 bytes, known to both sides alone.
        own: Fingerprint of our identity.
        peer: Fingerprint of the peer's.
        opening_id: What the opening that began it is known by.
        opening: What our messages carry until the peer has been heard; else empty.
        header_out: Key of our headers.
        header_in: Key of the peer's.
        ratchet: Where the keys of messages come from.
        unmixed: Steps of ours since one mixed pad in.
        unstepped: Messages of both sides since our last step.
    """

    session_id: bytes
    own: bytes
    peer: bytes
    opening_id: bytes
    opening: bytes
    header_out: bytes
    header_in: bytes
    ratchet: Ratchet
    unmixed: int = MIX_EVERY
    unstepped: int = 0

    def __repr__(self) -> str:
        return f"Session(with {self.peer.hex()[:16]}…, {self.ratchet!r})"


@dataclass(frozen=True, slots=True)
class Protection:
    """What a message was protected by, beside AES-256-GCM under X25519 and ML-KEM-768 keys.

    Attributes:
        pad_source: Where the pad that its text was under came from; None: no pad.
        pad_bytes: How much of it the text and its tag took.
        mixed_source: Where the pad came from that this message's step mixed in; None: none.
        pad_ids: Of the pads that its text was under, one for each of its parts.
    """

    pad_source: str | None
    pad_bytes: int
    mixed_source: str | None
    pad_ids: tuple[bytes, ...] = ()

    @property
    def is_one_time(self) -> bool:
        """Whether the text was under one-time pad."""
        return self.pad_source is not None


def together(protections: Sequence[Protection]) -> Protection:
    """What a content in several parts was protected by: by pad only if all parts were."""
    padded = all(each.is_one_time for each in protections)
    return Protection(
        protections[0].pad_source if padded else None,
        sum(each.pad_bytes for each in protections),
        protections[0].mixed_source,
        tuple(pad_id for each in protections for pad_id in each.pad_ids),
    )


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message to send, once `session` is durable."""

    session: Session
    payload: bytes
    protection: Protection


@dataclass(frozen=True, slots=True)
class Opened:
    """An authentic message. `spent` is pad to erase, durable together with `session`."""

    session: Session
    content: Content
    protection: Protection
    spent: tuple[Slice, ...]


def encode_session(session: Session) -> bytes:
    """The whole state, secrets and all, for a sealed store."""
    return msgspec.msgpack.encode((1, session))


def decode_session(data: bytes) -> Session:
    """Undo `encode_session`.

    Raises:
        ChatMisuse: it is not a state of this version.
    """
    try:
        version, session = msgspec.msgpack.decode(data, type=tuple[int, Session])
    except (msgspec.DecodeError, msgspec.ValidationError):
        version, session = 0, None
    if version != 1 or session is None:
        raise ChatMisuse("expected the state of a session of version 1, got another")
    return session


def seal_message(session: Session, content: Content, pads: Pads | None, policy: Policy) -> Sealed:
    """Seal one content, or one part of a long one.

    Args:
        session: The newest state.
        content: At most `PART_BYTES` of text; `bellwire.chat.content.split` cuts longer ones.
        pads: The conversation's; None if there are none.
        policy: Of pad. Contents that pad is not for (receipts, typing) go without in any case.

    Raises:
        ChatMisuse: the text is too long.
        PadExhausted: the policy is `require`, and no pad is long enough.
    """
    text = content.text
    if len(text) > _most(content):
        raise ChatMisuse(f"expected at most {_most(content)} bytes of text, got {len(text)}")
    if content.kind is ContentKind.CHUNK and session.opening:
        raise ChatMisuse("expected a session on which the peer was heard, got one that begins")
    source = None if policy is Policy.OFF else pads
    session, mix = _stepped(session, content, source)
    part: Slice | None = None
    if content.kind.is_padded:
        part = None if source is None else source.spend(len(text) + OVERHEAD_BYTES)
        if part is None and policy is Policy.REQUIRE:
            raise PadExhausted(len(text) + OVERHEAD_BYTES)
    state, place, key = ratchet.next_key(session.ratchet)
    body = _body(session.session_id, place, content, part)
    payload = _assemble(session, place, state.step, key, body)
    protection = Protection(
        None if part is None else part.source,
        0 if part is None else len(part.key),
        None if mix is None else mix.source,
        () if part is None else (part.pad_id,),
    )
    after = msgspec.structs.replace(session, ratchet=state, unstepped=session.unstepped + 1)
    return Sealed(after, payload, protection)


def open_message(session: Session, payload: bytes, pads: Pads | None) -> Opened:
    """Open a message of the peer's.

    Raises:
        NotAuthentic: it is no message of this session, or was altered; nothing has changed.
        MessageRefused: another of its kinds, see `errors`; nothing has changed either.
    """
    at, step_bytes = _layout(payload)
    end = at + NONCE_BYTES + _PLACE.size + step_bytes + _GCM_TAG
    nonce, prefix = payload[at : at + NONCE_BYTES], session.session_id + payload[:at]
    try:
        header = open_sealed(session.header_in, nonce, payload[at + NONCE_BYTES : end], prefix)
        epoch, number, previous, seen = _PLACE.unpack_from(header)
        place, part = Place(epoch, number, previous, seen - 1), header[_PLACE.size :]
        mix = _look_mix(session.ratchet, place, part, pads)
        state, key = ratchet.key_of(session.ratchet, place, part, mix)
        message_key = hkdf(key, info=CHAT_MESSAGE, length=32)
        aad = session.session_id + payload[:end]
        body = open_sealed(message_key, bytes(NONCE_BYTES), payload[end:], aad)
    except AuthenticationFailed:
        raise NotAuthentic("expected a message of this session, got another") from None
    found, used = _read_body(session.session_id, place, body, pads)
    spent = tuple(each for each in (mix, used) if each is not None)
    protection = Protection(
        None if used is None else used.source,
        0 if used is None else len(used.key),
        None if mix is None else mix.source,
        () if used is None else (used.pad_id,),
    )
    after = msgspec.structs.replace(
        session, ratchet=state, opening=b"", unstepped=session.unstepped + 1
    )
    return Opened(after, found, protection, spent)


def session_of(payload: bytes, sessions: Sequence[Session]) -> Session:
    """The session whose peer sealed the header of a payload.

    Raises:
        PayloadMalformed: it has not the form of a message.
        NotAuthentic: it is of none of these sessions.
    """
    at, step_bytes = _layout(payload)
    end = at + NONCE_BYTES + _PLACE.size + step_bytes + _GCM_TAG
    nonce, sealed = payload[at : at + NONCE_BYTES], payload[at + NONCE_BYTES : end]
    for session in sessions:
        with contextlib.suppress(AuthenticationFailed):
            open_sealed(session.header_in, nonce, sealed, session.session_id + payload[:at])
            return session
    raise NotAuthentic("expected a message of one of our sessions, got another")


def _stepped(session: Session, content: Content, pads: Pads | None) -> tuple[Session, Slice | None]:
    """The session after the step that is due before this content, and the pad mixed into it."""
    state = session.ratchet
    due = content.kind.is_padded or session.unstepped >= STEP_EVERY or state.sending is None
    if not (due and state.may_step):
        return session, None
    mix = None
    if pads is not None and session.unmixed + 1 >= MIX_EVERY:
        mix = pads.spend(MIX_BYTES, mix=True)
    unmixed = 0 if mix is not None else min(session.unmixed + 1, MIX_EVERY)
    after = msgspec.structs.replace(
        session, ratchet=ratchet.step(state, mix), unmixed=unmixed, unstepped=0
    )
    return after, mix


def _look_mix(state: Ratchet, place: Place, part: bytes, pads: Pads | None) -> Slice | None:
    """The pad that a step which is new to us mixes in."""
    named = ratchet.mixed_pad(part) if part and ratchet.is_new_step(state, place) else None
    if named is None:
        return None
    try:
        return _look(pads, *named, MIX_BYTES)
    except (PadMissing, PadSpent) as error:
        error.of_step = True
        raise


def _look(pads: Pads | None, pad_id: bytes, offset: int, length: int) -> Slice:
    if pads is None:
        raise PadMissing(pad_id)
    return pads.look(pad_id, offset, length)


def _body(session_id: bytes, place: Place, content: Content, part: Slice | None) -> bytes:
    """What is sealed, without the filling."""
    head = content.encode_head()
    pad_id, offset = (NO_PAD, 0) if part is None else (part.pad_id, part.offset)
    body = bytes([len(head)]) + head + _AT.pack(pad_id, offset, len(content.text))
    if part is None:
        return body + content.text
    return body + lock(part, content.text, _context(session_id, place, body))


def _context(session_id: bytes, place: Place, body: bytes) -> bytes:
    """What a one-time tag covers beside the text: where the message stands, and all else of it."""
    return CHAT_TAG + session_id + struct.pack(">II", place.epoch, place.number) + body


def _read_body(
    session_id: bytes, place: Place, body: bytes, pads: Pads | None
) -> tuple[Content, Slice | None]:
    head = body[1 : 1 + body[0]]
    at = 1 + len(head) + _AT.size
    if len(head) != body[0] or len(body) < at:
        raise ContentMalformed("expected the body of a message, got less")
    pad_id, offset, length = _AT.unpack_from(body, at - _AT.size)
    end = at + length + (TAG_BYTES if pad_id != NO_PAD else 0)
    if length > CHUNK_TEXT_BYTES or len(body) < end or any(body[end:]):
        raise ContentMalformed("expected a text that fits a payload and a zero filling")
    if pad_id == NO_PAD:
        return _decode(head, body[at:end]), None
    try:
        part = _look(pads, pad_id, offset, length + OVERHEAD_BYTES)
    except (PadMissing, PadSpent) as error:
        error.content_id = contents.id_of(head)
        raise
    try:
        text = unlock(part, body[at:end], _context(session_id, place, body[:at]))
    except NotAuthentic as error:
        raise PadDiffers(pad_id, contents.id_of(head)) from error
    return _decode(head, text), part


def _decode(head: bytes, text: bytes) -> Content:
    content = contents.decode(head, text)
    if len(text) > _most(content):
        raise ContentMalformed(f"expected a text of at most {_most(content)} bytes, got more")
    return content


def _most(content: Content) -> int:
    """Bytes of text that one payload has of such a content."""
    return CHUNK_TEXT_BYTES if content.kind is ContentKind.CHUNK else PART_BYTES


def _assemble(session: Session, place: Place, step: bytes, key: bytes, body: bytes) -> bytes:
    """The payload, of the least size that holds it."""
    kind = bytes([KIND_STEP if step else KIND_PLAIN])
    prefix = (bytes([KIND_OPENING]) + session.opening if session.opening else b"") + kind
    header = _PLACE.pack(place.epoch, place.number, place.previous, place.seen + 1) + step
    fixed = len(prefix) + NONCE_BYTES + len(header) + 2 * _GCM_TAG
    size = next(each for each in PAYLOAD_SIZES if fixed + len(body) <= each)
    nonce = os.urandom(NONCE_BYTES)
    prefix += nonce + seal(session.header_out, nonce, header, session.session_id + prefix)
    message_key = hkdf(key, info=CHAT_MESSAGE, length=32)
    filled = body.ljust(size - fixed, b"\0")
    return prefix + seal(message_key, bytes(NONCE_BYTES), filled, session.session_id + prefix)


def _layout(payload: bytes) -> tuple[int, int]:
    """Where the nonce of a payload begins, and how long the step in its header is."""
    if len(payload) not in PAYLOAD_SIZES:
        sizes = ", ".join(str(each) for each in PAYLOAD_SIZES)
        raise PayloadMalformed(f"expected a payload of {sizes} bytes, got {len(payload)}")
    at = 1 + OPENING_BYTES if payload[0] == KIND_OPENING else 0
    kind = payload[at] if len(payload) > at else 0
    steps = {KIND_PLAIN: 0, KIND_STEP: STEP_BYTES}
    if kind not in steps or len(payload) < at + 1 + NONCE_BYTES + steps[kind] + 2 * _GCM_TAG:
        raise PayloadMalformed("expected a message of this version, got another")
    return at + 1, steps[kind]
