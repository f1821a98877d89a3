"""What one node says on the bus, and to whom: shares and control messages, told apart by a byte."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bellwire.base.secret import Secret
from bellwire.crypto.signatures import SigningKey
from bellwire.network import control
from bellwire.network.bus import Bus
from bellwire.network.carrier import Carrier
from bellwire.network.control import Control, Heard
from bellwire.network.errors import Malformed
from bellwire.network.hop import ShareHeader
from bellwire.network.identity import Roster
from bellwire.network.meetings import Meeting


class Kind(IntEnum):
    """First byte of a message to an inbox."""

    SHARE = 1
    CONTROL = 2
    DEPOSIT = 3
    ANSWER = 4


OTHERS: Final = frozenset({Kind.DEPOSIT, Kind.ANSWER})
"""Kinds that the relaying of blocks does not know."""


@dataclass(frozen=True, slots=True)
class Other:
    """A message that is no matter of relaying.

    Attributes:
        kind: One of `OTHERS`.
        body: As it came.
    """

    kind: Kind
    body: bytes


class Wire:
    """One node's voice and ear.

    Args:
        name: Its name.
        identity: Its long-term key.
        roster: The members of the network.
        bus: The way to them.
        carrier: Makes hops with the keys of its links.
    """

    def __init__(
        self, name: str, identity: SigningKey, roster: Roster, bus: Bus, carrier: Carrier
    ) -> None:
        self.name = name
        self.roster = roster
        self._identity = identity
        self._bus = bus
        self._carrier = carrier

    async def carry(self, header: ShareHeader, share: Secret) -> None:
        """Send a share on its next hop.

        Raises:
            HopFailed: the link gives no key.
            BusFailed: the bus does not take it; its key is spent.
        """
        frame = await self._carrier.seal(header, share)
        await self.say(header.receiver, Kind.SHARE, frame)

    async def tell(self, receiver: str, message: Control, meeting: Meeting) -> None:
        """Send a control message, signed anew each time.

        Raises:
            BusFailed: the bus does not take it.
        """
        told = control.tell(self._identity, self.name, receiver, message, meeting)
        await self.say(receiver, Kind.CONTROL, told)

    async def take(self, data: bytes) -> tuple[ShareHeader, Secret] | Heard | Other | None:
        """What came into the inbox: a share that was opened, a signed message, or nothing new.

        One of `OTHERS` is handed on as it came.

        Raises:
            Malformed: it is none of these.
            HopFailed: the link of a share is RED.
            MessageRefused: it is not for us, or not authentic.
            BellwireError: as `Carrier.open`.
        """
        kind, body = data[:1], data[1:]
        if kind == bytes([Kind.SHARE]):
            return await self._carrier.open(body)
        if kind == bytes([Kind.CONTROL]):
            return control.hear(self.roster, self.name, body)
        for other in OTHERS:
            if kind == bytes([other]):
                return Other(other, body)
        raise Malformed("expected a share or a control message, got something else")

    async def say(self, receiver: str, kind: Kind, body: bytes) -> None:
        """Send a message of any kind.

        Raises:
            BusFailed: the bus does not take it.
        """
        message = bytes([kind]) + body
        await self._bus.send(receiver, message, message_id=hashlib.sha256(message).hexdigest())
