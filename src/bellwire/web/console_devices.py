"""The devices of a console's site: its cloud, and its server of admission, as their operator.

Both are asked over the sockets in the site's state folder. Where none answers, that is said, and
nothing is made up.
"""

from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
import segno
from msgspec import Meta

from bellwire.admission.client import Challenged, Echoed, Registered
from bellwire.admission.operator import (
    AdmissionOperator,
    AdmissionView,
    Carry,
    Decision,
    RegistrationView,
    Step,
)
from bellwire.base.errors import RefusedError
from bellwire.base.local import NotAnswered
from bellwire.iot.invitations import MAX_LIFE_S, MIN_LIFE_S
from bellwire.iot.operator import CloudOperator, CloudView, InvitationView, RoutesView
from bellwire.iot.roster import ReadingsView
from bellwire.web.admission import ChallengeRequest, EchoRequest, RegisterRequest
from bellwire.web.errors import RequestRefused

FINGERPRINT: Final = "^[0-9a-f]{64}$"

Fingerprint = Annotated[str, Meta(max_length=64, pattern=FINGERPRINT)]


class DevicesView(msgspec.Struct, frozen=True):
    """The site's cloud and its devices; null where no cloud answers in its state folder."""

    cloud: CloudView | None


class NewcomersView(msgspec.Struct, frozen=True):
    """The site's server of admission; null where none answers in its state folder."""

    admission: AdmissionView | None


class InviteDevice(msgspec.Struct, frozen=True):
    """What the cloud shall call a device, and how long its code is good."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    minutes: Annotated[float, Meta(ge=MIN_LIFE_S / 60, le=MAX_LIFE_S / 60)]


class InvitedDevice(msgspec.Struct, frozen=True):
    """An invitation, with its code: given this once.

    Attributes:
        invitation: As everybody sees it.
        code: By which one device enrols, once.
        at: Where the cloud listens.
        qr: The code to be scanned: rows of 0 and 1, 1 is dark, without the quiet zone.
    """

    invitation: InvitationView
    code: str
    at: str
    qr: list[str]


class DoorView(msgspec.Struct, frozen=True):
    """Where people of this site register.

    Attributes:
        server: Its name, which proofs name.
        gate: What opens the door, beside a good verdict: `token`, `operator`, `either`, `open`.
    """

    server: str
    gate: str


class RegisterView(msgspec.Struct, frozen=True):
    """The site's server of admission; null where none answers in its state folder."""

    door: DoorView | None


class NamedInvitation(msgspec.Struct, frozen=True):
    """Which invitation."""

    id: Annotated[str, Meta(max_length=32, pattern="^[0-9a-f]{32}$")]


class NamedDevice(msgspec.Struct, frozen=True):
    """Which device."""

    fingerprint: Fingerprint


class Decided(msgspec.Struct, frozen=True):
    """What an operator decided about a name."""

    handle: Annotated[str, Meta(max_length=33, pattern="^@?[A-Za-z][A-Za-z0-9_-]{2,31}$")]
    decision: Decision


T = TypeVar("T")
Kind = TypeVar("Kind", bound=msgspec.Struct)


class SiteDevices:
    """What there is of devices in a state folder.

    Args:
        state: The folder.
    """

    def __init__(self, state: Path) -> None:
        self._cloud = CloudOperator(state / "cloud")
        self._admission = AdmissionOperator(state / "admission")

    async def devices(self, find: str, most: int) -> DevicesView:
        """Devices whose name or fingerprint has a text in it."""
        try:
            return DevicesView(await self._cloud.look(find, most))
        except NotAnswered:
            return DevicesView(None)

    async def readings(self, device: bytes, most: int) -> ReadingsView:
        """What a device of this fingerprint said last.

        Raises:
            RequestRefused: 503, no cloud answers.
        """
        return await _there(self._cloud.readings(device, most), _CLOUD)

    async def routes(self, most: int) -> RoutesView:
        """Where the latest messages to devices are.

        Raises:
            RequestRefused: 503, no cloud answers.
        """
        return await _there(self._cloud.routes(most), _CLOUD)

    async def invite(self, asked: InviteDevice) -> InvitedDevice:
        """Invite a device.

        Raises:
            InvitationError: the name is none, or there are too many.
            RequestRefused: 503, no cloud answers.
        """
        made = await _there(self._cloud.invite(asked.name, 60 * asked.minutes), _CLOUD)
        rows = segno.make(made.code, error="m").matrix
        qr = ["".join("1" if dark else "0" for dark in row) for row in rows]
        return InvitedDevice(made.invitation, made.code, made.at, qr)

    async def cancel(self, named: NamedInvitation) -> None:
        """Take an invitation back.

        Raises:
            InvitationError: there is none.
            RequestRefused: 503, no cloud answers.
        """
        await _there(self._cloud.cancel(bytes.fromhex(named.id)), _CLOUD)

    async def remove(self, named: NamedDevice) -> None:
        """Take a device off the cloud's list.

        Raises:
            DeviceUnknown: it is not on it.
            RequestRefused: 503, no cloud answers.
        """
        await _there(self._cloud.remove(bytes.fromhex(named.fingerprint)), _CLOUD)

    async def newcomers(self, find: str, most: int) -> NewcomersView:
        """Names that are registered, or wait, that have a text in them."""
        try:
            return NewcomersView(await self._admission.look(find, most))
        except NotAnswered:
            return NewcomersView(None)

    async def door(self) -> RegisterView:
        """Where people register."""
        try:
            found = await self._admission.look("", 1)
        except NotAnswered:
            return RegisterView(None)
        return RegisterView(DoorView(found.server, found.gate))

    async def challenge(self, asked: ChallengeRequest, address: str) -> Challenged:
        """Begin a registration; as the server of admission, 503 where none answers."""
        return await self._carry("/register/challenge", asked, address, Challenged)

    async def echo(self, asked: EchoRequest, address: str) -> Echoed:
        """Let a way there and back be timed; as the server of admission."""
        return await self._carry("/register/echo", asked, address, Echoed)

    async def register(self, asked: RegisterRequest, address: str) -> Registered:
        """Register, or find out how it stands; as the server of admission."""
        return await self._carry("/register/", asked, address, Registered)

    async def _carry(
        self, path: Step, words: msgspec.Struct, address: str, kind: type[Kind]
    ) -> Kind:
        step = Carry(path, msgspec.json.encode(words), address)
        found = await _there(self._admission.carry(step), _ADMISSION)
        if found.code < 300:
            return msgspec.json.decode(found.body, type=kind)
        message = msgspec.json.decode(found.body)["message"]
        after = [] if found.retry_after is None else [("retry-after", found.retry_after)]
        raise RequestRefused(found.code, message, headers=after)

    async def decide(self, decided: Decided) -> RegistrationView:
        """Let in or turn away who waits, or take an admission back.

        Raises:
            UsageError: nobody of that name is where that can be decided.
            RequestRefused: 503, no server of admission answers.
        """
        return await _there(self._admission.decide(decided.handle, decided.decision), _ADMISSION)


_CLOUD: Final = "no cloud runs at this site"
_ADMISSION: Final = "no server of admission runs at this site"


async def _there(work: Awaitable[T], absent: str) -> T:
    try:
        return await work
    except NotAnswered as error:
        raise RequestRefused(503, absent, headers=[("retry-after", "5")]) from error
    except RefusedError as error:
        raise RequestRefused(403, str(error)) from error
