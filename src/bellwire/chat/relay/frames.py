"""What crosses the line to a relay: one binary frame a message (spec/relay.md).

Every frame begins with a byte that says what it is. Lengths are exact: whatever is longer, shorter
or of another kind is no frame.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bellwire.channel.places import MAX_NOTICE_BYTES, MIN_NOTICE_BYTES
from bellwire.chat.accounts.line import ANSWER_SIZES, HELLO_BYTES, OFFER_BYTES, REQUEST_SIZES
from bellwire.chat.errors import RelayMisbehaved
from bellwire.chat.identity import PUBLIC_BYTES, SIGNATURE_BYTES
from bellwire.chat.session import PAYLOAD_SIZES

VERSION: Final = 1
NONCE_BYTES: Final = 32
RELAY_ID_BYTES: Final = 32
MAILBOX_BYTES: Final = 16
RIGHT_BYTES: Final = 32
TOKEN_BYTES: Final = 16
MAX_TTL_S: Final = 30 * 86_400
"""How long a relay keeps what nobody fetches, at most, in seconds."""

_CHALLENGE: Final = struct.Struct(f">BB{NONCE_BYTES}s{RELAY_ID_BYTES}s")
_LOGIN: Final = struct.Struct(f">BI{PUBLIC_BYTES}s{SIGNATURE_BYTES}s")
_OPEN: Final = struct.Struct(f">BI{MAILBOX_BYTES}s{RIGHT_BYTES}s")
_CLOSE: Final = struct.Struct(f">BI{MAILBOX_BYTES}s")
_DROP: Final = struct.Struct(f">BI{RIGHT_BYTES}s{TOKEN_BYTES}sI")
_LISTEN: Final = struct.Struct(">BI")
_ACCOUNT: Final = struct.Struct(">BI")
_SAFE: Final = struct.Struct(">BQ")
_DONE: Final = struct.Struct(">BI")
_REFUSED: Final = struct.Struct(">BIB")
_DELIVER: Final = struct.Struct(f">B{MAILBOX_BYTES}sQ")
_BUNDLE: Final = struct.Struct(f">BI{RIGHT_BYTES}sIB")
_DELIVER_BUNDLE: Final = struct.Struct(f">B{MAILBOX_BYTES}sQB")
DROP_BYTES: Final = _DROP.size
"""Of a drop, before its payload."""

BUNDLES: Final = "bellwire-bundles"
"""The WebSocket subprotocol of both sides that understand bundles (RFC 6455, 1.9)."""

PROTOCOL_HEADER: Final = "Sec-WebSocket-Protocol"

MAX_BUNDLE: Final = 64
"""Payloads of one bundle."""

MAX_BUNDLE_BYTES: Final = 65_536
"""Of all payloads of one bundle."""

MAX_FRAME_BYTES: Final = _BUNDLE.size + MAX_BUNDLE * TOKEN_BYTES + MAX_BUNDLE_BYTES
MAX_ANSWER_BYTES: Final = max(
    _ACCOUNT.size + ANSWER_SIZES[-1], _DELIVER_BUNDLE.size + MAX_BUNDLE_BYTES
)


class Op(IntEnum):
    """What a frame is; the relay's own have the highest bit."""

    LOGIN = 0x01
    OPEN = 0x02
    CLOSE = 0x03
    DROP = 0x04
    LISTEN = 0x05
    SAFE = 0x06
    ACCOUNT = 0x07
    DROP_BUNDLE = 0x08
    SAFE_UP_TO = 0x09
    CHALLENGE = 0x81
    DONE = 0x82
    REFUSED = 0x83
    DELIVER = 0x84
    ACCOUNT_ANSWER = 0x85
    NOTICE = 0x86
    DELIVER_BUNDLE = 0x87


class Reason(IntEnum):
    """Why a relay refuses."""

    NOT_LOGGED_IN = 1
    NO_MAILBOX = 2
    FULL = 3
    TOO_FAST = 4
    TAKEN = 5
    FAILED = 6
    ELSEWHERE = 7
    NO_ACCOUNTS = 8


