import asyncio
import dataclasses
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.iot.doubles import CLOUD, DEVICE, Bench, readings
from tests.patience import PATIENCE_S

from bellwire.base.private import PathExposed
from bellwire.base.secret import Secret
from bellwire.channel.certificates import Role
from bellwire.channel.errors import HandshakeRefused
from bellwire.channel.handshake import Policy, Suite, Ticket
from bellwire.channel.protections import Protections
from bellwire.channel.resumption import TICKET_LIFE_S
from bellwire.iot.authority import PUBLIC_FILE, REVOKED_FILE, create
from bellwire.iot.errors import KeyRefused
from bellwire.iot.identity import write_public
from bellwire.iot.tickets import TicketFile
from bellwire.iot.trust_files import TrustFiles

PROTECTIONS = Protections("hardware", Suite.CHACHA20_POLY1305, qkd_keys=3, resumed=2)
TICKET = Ticket(b"h" * 16, Secret(b"p" * 32), CLOUD.fingerprint, PROTECTIONS)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


def test_a_ticket_is_kept_and_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "ticket"
    TicketFile(path).keep(TICKET)
    assert path.stat().st_mode & 0o777 == 0o600
    taken = TicketFile(path).take(CLOUD.fingerprint, Suite.CHACHA20_POLY1305)
    assert taken == TICKET
    assert not path.exists()
    assert TicketFile(path).take(CLOUD.fingerprint, Suite.CHACHA20_POLY1305) is None


@pytest.mark.parametrize("after", [-1.0, TICKET_LIFE_S, 1e12])
def test_a_ticket_of_another_time_is_none(tmp_path: Path, after: float) -> None:
    path = tmp_path / "ticket"
    TicketFile(path, clock=lambda: 1e6).keep(TICKET)
    later = TicketFile(path, clock=lambda: 1e6 + after)
    assert later.take(CLOUD.fingerprint, Suite.CHACHA20_POLY1305) is None
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100, b"x" * 2000, bytes(48) + b"{}"])
def test_a_spoilt_file_is_no_ticket(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ticket"
    path.touch(0o600)
    path.write_bytes(content)
    assert TicketFile(path).take(CLOUD.fingerprint, Suite.AES_256_GCM) is None


def test_a_ticket_of_another_cloud_or_suite_is_none_and_an_exposed_file_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ticket"
    for peer, suite in (
        (DEVICE.fingerprint, Suite.CHACHA20_POLY1305),
        (CLOUD.fingerprint, Suite.AES_256_GCM),
    ):
        TicketFile(path).keep(TICKET)
        assert TicketFile(path).take(peer, suite) is None
    TicketFile(path).keep(TICKET)
    path.chmod(0o644)
    with pytest.raises(PathExposed):
        TicketFile(path).take(CLOUD.fingerprint, Suite.CHACHA20_POLY1305)


def test_a_device_resumes_and_after_the_cloud_s_restart_shakes_hands_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    device = bench.device(tickets=TicketFile(tmp_path / "ticket"))

    async def work() -> None:
        resumed = []
        for _ in range(2):
            async with bench.running():
                for count in (5, 10, 15):
                    report = await device.send(readings(count), bench.address)
                    assert report.complete
                    resumed.append(report.protections.resumed)
                    assert report.protections.qkd_keys == report.protections.resumed + 1
        assert resumed == [0, 1, 2, 0, 1, 2]
        assert bench.link.keys == {}, "a key that was drawn for an unknown ticket was used"
        assert bench.link.drawn == 6

    run(work())


def test_a_ticket_does_not_outlive_its_device_s_admission(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    device = bench.device(tickets=TicketFile(tmp_path / "ticket"))

    async def work() -> None:
        async with bench.running():
            assert (await device.send(readings(5), bench.address)).complete
            (bench.folder / "allowed" / "one.pub").unlink()
            with pytest.raises(HandshakeRefused):
                await device.send(readings(6), bench.address)
            write_public(bench.folder / "allowed" / "one.pub", DEVICE)
            assert (await device.send(readings(6), bench.address)).complete
        assert "still on the list" in bench.reasons

    run(work())


def test_a_ticket_does_not_outlive_its_device_s_certificate(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    authority = create(tmp_path / "ca", "both")
    certificate = authority.issue(DEVICE, 1)
    trust = TrustFiles(authority.folder / PUBLIC_FILE, authority.folder / REVOKED_FILE)
    device = bench.device(tickets=TicketFile(tmp_path / "ticket"), certificate=certificate)

    async def work() -> None:
        async with bench.running(admit=False, trust=trust):
            reports = [await device.send(readings(count), bench.address) for count in (5, 6)]
            assert [report.protections.resumed for report in reports] == [0, 1]

            authority.revoke(certificate, Role.DEVICE)
            with pytest.raises(HandshakeRefused, match="resume"):
                await device.send(readings(7), bench.address)

    run(work())


def test_a_resumption_asks_for_a_fresh_qkd_key_and_is_refused_when_the_link_is_red(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    device = bench.device(tickets=TicketFile(tmp_path / "ticket"))

    async def work() -> None:
        async with bench.running():
            assert (await device.send(readings(5), bench.address)).complete
            bench.at_cloud.red = True
            with pytest.raises(HandshakeRefused):
                await device.send(readings(6), bench.address)
            bench.at_device.red = True
            with pytest.raises(KeyRefused):
                await device.send(readings(6), bench.address)
            bench.at_device.red = bench.at_cloud.red = False
            plain = dataclasses.replace(device, policy=Policy.OFF, keys=None)
            report = await plain.send(readings(6), bench.address)
            assert report.protections.qkd_source is None
            report = await plain.send(readings(7), bench.address)
            assert report.protections.resumed == 1

    run(work())
