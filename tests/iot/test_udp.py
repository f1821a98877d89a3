"""Device and cloud over UDP: what was sent is there, exactly once, whatever datagrams suffer."""

import asyncio
import dataclasses
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.iot.doubles import CLOUD, STRANGER_KEY, Bench, readings
from tests.iot.relay import Relay
from tests.patience import PATIENCE_S

from bellwire.channel.errors import HandshakeRefused
from bellwire.channel.fragments import Knock, cut, make_knock
from bellwire.channel.handshake import Policy, RefreshLimits, SessionOptions, Suite
from bellwire.channel.messages import Kind
from bellwire.channel.options import RekeyLimits
from bellwire.channel.padding import Padding
from bellwire.iot.datagram_desk import DatagramDesk
from bellwire.iot.errors import CloudUnreachable, KeyUnavailable, ListenError
from bellwire.iot.events import Arrived
from bellwire.iot.tickets import TicketFile
from bellwire.iot.udp import UdpAddress


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


async def settled(desk: DatagramDesk) -> None:
    """Wait until the cloud has no sessions and no handshakes over datagrams."""
    async with asyncio.timeout(PATIENCE_S):
        while desk._tasks:
            await asyncio.sleep(0)


def test_readings_arrive_exactly_and_leave_nothing_behind(bench: Bench) -> None:
    async def work() -> None:
        data = readings(3000, size=50)
        async with bench.running() as cloud:
            address = UdpAddress(*await cloud.start_udp("127.0.0.1", 0))
            report = await bench.device().send(data, address)
            await settled(cloud._udp._desk)
            assert not cloud._udp._desk._seats
            assert not cloud._udp._desk._visits
        assert report.complete
        assert report.protections.names == ("x25519", "ml-kem-768", "qkd (simulated)")
        assert bench.files() == [data.data]
        assert bench.reasons == ""

    run(work())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_wire_that_loses_doubles_and_reorders_costs_time_alone(bench: Bench, seed: int) -> None:
    async def work() -> None:
        data = readings(1500, size=60)
        options = SessionOptions(
            padding=Padding.PADME, rekey=RekeyLimits(records=40), refresh=RefreshLimits(0.0)
        )
        async with bench.running() as cloud:
            relay = Relay(
                await cloud.start_udp("127.0.0.1", 0),
                loss=0.1,
                double=0.1,
                jitter_s=0.01,
                seed=seed,
            )
            async with relay.open() as address:
                report = await bench.device(options=options).send(data, address)
        assert report.complete
        assert b"".join(bench.arrived) == data.data
        assert report.protections.refreshes >= 1

    run(work())


def test_a_capture_replayed_at_any_point_changes_nothing(bench: Bench) -> None:
    async def work() -> None:
        data = readings(400, size=50)
        async with bench.running() as cloud:
            relay = Relay(await cloud.start_udp("127.0.0.1", 0))
            async with relay.open() as address:
                await bench.device().send(data, address)
                await settled(cloud._udp._desk)
                capture = [datagram for up, datagram in relay.passed if up]
                sending = asyncio.create_task(
                    bench.device().send(data, address, stream_name="second")
                )
                replayed = 0
                while not sending.done():
                    # Each soon after it passed, and one of the first session's with it.
                    for place in range(replayed, len(relay.passed)):
                        relay.replay(relay.passed[place][1])
                        relay.replay(capture[place % len(capture)])
                    replayed = len(relay.passed)
                    await asyncio.sleep(0.001)
                assert (await sending).complete
                for datagram in (*capture, *capture):
                    relay.replay(datagram)
                await settled(cloud._udp._desk)
        assert b"".join(bench.arrived) == 2 * data.data
        assert len(bench.sessions) == 2

    run(work())


def test_who_has_not_shown_where_it_is_costs_no_memory_and_is_sent_less_than_it_sends(
    bench: Bench,
) -> None:
    async def work() -> None:
        async with bench.running() as cloud:
            relay = Relay(await cloud.start_udp("127.0.0.1", 0))
            async with relay.open():
                knock = make_knock(Knock(Suite.AES_256_GCM, b"d" * 32, b"m" * 16), CLOUD.public)
                fragments = cut(bytes([1, 2]) + bytes(2443), b"d" * 32, b"c" * 16, 1232)
                noise = [b"", b"\0", b"\x0b", bytes([16]) * 40, bytes(range(256)) * 4]
                for _ in range(50):
                    for each in (knock, *fragments, *noise):
                        relay.replay(each)
                    await asyncio.sleep(0)
                async with asyncio.timeout(PATIENCE_S):
                    while len(relay.passed) < 50:
                        relay.replay(knock)
                        await asyncio.sleep(0.01)
            desk = cloud._udp._desk
            assert not any((desk._visits, desk._seats, desk._done, desk._tasks))
            assert {len(answer) for _, answer in relay.passed} == {36}
            assert len(knock) == 68

    run(work())


