"""Who is admitted talks with the cloud; by a certificate over, revoked or foreign, nobody."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.iot.doubles import CLOUD, CLOUD_KEY, DEVICE_KEY, STRANGER_KEY, Bench, readings
from tests.patience import PATIENCE_S

from bellwire.admission.assessment import Assessment, Verdict
from bellwire.admission.channel import (
    DAYS,
    ChannelDesk,
    ChannelGiven,
    CloudPlace,
    channel_public,
)
from bellwire.admission.possession import generate, public_bytes
from bellwire.admission.register import Entry, Gate, Register, Registration
from bellwire.admission.service import revoke
from bellwire.channel.certificates import Role, Trust
from bellwire.channel.errors import CertificateRefused, HandshakeRefused
from bellwire.channel.handshake import Policy
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.authority import PUBLIC_FILE, REVOKED_FILE, Authority, create, load
from bellwire.iot.errors import IdentityError
from bellwire.iot.trust_files import TrustFiles
from bellwire.node.admission_channel import DeviceCertificates, opened, opened_or_made

SECURE = Assessment(Verdict.SECURE, (), 0.0, "local")
PLACE = CloudPlace("cloud-b", CLOUD.name, "cloud.example:8470")
SIGNS = public_bytes(generate("ed25519"))


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def keys_of(key: XWingPrivateKey) -> dict[str, bytes]:
    public = key.public_bytes
    return {"ed25519": SIGNS, "ml-kem-768": public[:1184], "x25519": public[1184:]}


class Site:
    """A register, an authority of the channel, and a cloud that trusts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.register = Register(folder / "admission")
        self.made: Authority = create(folder / "ca", "both", clock=self.clock)
        self.channel = DeviceCertificates(self.made)
        self.desk = ChannelDesk(self.register, self.channel, PLACE, clock=self.clock)
        self.trust = TrustFiles(
            self.made.folder / PUBLIC_FILE, self.made.folder / REVOKED_FILE, clock=self.clock
        )

    def enter(self, handle: str, keys: dict[str, bytes]) -> Registration:
        entry = Entry(handle, keys, SECURE, Gate.OPEN, None, int(self.clock()))
        (found,) = self.register.enter([entry])
        assert isinstance(found, Registration)
        return found

    def given(self, handle: str, key: XWingPrivateKey) -> ChannelGiven:
        return self.desk.give([self.enter(handle, keys_of(key))])[handle]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_registered_device_talks_and_others_are_refused_by_name(site: Site) -> None:
    bench = Bench(site.folder)
    site.enter("cloud-b", keys_of(CLOUD_KEY))
    given = site.given("thermo-1", DEVICE_KEY)
    assert given.device.not_after - site.clock() == DAYS * 86_400

    async def send(certificate: bytes, count: int) -> None:
        device = bench.device(certificate=certificate, policy=Policy.OFF)
        assert (await device.send(readings(count), bench.address)).complete

    async def refused(certificate: bytes, reason: str) -> None:
        bench.events.clear()
        with pytest.raises(HandshakeRefused):
            await send(certificate, 9)
        await bench.turned_away()
        assert reason in bench.reasons

    async def story() -> None:
        async with bench.running(admit=False, trust=site.trust):
            await send(given.device.certificate, 10)
            assert bench.sessions[0].device.name == "thermo-1"
            await refused(b"", "expected an enrolled initiator")
            foreign = Site(site.folder / "foreign").given("thermo-1", DEVICE_KEY)
            await refused(foreign.device.certificate, "of our authority, got another")
            stranger = site.given("thermo-2", STRANGER_KEY)
            await refused(stranger.device.certificate, "certificate of who calls, got another's")
            site.clock.now += DAYS * 86_400
            await refused(given.device.certificate, "expired")
            renewed = site.given("thermo-1", DEVICE_KEY)
            await send(renewed.device.certificate, 11)
            revoke(site.register, (), "thermo-1", int(site.clock()), lambda: site.channel)
            await refused(renewed.device.certificate, "revoked")
            again = site.given("thermo-2", STRANGER_KEY)
            device = bench.device(
                identity=STRANGER_KEY, certificate=again.device.certificate, policy=Policy.OFF
            )
            assert (await device.send(readings(5), bench.address)).complete

    asyncio.run(asyncio.wait_for(story(), PATIENCE_S))


def test_a_revocation_finds_every_certificate_that_holds(site: Site) -> None:
    first = site.given("thermo-1", DEVICE_KEY)
    found = site.register.find("thermo-1")
    assert found is not None
    site.clock.now += 4 * 86_400
    second = site.given("thermo-1", DEVICE_KEY)
    site.clock.now += 4 * 86_400  # the first is over
    third = site.given("thermo-1", DEVICE_KEY)
    now = int(site.clock())
    assert set(site.register.serials("thermo-1", now)) == {
        each.device.serial for each in (second, third)
    }
    revoke(site.register, (), "thermo-1", now, lambda: site.channel)
    revoke(site.register, (), "thermo-1", now, lambda: site.channel)
    assert site.made.revoked().serials == {second.device.serial, third.device.serial}
    assert site.made.revoked().number == 2
    assert first.device.serial not in site.made.revoked().serials
    # Whose registration was read before it was revoked by another process gets nothing.
    assert site.desk.give([found]) == {}


def test_the_cloud_is_told_while_it_is_admitted_and_by_one_certificate(site: Site) -> None:
    assert site.given("thermo-1", DEVICE_KEY).cloud is None
    person = site.enter("alice", {"ed25519": SIGNS})
    assert site.desk.give([person]) == {}
    cloud = site.enter("cloud-b", keys_of(CLOUD_KEY))
    assert site.desk.give([cloud]) == {}  # it is no device
    told = site.given("thermo-1", DEVICE_KEY)
    assert told.cloud is not None
    named = Trust(site.made.public).check(told.cloud.certificate, Role.CLOUD, site.clock())
    assert (named.name, named.public) == (CLOUD.name, CLOUD_KEY.public_bytes)
    with pytest.raises(CertificateRefused, match="of a device"):
        site.trust.check(told.cloud.certificate)
    assert site.given("thermo-1", DEVICE_KEY).cloud == told.cloud
    site.clock.now += 4 * 86_400
    later = site.given("thermo-1", DEVICE_KEY).cloud
    assert later is not None
    assert later.serial != told.cloud.serial
    revoke(site.register, (), "cloud-b", int(site.clock()), lambda: site.channel)
    assert {told.cloud.serial, later.serial} <= site.made.revoked().serials
    assert site.given("thermo-1", DEVICE_KEY).cloud is None


def test_a_key_that_the_channel_cannot_use_keeps_nobody_else_out(site: Site) -> None:
    keys = keys_of(DEVICE_KEY)
    assert channel_public(keys) == DEVICE_KEY.public_bytes
    bad = site.enter("thermo-0", {**keys, "ml-kem-768": b"\xff" * 1184})
    good = site.enter("thermo-1", keys_of(STRANGER_KEY))
    assert set(site.desk.give([bad, good])) == {"thermo-1"}


def test_an_authority_is_made_once(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="got none"):
        opened(tmp_path / "ca", None)
    made = opened_or_made(tmp_path / "ca", None)
    assert opened_or_made(tmp_path / "ca", None).authority() == made.authority()
    assert load(tmp_path / "ca").public.ml_dsa_65 is not None
