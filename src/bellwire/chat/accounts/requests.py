"""What is asked of accounts: MessagePack inside sealed records.

Each request is a map whose `do` says which; what a type below does not name, or bounds, is none.
Sizes of keys and signatures are exact.

Source: spec/accounts.md, 4.
"""

from typing import Annotated, Final

import msgspec

from bellwire.chat.accounts.fields import (
    MAX_AT_ONCE,
    CardBytes,
    DeviceId,
    DeviceName,
    Handle,
    Invitation,
    Message,
    PrekeyBytes,
    Public,
    Signature,
    Token,
    Visibility,
)
from bellwire.chat.errors import RelayMisbehaved


class SignUp(Message, frozen=True, tag_field="do", tag="sign up"):
    """Have a handle: the identity and the password's key prove themselves."""

    handle: Handle
    identity: Public
    verifier: Public
    identity_proof: Signature
    password_proof: Signature
    device: DeviceName
    invitation: Invitation | None = None


class LogIn(Message, frozen=True, tag_field="do", tag="log in"):
    """Begin a session of a device."""

    handle: Handle
    proof: Signature
    device: DeviceName


class LogOut(Message, frozen=True, tag_field="do", tag="log out"):
    """End the session of one device; None: of this one."""

    token: Token
    device: DeviceId | None = None


class LogOutEverywhere(Message, frozen=True, tag_field="do", tag="log out everywhere"):
    """End all sessions, this one too."""

    token: Token


class Devices(Message, frozen=True, tag_field="do", tag="devices"):
    """Say which devices have sessions."""

    token: Token


class NameDevice(Message, frozen=True, tag_field="do", tag="name device"):
    """Call a device of the account something else."""

    token: Token
    device: DeviceId
    name: DeviceName


class SetVisibility(Message, frozen=True, tag_field="do", tag="set visibility"):
    """Choose who finds the account."""

    token: Token
    visibility: Visibility


class SetPassword(Message, frozen=True, tag_field="do", tag="set password"):
    """Have a new password, by proof of the old one or of the identity; all sessions end."""

    handle: Handle
    verifier: Public
    password_proof: Signature
    by_identity: bool
    proof: Signature


class Export(Message, frozen=True, tag_field="do", tag="export"):
    """Say all that is kept of the account."""

    token: Token


class Delete(Message, frozen=True, tag_field="do", tag="delete"):
    """Forget the account, by proof of the password; its handle serves nobody again."""

    token: Token
    proof: Signature


class Publish(Message, frozen=True, tag_field="do", tag="publish"):
    """Keep prekeys for others; with none, only say how many are left.

    The first that another device publishes takes the place of all that were there; it has a lasting
    prekey, a card and a claim.
    """

    token: Token
    lasting: PrekeyBytes | None = None
    one_time: Annotated[list[PrekeyBytes], msgspec.Meta(max_length=MAX_AT_ONCE)] = msgspec.field(
        default_factory=list
    )
    card: CardBytes | None = None
    claim: Signature | None = None


class Take(Message, frozen=True, tag_field="do", tag="take"):
    """Give the keys of somebody, and the card that says where a first message is dropped."""

    handle: Handle


class Search(Message, frozen=True, tag_field="do", tag="search"):
    """Say which listed handles begin so."""

    prefix: Handle


InSession = (
    LogOut | LogOutEverywhere | Devices | NameDevice | SetVisibility | Export | Delete | Publish
)
Request = SignUp | LogIn | SetPassword | Take | Search | InSession

_DECODER: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)


def read_request(data: bytes) -> Request:
    """A client's request; RelayMisbehaved if it is none."""
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise RelayMisbehaved("expected a request to accounts, got another message") from error


def proof_text(what: str, handle: str, binding: bytes, verifier: bytes = b"") -> bytes:
    """What a password's key or an identity signs, for one request on one line."""
    return b"\0".join((what.encode(), handle.encode(), binding + verifier))


def claim_text(relay_id: bytes, handle: str, card: bytes) -> bytes:
    """What an identity signs of itself: this name at this relay, and how it is reached."""
    return relay_id + bytes([len(handle)]) + handle.encode() + card
