"""Certificates of the device channel, given to who is admitted with a key of a device's or cloud's.

They last as long as those of TLS, and a renewal is a registration again. Each serial is durable
before its certificate is given, so that a revocation finds all that still hold. What signs them is
plugged in (`ChannelAuthority`); their form is spec/channel.md's.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import structlog

from bellwire.admission.register import Register, Registration, Standing
from bellwire.base.clock import Clock, system_clock
from bellwire.base.errors import BellwireError

DAYS: Final = 7.0
RENEW_AT: Final = 0.5
"""Share of its time after which the cloud's certificate is signed anew."""

log = structlog.get_logger("admission")


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate of the channel.

    Attributes:
        serial: 16 bytes.
        not_after: From then on it is expired, seconds since the epoch.
        certificate: As spec/channel.md has it.
    """

    serial: bytes
    not_after: int
    certificate: bytes


class ChannelAuthority(Protocol):
    """Who signs certificates of the channel, and takes them back."""

    def certify(
        self, role: Literal["device", "cloud"], name: str, public: bytes, days: float
    ) -> Signed:
        """Certify a public key of the channel; BellwireError if it is none."""

    def authority(self) -> bytes:
        """The file of its public key."""

    def revoked(self) -> bytes:
        """Its list of what was taken back, signed, as it is now."""

    def revoke(self, serials: Collection[bytes]) -> None:
        """Take certificates back: durable in the list when this returns."""


@dataclass(frozen=True, slots=True)
class CloudPlace:
    """The cloud that devices are told of.

    Attributes:
        handle: By which it is registered.
        name: As it calls itself in the channel.
        address: Where devices reach it; None: it is not said.
    """

    handle: str
    name: str
    address: str | None


@dataclass(frozen=True, slots=True)
class ChannelGiven:
    """What a device needs to talk to the cloud.

    Attributes:
        device: The certificate for its key.
        authority: File of the authority's public key.
        place: The cloud.
        cloud: The certificate for the cloud's key; None while nobody is admitted by its handle.
    """

    device: Signed
    authority: bytes
    place: CloudPlace
    cloud: Signed | None


def channel_public(keys: Mapping[str, bytes]) -> bytes | None:
    """The X-Wing public key that was registered as its two halves; None: it was not."""
    lattice, curve = keys.get("ml-kem-768"), keys.get("x25519")
    return None if lattice is None or curve is None else lattice + curve


class ChannelDesk:
    """Certifies devices for the channel; one thread at a time may use `give`.

    Args:
        register: Who is registered.
        authority: Signs.
        place: The cloud that devices are told of.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        register: Register,
        authority: ChannelAuthority,
        place: CloudPlace,
        *,
        clock: Clock = system_clock,
    ) -> None:
        self._register = register
        self._authority = authority
        self._place = place
        self._clock = clock
        self._cloud: tuple[bytes, Signed, float] | None = None
        self._giving = threading.Lock()

    def authority(self) -> bytes:
        """The file of the authority's public key."""
        return self._authority.authority()

    def revoked(self) -> bytes:
        """The list of what was taken back, as it is now."""
        return self._authority.revoked()

    def give(self, found: Sequence[Registration]) -> dict[str, ChannelGiven]:
        """Certificates for those who are admitted with a key of the channel, by handle.

        Raises:
            RegisterUnusable: the serials cannot be kept; then nothing is given.
            BellwireError: as the authority's files.
        """
        wanted = {
            each.handle: public
            for each in found
            if each.standing is Standing.ADMITTED
            and each.handle != self._place.handle
            and (public := channel_public(each.keys)) is not None
        }
        if not wanted:
            return {}
        with self._giving:
            cloud = self._certified_cloud()
            made = {
                handle: signed
                for handle, public in wanted.items()
                if (signed := self._certify("device", handle, public)) is not None
            }
            kept = self._keep(list(made.items()))
        authority = self._authority.authority()
        return {
            handle: ChannelGiven(signed, authority, self._place, cloud)
            for handle, signed in made.items()
            if signed.serial in kept
        }

    def _certified_cloud(self) -> Signed | None:
        """The cloud's certificate, while it is admitted."""
        there = self._register.look(self._place.handle)
        if there is None or there.standing is not Standing.ADMITTED:
            return None
        public, now = channel_public(there.keys), self._clock()
        if public is None:
            return None
        if self._cloud is not None and self._cloud[0] == public and now < self._cloud[2]:
            return self._cloud[1]
        made = self._certify("cloud", self._place.name, public)
        if made is None or made.serial not in self._keep([(self._place.handle, made)]):
            return None
        self._cloud = public, made, now + RENEW_AT * (made.not_after - now)
        return made

    def _certify(self, role: Literal["device", "cloud"], name: str, public: bytes) -> Signed | None:
        try:
            return self._authority.certify(role, name, public, DAYS)
        except BellwireError as error:
            # One key that the channel cannot use keeps nobody else from being certified.
            log.warning("no certificate of the channel", kind=type(error).__name__)
            return None

    def _keep(self, made: Sequence[tuple[str, Signed]]) -> set[bytes]:
        rows = [(handle, signed.serial, signed.not_after) for handle, signed in made]
        return self._register.keep_serials(rows, int(self._clock()))
