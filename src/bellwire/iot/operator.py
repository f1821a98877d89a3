"""What an operator on the same machine may ask a cloud: who its devices are, and whom to invite.

A Unix socket that only the cloud's owner may open (`base.operating`).
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.clock import Clock, system_clock
from bellwire.base.operating import ask_operated
from bellwire.iot.code import ID_BYTES
from bellwire.iot.errors import DeviceUnknown
from bellwire.iot.gateway.record import State
from bellwire.iot.roster import DeviceView, ReadingsView, Roster

if TYPE_CHECKING:  # who asks need not load a cloud
    from bellwire.iot.gateway.queue import MessageQueue
    from bellwire.iot.identity import AllowList
    from bellwire.iot.invitations import Invitation, Invitations
    from bellwire.iot.reception import Reception

MOST_DEVICES: Final = 1000
MOST_READINGS: Final = 200
MOST_ROUTES: Final = 1000
FINGERPRINT_BYTES: Final = 32

_Fingerprint = Annotated[bytes, Meta(min_length=FINGERPRINT_BYTES, max_length=FINGERPRINT_BYTES)]


class Look(msgspec.Struct, frozen=True, array_like=True, tag="look"):
    """Who are the devices whose name or fingerprint has this in it?"""

    find: Annotated[str, Meta(max_length=64)]
    most: Annotated[int, Meta(ge=1, le=MOST_DEVICES)]


class Read(msgspec.Struct, frozen=True, array_like=True, tag="read"):
    """What did a device say last?"""

    device: _Fingerprint
    most: Annotated[int, Meta(ge=1, le=MOST_READINGS)]


class Invite(msgspec.Struct, frozen=True, array_like=True, tag="invite"):
    """Make an invitation."""

    name: Annotated[str, Meta(max_length=60)]
    life_s: float


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """Take an invitation back."""

    id: Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]


class Remove(msgspec.Struct, frozen=True, array_like=True, tag="remove"):
    """Take a device off the list, and end its sessions."""

    device: _Fingerprint


class Routes(msgspec.Struct, frozen=True, array_like=True, tag="routes"):
    """Where are the latest messages to devices?"""

    most: Annotated[int, Meta(ge=1, le=MOST_ROUTES)]


Request = Look | Read | Invite | Cancel | Remove | Routes
REQUESTS: "Final[msgspec.msgpack.Decoder[Request]]" = msgspec.msgpack.Decoder(Request)


class InvitationView(msgspec.Struct, frozen=True):
    """An invitation, without its code.

    Attributes:
        id: 32 hexadecimal digits.
        name: What the device will be called.
        state: `open`, `used`, `spent` by wrong codes, or `expired`.
        expires: When it ends, seconds since the epoch.
    """

    id: str
    name: str
    state: str
    expires: float


class CloudView(msgspec.Struct, frozen=True):
    """A cloud and its devices.

    Attributes:
        name: What devices call it.
        listens: Where, by transport: `tcp`, `udp`, `mqtt`.
        total: How many devices it knows.
        connected: How many of these have a session now.
        found: How many are what was looked for.
        devices: Those, or the first of them.
        invitations: The latest last.
    """

    name: str
    listens: dict[str, str]
    total: int
    connected: int
    found: int
    devices: list[DeviceView]
    invitations: list[InvitationView]


class Invited(msgspec.Struct, frozen=True):
    """A new invitation with its code, which is kept nowhere. Secret."""

    invitation: InvitationView
    code: str
    at: str


class RouteView(msgspec.Struct, frozen=True):
    """Where a message to a device is.

    Attributes:
        id: Of the message, 32 hexadecimal digits.
        device: Fingerprint, 64 hexadecimal digits.
        name: What the device was called when it was queued.
        number: In the device's queue, from 1.
        size: Bytes.
        queued: When, seconds since the epoch.
        expires: When it is given up.
        state: `QUEUED` until the device has it, `DELIVERED`, or `EXPIRED`.
        finished: When it was delivered or given up, or null.
        protections: Of the session that it last went under; empty: it never went out.
    """

    id: str
    device: str
    name: str
    number: int
    size: int
    queued: float
    expires: float
    state: State
    finished: float | None
    protections: tuple[str, ...]


class RoutesView(msgspec.Struct, frozen=True):
    """The newest routing records of messages to devices, the newest first."""

    routes: list[RouteView]


class Gone(msgspec.Struct, frozen=True):
    """It is not there any more."""


class Desk:
    """Answers operators of one cloud, in its loop.

    Args:
        name: What devices call the cloud.
        listens: Where it does, by transport, read at each question; None where it does not.
        roster: Of its devices.
        admitted: Who may come.
        invitations: By which devices may enrol.
        messages: That wait for devices.
        reception: Has the sessions.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        name: str,
        listens: Mapping[str, str | None],
        *,
        roster: Roster,
        admitted: "AllowList",
        invitations: "Invitations",
        messages: "MessageQueue",
        reception: "Reception",
        clock: Clock = system_clock,
    ) -> None:
        self._name = name
        self._roster = roster
        self._admitted = admitted
        self._invitations = invitations
        self._messages = messages
        self._reception = reception
        self._clock = clock
        self._listens = listens

    async def answer(self, request: Request) -> msgspec.Struct:
        """What an operator asked for.

        Raises:
            BellwireError: it cannot be had, or done.
        """
        match request:
            case Look():
                return await asyncio.to_thread(self._look, request)
            case Read(device, most):
                return await asyncio.to_thread(self._roster.readings, device, most)
            case Invite(name, life_s):
                made, code = await asyncio.to_thread(self._invitations.invite, name, life_s)
                return Invited(self._shown(made), code.spell(), self._listens.get("tcp") or "")
            case Cancel(id_):
                await asyncio.to_thread(self._invitations.cancel, id_)
                return Gone()
            case Remove(device):
                return await self._remove(device)
            case Routes(most):
                return await asyncio.to_thread(self._routes, most)

    def _look(self, request: Look) -> CloudView:
        waiting = {each.device: each.messages for each in self._messages.queues()}
        all_ = self._roster.devices(waiting)
        sought = request.find.casefold()
        found = [
            each for each in all_ if sought in each.name.casefold() or sought in each.fingerprint
        ]
        return CloudView(
            name=self._name,
            listens={by: at for by, at in self._listens.items() if at},
            total=len(all_),
            connected=sum(each.connected for each in all_),
            found=len(found),
            devices=found[: request.most],
            invitations=[self._shown(each) for each in self._invitations.all()],
        )

    async def _remove(self, device: bytes) -> Gone:
        if not await asyncio.to_thread(self._admitted.remove, device):
            raise DeviceUnknown(
                "expected a device of the cloud's list, got another",
                hint="One that comes by a certificate is revoked by its authority: "
                "bellwire device ca revoke.",
            )
        await self._reception.recheck()
        return Gone()

    def _routes(self, most: int) -> RoutesView:
        found = self._messages.routes(most=most)
        return RoutesView(
            [
                RouteView(
                    id=each.id.hex(),
                    device=each.device.hex(),
                    name=each.name,
                    number=each.number,
                    size=each.size,
                    queued=each.queued,
                    expires=each.expires,
                    state=each.state,
                    finished=each.finished,
                    protections=each.protections,
                )
                for each in reversed(found)
            ]
        )

    def _shown(self, one: "Invitation") -> InvitationView:
        return InvitationView(one.id.hex(), one.name, one.state(self._clock()), one.expires)


class CloudOperator:
    """Asks the cloud of a folder; every call raises as `ask_operated`.

    Args:
        folder: The cloud's own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def look(self, find: str = "", most: int = MOST_DEVICES) -> CloudView:
        """Its devices whose name or fingerprint has a text in it."""
        return await ask_operated(self._folder, Look(find, most), CloudView)

    async def readings(self, device: bytes, most: int = MOST_READINGS) -> ReadingsView:
        """What a device said last."""
        return await ask_operated(self._folder, Read(device, most), ReadingsView)

    async def invite(self, name: str, life_s: float) -> Invited:
        """Invite a device."""
        return await ask_operated(self._folder, Invite(name, life_s), Invited)

    async def cancel(self, id_: bytes) -> None:
        """Take an invitation back; a device that used it stays."""
        await ask_operated(self._folder, Cancel(id_), Gone)

    async def remove(self, device: bytes) -> None:
        """Take a device off the list; its sessions end."""
        await ask_operated(self._folder, Remove(device), Gone)

    async def routes(self, most: int = MOST_ROUTES) -> RoutesView:
        """Where the latest messages to devices are."""
        return await ask_operated(self._folder, Routes(most), RoutesView)
