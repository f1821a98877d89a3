"""What is asked of accounts, and what they answer: MessagePack inside sealed records.

Each request is a map whose `do` says which; what a type below does not name, or bounds, is none.
Sizes of keys and signatures are exact.

Source: spec/accounts.md, 4.
"""

from enum import IntEnum
from typing import Annotated, Final, TypeVar

import msgspec

from bellwire.chat.errors import RelayMisbehaved
from bellwire.chat.identity import PUBLIC_BYTES, SIGNATURE_BYTES
from bellwire.chat.prekeys import PREKEY_BYTES

TOKEN_BYTES: Final = 32
DEVICE_BYTES: Final = 8
MAX_DEVICE_CHARS: Final = 64
MAX_CARD_BYTES: Final = 800
MAX_AT_ONCE: Final = 3
"""One-time prekeys that one request publishes: more would not fit a record."""


def _exactly(size: int) -> msgspec.Meta:
    return msgspec.Meta(min_length=size, max_length=size)


Handle = Annotated[str, msgspec.Meta(max_length=32)]
Public = Annotated[bytes, _exactly(PUBLIC_BYTES)]
Signature = Annotated[bytes, _exactly(SIGNATURE_BYTES)]
Token = Annotated[bytes, _exactly(TOKEN_BYTES)]
DeviceId = Annotated[bytes, _exactly(DEVICE_BYTES)]
DeviceName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_DEVICE_CHARS)]
PrekeyBytes = Annotated[bytes, _exactly(PREKEY_BYTES)]
CardBytes = Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_CARD_BYTES)]


class Visibility(IntEnum):
    """Who finds an account."""

    HIDDEN = 0
    EXACT = 1
    LISTED = 2


class AccountReason(IntEnum):
    """Why accounts refuse."""

    WRONG = 1
    TAKEN = 2
    TOO_FAST = 3
    NOBODY = 4
    FULL = 5
    FAILED = 6
    UNSIGNED = 7
    SESSION_OVER = 8
    EXPIRED = 9
    NO_DEVICE = 10
    MALFORMED = 11


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A map with the names of its fields."""


class SignUp(_Message, frozen=True, tag_field="do", tag="sign up"):
    """Have a handle: the identity and the password's key prove themselves."""

    handle: Handle
    identity: Public
    verifier: Public
    identity_proof: Signature
    password_proof: Signature
    device: DeviceName


class LogIn(_Message, frozen=True, tag_field="do", tag="log in"):
    """Begin a session of a device."""

    handle: Handle
    proof: Signature
    device: DeviceName


class LogOut(_Message, frozen=True, tag_field="do", tag="log out"):
    """End the session of one device; None: of this one."""

    token: Token
    device: DeviceId | None = None


class LogOutEverywhere(_Message, frozen=True, tag_field="do", tag="log out everywhere"):
    """End all sessions, this one too."""

    token: Token


class Devices(_Message, frozen=True, tag_field="do", tag="devices"):
    """Say which devices have sessions."""

    token: Token


class NameDevice(_Message, frozen=True, tag_field="do", tag="name device"):
    """Call a device of the account something else."""

    token: Token
    device: DeviceId
    name: DeviceName


class SetVisibility(_Message, frozen=True, tag_field="do", tag="set visibility"):
    """Choose who finds the account."""

    token: Token
    visibility: Visibility


class SetPassword(_Message, frozen=True, tag_field="do", tag="set password"):
    """Have a new password, by proof of the old one or of the identity; all sessions end."""

    handle: Handle
    verifier: Public
    password_proof: Signature
    by_identity: bool
    proof: Signature


class Export(_Message, frozen=True, tag_field="do", tag="export"):
    """Say all that is kept of the account."""

    token: Token


class Delete(_Message, frozen=True, tag_field="do", tag="delete"):
    """Forget the account, by proof of the password; its handle serves nobody again."""

    token: Token
    proof: Signature


