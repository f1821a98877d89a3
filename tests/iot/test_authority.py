import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.iot.doubles import CLOUD, DEVICE, DEVICE_KEY, STRANGER_KEY, Bench, readings
from tests.patience import PATIENCE_S

from bellwire.channel.certificates import SERIAL_BYTES, Role, Trust
from bellwire.channel.errors import CertificateRefused, HandshakeRefused
from bellwire.iot import authority as module
from bellwire.iot import enrolment
from bellwire.iot.authority import PUBLIC_FILE, REVOKED_FILE, Authority, create, load
from bellwire.iot.errors import IdentityError
from bellwire.iot.identity import PublicIdentity, load_or_create
from bellwire.iot.trust_files import TrustFiles, read_authority


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return create(tmp_path / "ca", "both")


def trust_of(authority: Authority) -> TrustFiles:
    return TrustFiles(authority.folder / PUBLIC_FILE, authority.folder / REVOKED_FILE)


@pytest.mark.parametrize("algorithms", ["both", "ed25519", "ml-dsa-65"])
def test_an_authority_is_the_same_when_it_is_opened_again(
    tmp_path: Path, algorithms: module.Algorithms
) -> None:
    made = create(tmp_path / "ca", algorithms)
    again = load(tmp_path / "ca")
    assert made.public == again.public == read_authority(tmp_path / "ca" / PUBLIC_FILE)
    assert (made.public.ed25519 is None) == (algorithms == "ml-dsa-65")
    assert (made.public.ml_dsa_65 is None) == (algorithms == "ed25519")
    found = trust_of(made).check(again.issue(DEVICE, 1))
    assert found == DEVICE
    with pytest.raises(IdentityError, match="no authority"):
        create(tmp_path / "ca", algorithms)


def test_certificates_are_for_a_time_and_of_a_role(authority: Authority) -> None:
    data = authority.issue(CLOUD, 2)
    found = Trust(authority.public).check(data, Role.CLOUD, authority._clock())
    assert found.not_after - found.not_before == 2 * 86_400
    with pytest.raises(CertificateRefused, match="of a device"):
        trust_of(authority).check(data)
    for days in (0, -1, 36_501, float("nan")):
        with pytest.raises(IdentityError, match="days"):
            authority.issue(DEVICE, days)


def test_what_is_taken_back_counts_no_longer_and_the_rest_does(authority: Authority) -> None:
    trust = trust_of(authority)
    first, second = authority.issue(DEVICE, 1), authority.issue(DEVICE, 1)
    trust.check(first)
    authority.revoke(first, Role.DEVICE)
    authority.revoke(first, Role.DEVICE)
    assert authority.revoked().number == 2
    with pytest.raises(CertificateRefused, match="revoked"):
        trust.check(first)
    assert trust.check(second) == DEVICE


def test_without_a_list_that_can_be_read_no_certificate_counts(authority: Authority) -> None:
    trust, path = trust_of(authority), authority.folder / REVOKED_FILE
    first, data = authority.issue(DEVICE, 1), authority.issue(DEVICE, 1)
    old = path.read_bytes()
    authority.revoke(first, Role.DEVICE)
    trust.check(data)
    new = path.read_bytes()

    def put(content: bytes) -> None:
        path.with_suffix(".new").write_bytes(content)
        path.with_suffix(".new").replace(path)

    for content, says in ((old, "list 2"), (b"", "list of revoked"), (new[:-1], "signatures")):
        put(content)
        with pytest.raises(CertificateRefused, match=says):
            trust.check(data)
    path.unlink()
    with pytest.raises(CertificateRefused, match="no certificate counts"):
        trust.check(data)
    put(new)
    assert trust.check(data) == DEVICE


def test_malformed_files_are_refused(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(IdentityError, match="got none"):
        load(tmp_path / "other")
    (authority.folder / "authority.seeds").write_bytes(b"{}")
    with pytest.raises(IdentityError, match="seeds"):
        load(authority.folder)
    path = tmp_path / "some.pub"
    for content in (
        b"",
        b"{}",
        b'{"role":"authority","ed25519":null,"ml_dsa_65":null}',
        b"x" * 9000,
    ):
        path.write_bytes(content)
        with pytest.raises(IdentityError):
            read_authority(path)
    with pytest.raises(IdentityError, match="No such file"):
        read_authority(tmp_path / "missing")


def test_a_device_keeps_only_a_certificate_for_its_own_key(
    tmp_path: Path, authority: Authority
) -> None:
    folder, file = tmp_path / "device", tmp_path / "one.cert"
    assert enrolment.load_certificate(tmp_path) == b""
    file.write_bytes(authority.issue(DEVICE, 1))
    public = authority.folder / PUBLIC_FILE
    key = load_or_create(folder)
    with pytest.raises(IdentityError, match="this device's key"):
        enrolment.keep_certificate(
            folder, load_or_create(folder), file, public, now=authority._clock()
        )
    own = PublicIdentity("device", "own", key.public_bytes)
    file.write_bytes(authority.issue(own, 1))
    with pytest.raises(CertificateRefused, match="expired"):
        enrolment.keep_certificate(
            folder, load_or_create(folder), file, public, now=authority._clock() + 90_000
        )
    enrolment.keep_certificate(folder, key, file, public, now=authority._clock())
    assert enrolment.load_certificate(folder) == file.read_bytes()


def test_certified_devices_send_without_a_place_on_the_list(
    tmp_path: Path, authority: Authority
) -> None:
    bench = Bench(tmp_path)
    data = authority.issue(DEVICE, 1)
    stranger = PublicIdentity("device", "stranger", STRANGER_KEY.public_bytes)

    async def work() -> None:
        async with bench.running(admit=False, trust=trust_of(authority)):
            assert (await bench.device(certificate=data).send(readings(20), bench.address)).complete
            assert bench.sessions[0].device == DEVICE
            with pytest.raises(HandshakeRefused):
                await bench.device().send(readings(20), bench.address)
            other = bench.device(identity=STRANGER_KEY, certificate=data)
            with pytest.raises(HandshakeRefused):
                await other.send(readings(20), bench.address)
            other = bench.device(identity=STRANGER_KEY, certificate=authority.issue(stranger, 1))
            assert (await other.send(readings(20), bench.address)).complete
            authority.revoke(data, Role.DEVICE)
            with pytest.raises(HandshakeRefused):
                await bench.device(certificate=data).send(readings(21), bench.address)
        async with bench.running(admit=False):
            with pytest.raises(HandshakeRefused):
                await bench.device(certificate=data).send(readings(20), bench.address)
        assert "revoked" in bench.reasons
        assert "with a certificate" in bench.reasons

    run(work())
    assert DEVICE_KEY.public_bytes == DEVICE.public


def test_what_many_revoke_at_once_is_all_in_the_list(tmp_path: Path) -> None:
    folder = create(tmp_path / "ca", "ed25519").folder
    serials = [bytes([n]) * SERIAL_BYTES for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda serial: load(folder).revoke_serials([serial]), serials))
    kept = load(folder).revoked()
    assert kept.serials == set(serials)
    assert kept.number == 1 + len(serials)
