"""What accounts answer: MessagePack inside sealed records, a map whose `is` says which.

Source: spec/accounts.md, 4.
"""

from typing import Final

import msgspec

from bellwire.chat.accounts.fields import (
    AccountReason,
    CardBytes,
    DeviceId,
    DeviceName,
    Handle,
    Message,
    PrekeyBytes,
    Public,
    Signature,
    Token,
)
from bellwire.chat.errors import RelayMisbehaved


class Refusal(Message, frozen=True, tag_field="is", tag="refused"):
    """It was not done."""

    reason: AccountReason


class Done(Message, frozen=True, tag_field="is", tag="done"):
    """It was done, durably."""


class Session(Message, frozen=True, tag_field="is", tag="session"):
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


class DeviceList(Message, frozen=True, tag_field="is", tag="devices"):
    """The devices with sessions, that which logged in first first."""

    devices: list[Device]


class Exported(Message, frozen=True, tag_field="is", tag="export"):
    """All that is kept, as a JSON document."""

    document: str


class Stock(Message, frozen=True, tag_field="is", tag="stock"):
    """What others can take.

    Attributes:
        ours: Whether this device published it.
        lasting_until: When the lasting prekey expires, seconds since the epoch; 0: there is none.
        one_time: One-time prekeys that are left.
    """

    ours: bool
    lasting_until: int
    one_time: int


class Taken(Message, frozen=True, tag_field="is", tag="taken"):
    """Somebody's keys; without a one-time prekey, the lasting one is the last resort."""

    identity: Public
    lasting: PrekeyBytes
    one_time: PrekeyBytes | None
    card: CardBytes
    claim: Signature


class Found(Message, frozen=True, tag_field="is", tag="found"):
    """Handles in their order."""

    handles: list[Handle]


Answer = Refusal | Done | Session | DeviceList | Exported | Stock | Taken | Found

_DECODER: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)


def read_answer(data: bytes) -> Answer:
    """A relay's answer; RelayMisbehaved if it is none."""
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise RelayMisbehaved("expected an answer of accounts, got another message") from error