class Publish(_Message, frozen=True, tag_field="do", tag="publish"):
    """Keep prekeys for others; with none, only say how many are left.

    The first that another device publishes takes the place of all that were there; it has a lasting
    prekey, a card and a claim.
    """

    token: Token
    lasting: PrekeyBytes | None = None
    one_time: Annotated[list[PrekeyBytes], msgspec.Meta(max_length=MAX_AT_ONCE)] = []
    card: CardBytes | None = None
    claim: Signature | None = None


class Take(_Message, frozen=True, tag_field="do", tag="take"):
    """Give the keys of somebody, and the card that says where a first message is dropped."""

    handle: Handle


class Search(_Message, frozen=True, tag_field="do", tag="search"):
    """Say which listed handles begin so."""

    prefix: Handle


InSession = (
    LogOut | LogOutEverywhere | Devices | NameDevice | SetVisibility | Export | Delete | Publish
)
Request = SignUp | LogIn | SetPassword | Take | Search | InSession


class Refusal(_Message, frozen=True, tag_field="is", tag="refused"):
    """It was not done."""

    reason: AccountReason


class Done(_Message, frozen=True, tag_field="is", tag="done"):
    """It was done, durably."""


class Session(_Message, frozen=True, tag_field="is", tag="session"):
    """A session begins; its repr shows nothing secret.

    Attributes:
        token: What requests of the session show. Secret.
        device: What the device is known by.
        expires: When it ends if nothing is asked, in seconds since the epoch.
    """

    token: Token
    device: DeviceId
    expires: int

    def __repr__(self) -> str:
        return f"Session(of {self.device.hex()})"


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device with a session.

    Attributes:
        device: What it is known by.
        name: What its owner calls it.
        since: When it logged in, in seconds since the epoch.
        used: When it last asked for something, to the hour.
        expires: When its session ends.
        is_this: Whether it asks.
        publishes: Whether the prekeys that others take are its.
    """

    device: DeviceId
    name: DeviceName
    since: int
    used: int
    expires: int
    is_this: bool
    publishes: bool


class DeviceList(_Message, frozen=True, tag_field="is", tag="devices"):
    """The devices with sessions, that which logged in first first."""

    devices: list[Device]


class Exported(_Message, frozen=True, tag_field="is", tag="export"):
    """All that is kept, as a JSON document."""

    document: str


class Stock(_Message, frozen=True, tag_field="is", tag="stock"):
    """What others can take.

    Attributes:
        ours: Whether this device published it.
        lasting_until: When the lasting prekey expires; 0: there is none.
        one_time: One-time prekeys that are left.
    """

    ours: bool
    lasting_until: int
    one_time: int


class Taken(_Message, frozen=True, tag_field="is", tag="taken"):
    """Somebody's keys; without a one-time prekey, the lasting one is the last resort."""

    identity: Public
    lasting: PrekeyBytes
    one_time: PrekeyBytes | None
    card: CardBytes
    claim: Signature


class Found(_Message, frozen=True, tag_field="is", tag="found"):
    """Handles in their order."""

    handles: list[Handle]


Answer = Refusal | Done | Session | DeviceList | Exported | Stock | Taken | Found

_REQUESTS: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)
_ANSWERS: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)
_ENCODER: Final = msgspec.msgpack.Encoder()
_T = TypeVar("_T")


def encode(message: Request | Answer) -> bytes:
    """As it is sealed."""
    return _ENCODER.encode(message)


def read_request(data: bytes) -> Request:
    """A client's request; RelayMisbehaved if it is none."""
    return _read(_REQUESTS, data)


def read_answer(data: bytes) -> Answer:
    """A relay's answer; RelayMisbehaved if it is none."""
    return _read(_ANSWERS, data)


def _read(decoder: "msgspec.msgpack.Decoder[_T]", data: bytes) -> "_T":
    try:
        return decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise RelayMisbehaved("expected a message about accounts, got another") from error


def proof_text(what: str, handle: str, binding: bytes, verifier: bytes = b"") -> bytes:
    """What a password's key or an identity signs, for one request on one line."""
    return b"\0".join((what.encode(), handle.encode(), binding + verifier))


def claim_text(relay_id: bytes, handle: str, card: bytes) -> bytes:
    """What an identity signs of itself: this name at this relay, and how it is reached."""
    return relay_id + bytes([len(handle)]) + handle.encode() + card