def test_an_answer_that_is_lost_is_said_again_with_the_same_bytes(bench: Bench) -> None:
    async def work() -> None:
        lost = 0

        def cut_answers(datagram: bytes) -> bool:
            nonlocal lost
            answer = datagram[0] == Kind.FRAGMENT and datagram[54:55] == bytes([Kind.ANSWER])
            lost += answer
            return answer and lost <= 2

        async with bench.running() as cloud:
            relay = Relay(await cloud.start_udp("127.0.0.1", 0), cut=cut_answers)
            async with relay.open() as address:
                report = await bench.device().send(readings(5), address)
        answers = [d for up, d in relay.passed if not up and d[0] == Kind.FRAGMENT]
        assert len(answers) >= 6
        assert len(set(answers)) == 2, "of two pieces each"
        assert report.complete
        assert len(bench.sessions) == 1
        assert bench.link.drawn == 1

    run(work())


def test_a_device_whose_address_changes_keeps_its_session(bench: Bench) -> None:
    async def work() -> None:
        data = readings(2000, size=100)
        async with bench.running() as cloud:
            relay = Relay(await cloud.start_udp("127.0.0.1", 0))
            async with relay.open() as address:
                moved = False

                def progress(sent: int) -> None:
                    nonlocal moved
                    if not moved:
                        moved = True
                        moving.append(asyncio.create_task(relay.move()))

                moving: list[asyncio.Task[None]] = []
                report = await bench.device().send(data, address, progress=progress)
                await moving[0]
        assert report.complete
        assert len(bench.sessions) == 1

    run(work())


def test_sessions_are_resumed_and_an_unknown_ticket_leads_to_a_full_handshake(
    bench: Bench, tmp_path: Path
) -> None:
    async def work() -> None:
        tickets = TicketFile(tmp_path / "ticket")
        device = bench.device(tickets=tickets)
        resumed = []
        for restart in (False, True):
            async with bench.running() as cloud:
                address = UdpAddress(*await cloud.start_udp("127.0.0.1", 0))
                for number in range(2 - restart):
                    name = f"{restart} {number}"
                    report = await device.send(readings(3), address, stream_name=name)
                    resumed.append(report.protections.resumed)
        assert resumed == [0, 1, 0]

    run(work())


def test_policies_hold_as_over_tcp(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(policy=Policy.REQUIRE) as cloud:
            address = UdpAddress(*await cloud.start_udp("127.0.0.1", 0))
            without = dataclasses.replace(bench.device(), keys=None)
            with pytest.raises(KeyUnavailable):
                await without.send(readings(5), address)
            off = bench.device(policy=Policy.OFF)
            with pytest.raises(HandshakeRefused):
                await off.send(readings(5), address)
            bench.at_cloud.red = True
            with pytest.raises(HandshakeRefused):
                await bench.device().send(readings(5), address)
            with pytest.raises(HandshakeRefused):
                await bench.device(identity=STRANGER_KEY).send(readings(5), address)
            assert not bench.sessions
        assert not [event for event in bench.events if isinstance(event, Arrived)]

    run(work())


def test_where_no_cloud_answers_no_key_is_drawn(bench: Bench) -> None:
    async def work() -> None:
        async with Relay(("127.0.0.1", 9), loss=1.0).open() as address:
            with pytest.raises(CloudUnreachable, match="got no answer"):
                await bench.device(timeout_s=0.3).send(readings(5), address)
        assert bench.link.drawn == 0

    run(work())


def test_a_cloud_that_goes_says_so(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running() as cloud:
            address = UdpAddress(*await cloud.start_udp("127.0.0.1", 0))
            begun = asyncio.Event()
            sending = asyncio.create_task(
                bench.device().send(
                    readings(3000, size=300), address, progress=lambda sent: begun.set()
                )
            )
            await begun.wait()
            await cloud.close()
            with pytest.raises(CloudUnreachable, match="stopped answering"):
                await asyncio.wait_for(sending, PATIENCE_S)

    run(work())


def test_a_port_in_use_is_said(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running() as cloud:
            host, port = await cloud.start_udp("127.0.0.1", 0)
            with pytest.raises(ListenError, match=r"udp://127\.0\.0\.1"):
                await cloud.start_udp(host, port)

    run(work())