@dataclass(frozen=True, slots=True)
class Challenge:
    """The relay's first frame; a login signs both."""

    nonce: bytes
    relay_id: bytes


@dataclass(frozen=True, slots=True)
class Login:
    """The account's public key, and its signature of the challenge."""

    request: int
    public: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Open:
    """Have a mailbox; `right_hash` is SHA-256 of the right to drop into it."""

    request: int
    mailbox: bytes
    right_hash: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Give a mailbox up, and what is in it."""

    request: int
    mailbox: bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """Leave a payload in the mailbox of a right; `token` is the same when it is sent again."""

    request: int
    right: bytes
    token: bytes
    ttl_s: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class DropBundle:
    """Leave payloads of one size in the mailbox of a right, in this order; one answer for all."""

    request: int
    right: bytes
    ttl_s: int
    tokens: tuple[bytes, ...]
    payloads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Listen:
    """Deliver what is in the account's mailboxes, now and from now on."""

    request: int


@dataclass(frozen=True, slots=True)
class Safe:
    """What was delivered under this number is durable here; the relay may forget it."""

    number: int


@dataclass(frozen=True, slots=True)
class SafeUpTo:
    """So is all that was delivered until then, and this."""

    number: int


@dataclass(frozen=True, slots=True)
class ToAccounts:
    """Something for the relay's accounts (spec/accounts.md); empty: to have their offer."""

    request: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """A request was done, durably."""

    request: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was not done."""

    request: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Deliver:
    """A payload; numbers count what was delivered since the connection listens."""

    mailbox: bytes
    number: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class DeliverBundle:
    """Payloads of one size and mailbox; `number` is the first one's, the next ones follow."""

    mailbox: bytes
    number: int
    payloads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class FromAccounts:
    """What the relay's accounts answer."""

    request: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the relay is: a notice that it signed (spec/places.md), not looked into."""

    notice: bytes


Request = Login | Open | Close | Drop | DropBundle | Listen | Safe | SafeUpTo | ToAccounts
Answer = Challenge | Done | Refused | Deliver | DeliverBundle | FromAccounts | Placed


def encode(frame: Request | Answer) -> bytes:  # noqa: PLR0911, PLR0912 - a line for each
    """A frame as it is sent."""
    match frame:
        case Drop(request, right, token, ttl_s, payload):
            return _DROP.pack(Op.DROP, request, right, token, ttl_s) + payload
        case Deliver(mailbox, number, payload):
            return _DELIVER.pack(Op.DELIVER, mailbox, number) + payload
        case Safe(number):
            return _SAFE.pack(Op.SAFE, number)
        case DropBundle(request, right, ttl_s, tokens, payloads):
            head = _BUNDLE.pack(Op.DROP_BUNDLE, request, right, ttl_s, len(payloads))
            return b"".join((head, *tokens, *payloads))
        case DeliverBundle(mailbox, number, payloads):
            head = _DELIVER_BUNDLE.pack(Op.DELIVER_BUNDLE, mailbox, number, len(payloads))
            return b"".join((head, *payloads))
        case SafeUpTo(number):
            return _SAFE.pack(Op.SAFE_UP_TO, number)
        case Done(request):
            return _DONE.pack(Op.DONE, request)
        case Refused(request, reason):
            return _REFUSED.pack(Op.REFUSED, request, reason)
        case Challenge(nonce, relay_id):
            return _CHALLENGE.pack(Op.CHALLENGE, VERSION, nonce, relay_id)
        case Login(request, public, signature):
            return _LOGIN.pack(Op.LOGIN, request, public, signature)
        case Open(request, mailbox, right_hash):
            return _OPEN.pack(Op.OPEN, request, mailbox, right_hash)
        case Close(request, mailbox):
            return _CLOSE.pack(Op.CLOSE, request, mailbox)
        case Listen(request):
            return _LISTEN.pack(Op.LISTEN, request)
        case ToAccounts(request, body):
            return _ACCOUNT.pack(Op.ACCOUNT, request) + body
        case FromAccounts(request, body):
            return _ACCOUNT.pack(Op.ACCOUNT_ANSWER, request) + body
        case Placed(notice):
            return bytes([Op.NOTICE]) + notice


# What a relay reads and writes for each payload, without an object for each frame.

_DROP_SIZES: Final = frozenset(DROP_BYTES + size for size in PAYLOAD_SIZES)
_READ_DROP: Final = struct.Struct(f">xI{RIGHT_BYTES}s{TOKEN_BYTES}sI").unpack_from
_READ_SAFE: Final = struct.Struct(">xQ").unpack


def read_drop(data: bytes) -> tuple[int, bytes, bytes, int] | None:
    """Request, right, token and time to live of a drop; None if it is none.

    The payload is what follows at `DROP_BYTES`.
    """
    if len(data) in _DROP_SIZES:
        drop: tuple[int, bytes, bytes, int] = _READ_DROP(data)
        if 1 <= drop[3] <= MAX_TTL_S:
            return drop
    return None


_READ_BUNDLE: Final = struct.Struct(f">xI{RIGHT_BYTES}sIB").unpack_from
_TOKENS: Final = [struct.Struct(f"{TOKEN_BYTES}s" * count) for count in range(MAX_BUNDLE + 1)]
_BUNDLE_SIZES: Final = {
    _BUNDLE.size + count * (TOKEN_BYTES + size): (count, size)
    for size in PAYLOAD_SIZES
    for count in range(1, min(MAX_BUNDLE, MAX_BUNDLE_BYTES // size) + 1)
}
"""How many payloads of which size a frame of so many bytes has: no two are alike."""


def read_bundle(data: bytes) -> tuple[int, bytes, int, tuple[bytes, ...], memoryview, int] | None:
    """Request, right, time to live, tokens, payloads and the size of each; None if it is none.

    The payloads are behind each other, in the memory of `data`.
    """
    found = _BUNDLE_SIZES.get(len(data))
    if found is None:
        return None
    request, right, ttl_s, count = _READ_BUNDLE(data)
    if count != found[0] or not 1 <= ttl_s <= MAX_TTL_S:
        return None
    reader = _TOKENS[count]
    tokens: tuple[bytes, ...] = reader.unpack_from(data, _BUNDLE.size)
    payloads = memoryview(data)[_BUNDLE.size + reader.size :]
    return request, right, ttl_s, tokens, payloads, found[1]


def read_safe(data: bytes) -> int | None:
    """The number in a word that a payload is safe; None if it is none."""
    if len(data) != _SAFE.size:
        return None
    number: int = _READ_SAFE(data)[0]
    return number


def binary_header(size: int) -> bytes:
    """What precedes a binary frame of so many bytes that a relay sends (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((0x82, size))
    if size < 1 << 16:
        return b"\x82\x7e" + size.to_bytes(2, "big")
    return b"\x82\x7f" + size.to_bytes(8, "big")


_FRAMED_DONE: Final = struct.Struct(">2sBI")
_DONE_HEADER: Final = binary_header(_DONE.size)
_DONE_OP: Final = int(Op.DONE)
_FRAMED_DELIVER: Final = struct.Struct(f">4sB{MAILBOX_BYTES}sQ")
_DELIVER_HEADERS: Final = {size: binary_header(_DELIVER.size + size) for size in PAYLOAD_SIZES}
_DELIVER_OP: Final = int(Op.DELIVER)


def done(request: int) -> bytes:
    """The whole frame, as it is written."""
    return _FRAMED_DONE.pack(_DONE_HEADER, _DONE_OP, request)


def deliver_head(mailbox: bytes, number: int, size: int) -> bytes:
    """The frame as it is written, up to its payload of so many bytes."""
    return _FRAMED_DELIVER.pack(_DELIVER_HEADERS[size], _DELIVER_OP, mailbox, number)


_DELIVER_BUNDLE_OP: Final = int(Op.DELIVER_BUNDLE)


def deliver_bundle_head(mailbox: bytes, number: int, count: int, size: int) -> bytes:
    """The frame as it is written, up to its payloads of so many bytes together."""
    return binary_header(_DELIVER_BUNDLE.size + size) + _DELIVER_BUNDLE.pack(
        _DELIVER_BUNDLE_OP, mailbox, number, count
    )


def pieces(payloads: bytes | memoryview, size: int) -> tuple[bytes, ...]:
    """Payloads that are behind each other, each by itself."""
    return tuple(bytes(payloads[at : at + size]) for at in range(0, len(payloads), size))


def read_request(data: bytes) -> Request:  # noqa: PLR0911 - a line for each
    """A frame of a client's.

    Raises:
        RelayMisbehaved: it is none.
    """
    op = data[0] if data else 0
    try:
        if op == Op.DROP:
            drop = read_drop(data)
            if drop is not None:
                return Drop(*drop, data[DROP_BYTES:])
        elif op == Op.DROP_BUNDLE:
            bundle = read_bundle(data)
            if bundle is not None:
                request, right, ttl_s, tokens, payloads, size = bundle
                return DropBundle(request, right, ttl_s, tokens, pieces(payloads, size))
        elif op == Op.SAFE:
            return Safe(*_SAFE.unpack(data)[1:])
        elif op == Op.SAFE_UP_TO:
            return SafeUpTo(*_SAFE.unpack(data)[1:])
        elif op == Op.LOGIN:
            return Login(*_LOGIN.unpack(data)[1:])
        elif op == Op.OPEN:
            return Open(*_OPEN.unpack(data)[1:])
        elif op == Op.CLOSE:
            return Close(*_CLOSE.unpack(data)[1:])
        elif op == Op.LISTEN:
            return Listen(*_LISTEN.unpack(data)[1:])
        elif op == Op.ACCOUNT and len(data) - _ACCOUNT.size in {0, HELLO_BYTES, *REQUEST_SIZES}:
            return ToAccounts(_ACCOUNT.unpack_from(data)[1], data[_ACCOUNT.size :])
    except struct.error:
        pass
    raise RelayMisbehaved(f"expected a frame of a client, got {len(data)} other bytes")


def read_answer(data: bytes) -> Answer:  # noqa: PLR0911 - a line for each
    """A frame of a relay's.

    Raises:
        RelayMisbehaved: it is none, or of another version.
    """
    op = data[0] if data else 0
    try:
        if op == Op.DELIVER and len(data) - _DELIVER.size in PAYLOAD_SIZES:
            _, mailbox, number = _DELIVER.unpack_from(data)
            return Deliver(mailbox, number, data[_DELIVER.size :])
        if op == Op.DELIVER_BUNDLE:
            _, mailbox, number, count = _DELIVER_BUNDLE.unpack_from(data)
            payloads = data[_DELIVER_BUNDLE.size :]
            size = len(payloads) // count if 1 <= count <= MAX_BUNDLE else 0
            if size in PAYLOAD_SIZES and size * count == len(payloads) <= MAX_BUNDLE_BYTES:
                return DeliverBundle(mailbox, number, pieces(payloads, size))
        if op == Op.DONE:
            return Done(*_DONE.unpack(data)[1:])
        if op == Op.REFUSED:
            _, request, reason = _REFUSED.unpack(data)
            return Refused(request, Reason(reason))
        if op == Op.ACCOUNT_ANSWER and len(data) - _ACCOUNT.size in {OFFER_BYTES, *ANSWER_SIZES}:
            return FromAccounts(_ACCOUNT.unpack_from(data)[1], data[_ACCOUNT.size :])
        if op == Op.NOTICE and MIN_NOTICE_BYTES <= len(data) - 1 <= MAX_NOTICE_BYTES:
            return Placed(data[1:])
        if op == Op.CHALLENGE:
            _, version, nonce, relay_id = _CHALLENGE.unpack(data)
            if version == VERSION:
                return Challenge(nonce, relay_id)
    except (struct.error, ValueError):
        pass
    raise RelayMisbehaved(f"expected a frame of a relay of version 1, got {len(data)} other bytes")
