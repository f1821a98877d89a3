"""A cloud that is trusted by a certificate, over time; and lists that do not grow younger."""

from pathlib import Path

import pytest
from tests.iot.doubles import CLOUD, DEVICE, STRANGER_KEY, Bench, readings
from tests.patience import PATIENCE_S

from bellwire.channel.certificates import Role
from bellwire.channel.errors import CertificateRefused
from bellwire.iot import cloud_certificate, enrolment
from bellwire.iot.authority import PUBLIC_FILE, REVOKED_FILE, Authority, create
from bellwire.iot.cloud_certificate import CloudCertificate
from bellwire.iot.errors import CloudSilent, IdentityError
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.trust_files import TrustFiles


class Time:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def authority(tmp_path: Path, time: Time) -> Authority:
    return create(tmp_path / "ca", "ed25519", clock=time)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    enrolment.own_key(tmp_path / "device")
    return tmp_path / "device"


def given(tmp_path: Path, authority: Authority, *, revoked: bool) -> CloudCertificate:
    file = tmp_path / "cloud.cert"
    file.write_bytes(authority.issue(CLOUD, 1))
    public = authority.folder / PUBLIC_FILE
    return CloudCertificate(file, public, authority.folder / REVOKED_FILE if revoked else None)


@pytest.mark.parametrize("revoked", [False, True])
def test_a_clouds_certificate_is_checked_again_until_it_expires(
    revoked: bool, tmp_path: Path, folder: Path, authority: Authority, time: Time
) -> None:
    cloud_certificate.keep(folder, given(tmp_path, authority, revoked=revoked), clock=time)
    cloud_certificate.check(folder, CLOUD, clock=time)
    time.now += 86_400
    with pytest.raises(CertificateRefused, match="expired") as refused:
        cloud_certificate.check(folder, CLOUD, clock=time)
    assert refused.value.exit_code == 3


def test_a_revoked_cloud_is_refused_and_an_older_list_does_not_bring_it_back(
    tmp_path: Path, folder: Path, authority: Authority, time: Time
) -> None:
    files = given(tmp_path, authority, revoked=True)
    cloud_certificate.keep(folder, files, clock=time)
    old = (folder / cloud_certificate.REVOKED_FILE).read_bytes()
    authority.revoke(files.certificate.read_bytes(), Role.CLOUD)
    kept = folder / cloud_certificate.REVOKED_FILE
    kept.write_bytes((authority.folder / REVOKED_FILE).read_bytes())
    with pytest.raises(CertificateRefused, match="revoked"):
        cloud_certificate.check(folder, CLOUD, clock=time)
    kept.write_bytes(old)
    with pytest.raises(CertificateRefused, match=r"expected list 2 .* or a later one, got 1"):
        cloud_certificate.check(folder, CLOUD, clock=time)
    kept.unlink()
    with pytest.raises(IdentityError, match="list of revoked"):
        cloud_certificate.check(folder, CLOUD, clock=time)


def test_a_certificate_that_does_not_hold_pins_nothing(
    tmp_path: Path, folder: Path, authority: Authority
) -> None:
    files = given(tmp_path, authority, revoked=True)  # of a clock that is decades ago
    with pytest.raises(CertificateRefused, match="expired"):
        enrolment.enroll(
            folder,
            enrolment.own_key(folder),
            CLOUD,
            name="d",
            allow=None,
            replace=False,
            vouched=files,
        )
    assert not (folder / "cloud.pin").exists()


def test_the_certificate_of_another_cloud_than_the_pinned_one_is_refused(
    tmp_path: Path, folder: Path, authority: Authority, time: Time
) -> None:
    cloud_certificate.keep(folder, given(tmp_path, authority, revoked=False), clock=time)
    other = PublicIdentity("cloud", "other", STRANGER_KEY.public_bytes)
    with pytest.raises(IdentityError, match="got another's"):
        cloud_certificate.check(folder, other, clock=time)


def test_a_cloud_that_is_pinned_by_its_key_needs_no_certificate_any_more(
    tmp_path: Path, folder: Path, authority: Authority, time: Time
) -> None:
    cloud_certificate.keep(folder, given(tmp_path, authority, revoked=True), clock=time)
    key = enrolment.own_key(folder)
    enrolment.enroll(folder, key, CLOUD, name="d", allow=None, replace=False)
    assert enrolment.load(folder)[1] == CLOUD


def test_a_cloud_that_starts_again_refuses_an_older_list_than_it_had(
    tmp_path: Path, authority: Authority, time: Time
) -> None:
    public, revoked = authority.folder / PUBLIC_FILE, authority.folder / REVOKED_FILE
    seen, old = tmp_path / "seen", revoked.read_bytes()

    def start() -> TrustFiles:
        return TrustFiles(public, revoked, seen=seen, clock=time)

    certificate = authority.issue(DEVICE, 1)
    assert start().check(certificate).public == DEVICE.public
    authority.revoke(certificate, Role.DEVICE)
    with pytest.raises(CertificateRefused, match="revoked"):
        start().check(certificate)
    revoked.write_bytes(old)
    with pytest.raises(CertificateRefused, match="got 1"):
        start()
    assert seen.stat().st_mode & 0o777 == 0o600
    seen.write_bytes(b"{}")
    with pytest.raises(CertificateRefused, match="got other data"):
        start()


def test_another_authoritys_lists_are_counted_anew(tmp_path: Path, time: Time) -> None:
    seen = tmp_path / "seen"
    for name, revocations in (("one", 2), ("two", 0)):
        made = create(tmp_path / name, "ed25519", clock=time)
        for _ in range(revocations):
            made.revoke(made.issue(DEVICE, 1), Role.DEVICE)
        trust = TrustFiles(made.folder / PUBLIC_FILE, made.folder / REVOKED_FILE, seen=seen)
        trust._clock = time
        assert trust.check(made.issue(DEVICE, 1)).public == DEVICE.public


def test_a_wrong_pin_is_told_with_its_fingerprint_to_compare(tmp_path: Path) -> None:
    import asyncio

    bench = Bench(tmp_path)
    pin = PublicIdentity("cloud", "expected", STRANGER_KEY.public_bytes)

    async def work() -> None:
        async with asyncio.timeout(PATIENCE_S), bench.running():
            with pytest.raises(CloudSilent) as silent:
                await bench.device(pin=pin).send(readings(3), bench.address)
        assert silent.value.exit_code == 4
        assert pin.fingerprint.hex()[:16] in str(silent.value.hint)

    asyncio.run(work())
