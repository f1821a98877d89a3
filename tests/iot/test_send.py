"""Device and cloud over TCP on loopback: what was sent is there, exactly once, whatever happens."""

import asyncio
import dataclasses
import hashlib
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.iot.doubles import CLOUD_KEY, STRANGER_KEY, Bench, readings
from tests.patience import PATIENCE_S

from bellwire.base.errors import BellwireError
from bellwire.channel.errors import HandshakeFailed, HandshakeRefused
from bellwire.channel.handshake import Policy, RefreshLimits, SessionOptions, Suite
from bellwire.channel.padding import Padding
from bellwire.iot.cloud import Cloud
from bellwire.iot.destination import Address
from bellwire.iot.errors import (
    CloudRejected,
    CloudUnreachable,
    KeyRefused,
    KeyUnavailable,
    ListenError,
    RangeError,
    StoreFailed,
    StreamMismatch,
)
from bellwire.iot.events import Arrived, Event, KeyFileIgnored
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.readings import Readings
from bellwire.iot.store import CloudStore, StreamFile


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


def test_readings_arrive_exactly_and_the_report_says_under_which_protection(bench: Bench) -> None:
    async def work() -> None:
        data = readings(3000)
        async with bench.running():
            report = await bench.device().send(data, bench.address)
        assert bench.files() == [data.data]
        assert b"".join(bench.arrived) == data.data
        assert (report.sent, report.already, report.stored) == (3000, 0, 3000)
        assert report.complete
        assert report.sha256_in == report.sha256_out == hashlib.sha256(data.data).digest()
        assert report.protections.names == ("x25519", "ml-kem-768", "qkd (simulated)")
        assert bench.sessions[0].protections == report.protections
        batches = len(report.answers_s)
        assert report.handshake_s > 0
        assert min(report.answers_s) > 0
        assert report.records == batches + 3, "open, finish and close"
        # 20 bytes a record; a reading's length and a batch's head and number are a few more.
        assert 20 * report.records < report.overhead_bytes < 20 * report.records + 4 * 3000
        assert bench.sessions[0].device.name == "thermometer"

    run(work())


def test_the_same_send_again_brings_nothing(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            await bench.device().send(readings(10), bench.address)
            again = await bench.device().send(readings(10), bench.address)
        assert (again.sent, again.already, again.complete) == (0, 10, True)
        assert bench.files() == [readings(10).data]

    run(work())


def test_parts_join_and_a_gap_is_refused(bench: Bench) -> None:
    async def work() -> None:
        data = readings(10)
        async with bench.running():
            first = await bench.device().send(data, bench.address, stop=4)
            assert (first.sent, first.stored, first.complete) == (4, 4, False)
            assert first.sha256_out == data.sha256(4)
            with pytest.raises(RangeError, match="got 4") as caught:
                await bench.device().send(data, bench.address, first=6)
            assert caught.value.exit_code == 2
            rest = await bench.device().send(data, bench.address, first=2)
            assert (rest.sent, rest.already, rest.complete) == (6, 4, True)
        assert bench.files() == [data.data]
        assert len(bench.arrived) == 10

    run(work())


@pytest.mark.parametrize(("first", "stop"), [(-1, None), (0, 11), (5, 4), (11, None)])
def test_ranges_that_do_not_exist_are_refused(bench: Bench, first: int, stop: int | None) -> None:
    with pytest.raises(RangeError, match="within 0 to 10"):
        run(_discard(bench.device().send(readings(10), bench.address, first=first, stop=stop)))


async def _discard(work: Coroutine[Any, Any, object]) -> None:
    await work


def test_a_cloud_killed_at_any_batch_loses_and_repeats_nothing(bench: Bench) -> None:
    """The cloud dies after storing, before acknowledging; the device sends again."""

    async def work() -> None:
        data = readings(200, size=1000)
        batches = len(list(data.batches(0, 200)))
        assert batches >= 4
        shown = 0
        for dying in range(batches):
            async with bench.running() as cloud:
                bench.notify = _dies_at(cloud, dying, bench.events.append)
                name = f"stream {dying}"
                with pytest.raises(CloudUnreachable, match="stopped") as caught:
                    await bench.device().send(data, bench.address, stream_name=name)
                assert "again" in (caught.value.hint or "")
            bench.notify = bench.events.append
            async with bench.running():
                report = await bench.device().send(data, bench.address, stream_name=name)
            assert report.complete
            assert report.already == sum(len(b) for _, b in list(data.batches(0, 200))[: dying + 1])
            shown += 200
            assert len(bench.arrived) == shown
        assert bench.files() == [data.data] * batches

    run(work())


def _dies_at(cloud: Cloud, batch: int, notify: Callable[[Event], None]) -> Callable[[Event], None]:
    seen = 0

    def tell(event: Event) -> None:
        nonlocal seen
        notify(event)
        if isinstance(event, Arrived):
            seen += 1
            if seen == batch + 1:
                for connection in cloud.reception._connections:
                    connection.cancel()

    return tell


def test_a_device_killed_mid_send_loses_and_repeats_nothing(bench: Bench) -> None:
    async def work() -> None:
        data = readings(200, size=1000)
        async with bench.running():
            progressed = asyncio.Event()
            sending = asyncio.create_task(
                bench.device().send(data, bench.address, progress=lambda sent: progressed.set())
            )
            await progressed.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await bench.turned_away()
            stored = len(bench.arrived)
            assert 0 < stored < 200
            report = await bench.device().send(data, bench.address)
            assert (report.already, report.sent) == (stored, 200 - stored)
        assert bench.files() == [data.data]
        assert b"".join(bench.arrived) == data.data

    run(work())


@pytest.mark.parametrize("at", ["append", "open"])
def test_a_cloud_that_stops_lets_disk_work_end_before_it_closes_files(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    holder: type = StreamFile if at == "append" else CloudStore
    real = getattr(holder, at)
    begun, go_on = threading.Event(), threading.Event()

    def slow(*arguments: object) -> object:
        begun.set()
        go_on.wait(PATIENCE_S)
        return real(*arguments)

    async def work() -> None:
        monkeypatch.setattr(holder, at, slow)
        async with bench.running() as cloud:
            sending = asyncio.create_task(bench.device().send(readings(5), bench.address))
            await asyncio.to_thread(begun.wait)
            closing = asyncio.create_task(cloud.close())
            await asyncio.sleep(0)
            go_on.set()
            await closing
            with pytest.raises(CloudUnreachable):
                await sending
            assert len(cloud.streams) == 0
        monkeypatch.undo()
        async with bench.running():
            report = await bench.device().send(readings(5), bench.address)
        assert report.already == (5 if at == "append" else 0)
        assert bench.files() == [readings(5).data]

    run(work())


def test_a_device_without_a_source_goes_without_only_if_it_may(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            without = dataclasses.replace(bench.device(), keys=None)
            with pytest.raises(KeyUnavailable, match="got none"):
                await without.send(readings(5), bench.address)
            prefers = dataclasses.replace(without, policy=Policy.PREFER)
            report = await prefers.send(readings(5), bench.address)
        assert report.protections.qkd_source is None

    run(work())


def test_a_red_link_refuses_before_anything_is_sent(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            for policy in (Policy.REQUIRE, Policy.PREFER):
                bench.at_device.red = True
                with pytest.raises(KeyRefused, match="nothing was sent: the link is RED") as caught:
                    await bench.device(policy=policy).send(readings(5), bench.address)
                assert caught.value.exit_code == 3
                bench.at_device.red = False
            assert bench.sessions == []
            report = await bench.device().send(readings(5), bench.address)
        assert report.complete

    run(work())


def test_a_cloud_whose_link_is_red_refuses_the_handshake(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            bench.at_cloud.red = True
            for policy in (Policy.REQUIRE, Policy.PREFER):
                with pytest.raises(HandshakeRefused) as caught:
                    await bench.device(policy=policy).send(readings(5), bench.address)
                assert caught.value.exit_code == 3
            await bench.turned_away()
        assert "RED" in bench.reasons
        assert bench.files() == []

    run(work())


def test_an_unreachable_source_stops_a_device_that_requires_and_shows_in_one_that_prefers(
    bench: Bench,
) -> None:
    async def work() -> None:
        async with bench.running():
            bench.at_device.down = True
            with pytest.raises(KeyUnavailable) as caught:
                await bench.device().send(readings(5), bench.address)
            assert caught.value.exit_code == 4
            report = await bench.device(policy=Policy.PREFER).send(readings(5), bench.address)
            assert report.protections.names == ("x25519", "ml-kem-768")
            bench.at_device.down, bench.at_cloud.down = False, True
            with pytest.raises(HandshakeRefused):
                await bench.device().send(readings(5), bench.address)
            report = await bench.device(policy=Policy.PREFER).send(readings(6), bench.address)
            assert report.protections.qkd_source is None
        assert bench.link.drawn == 2

    run(work())


def test_a_device_without_qkd_asks_no_source(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            report = await bench.device(policy=Policy.OFF).send(readings(5), bench.address)
        assert report.complete
        assert bench.link.drawn == 0
        async with bench.running(policy=Policy.REQUIRE):
            with pytest.raises(HandshakeRefused):
                await bench.device(policy=Policy.OFF).send(readings(5), bench.address)

    run(work())


def test_strangers_and_impostors_get_nothing(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            with pytest.raises(HandshakeRefused):
                await bench.device(identity=STRANGER_KEY).send(readings(5), bench.address)
            impostor = PublicIdentity("cloud", "cloud.test", STRANGER_KEY.public_bytes)
            with pytest.raises(CloudUnreachable, match="without an answer") as caught:
                await bench.device(pin=impostor).send(readings(5), bench.address)
            assert "fingerprint" in (caught.value.hint or "")
            renamed = PublicIdentity("cloud", "other", CLOUD_KEY.public_bytes)
            with pytest.raises(HandshakeFailed):
                await bench.device(pin=renamed).send(readings(5), bench.address)
        assert bench.sessions == []
        assert bench.files() == []

    run(work())


def test_a_device_is_admitted_as_soon_as_its_key_file_is_there(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running(admit=False):
            with pytest.raises(HandshakeRefused):
                await bench.device().send(readings(5), bench.address)
            (bench.folder / "allowed" / "bad.pub").write_bytes(b"rubbish")
            from tests.iot.doubles import DEVICE

            from bellwire.iot.identity import write_public

            write_public(bench.folder / "allowed" / "one.pub", DEVICE)
            for count in (5, 6):
                assert (await bench.device().send(readings(count), bench.address)).complete
        ignored = [e for e in bench.events if isinstance(e, KeyFileIgnored)]
        assert len(ignored) == 1
        assert "bad.pub" in ignored[0].reason

    run(work())


def test_other_readings_under_a_stream_s_name_are_refused(bench: Bench) -> None:
    async def work() -> None:
        device = bench.device()
        async with bench.running():
            await device.send(readings(5), bench.address, stream_name="log")
            grown = await device.send(
                Readings(readings(5).data + b"\n5\n", [20, 40, 60, 80, 99, 102]),
                bench.address,
                stream_name="log",
            )
            assert (grown.already, grown.sent) == (5, 1)
            for other in (readings(8, size=30), readings(3)):
                with pytest.raises(StreamMismatch) as caught:
                    await device.send(other, bench.address, stream_name="log")
                assert caught.value.exit_code == 3

    run(work())


def test_two_devices_connections_share_a_stream_without_a_repeat(bench: Bench) -> None:
    async def work() -> None:
        data = readings(120, size=1000)
        async with bench.running():
            results = await asyncio.gather(
                *(bench.device().send(data, bench.address) for _ in range(3)),
                return_exceptions=True,
            )
            for result in results:
                if isinstance(result, BaseException):
                    assert isinstance(result, BellwireError)
                    assert "out of step" in str(result) or "expected reading" in str(result)
            final = await bench.device().send(data, bench.address)
        assert final.complete
        assert bench.files() == [data.data]
        assert b"".join(bench.arrived) == data.data

    run(work())


@pytest.mark.parametrize("failing", ["append", "open"])
def test_a_full_disk_is_told_without_detail_and_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> int:
        raise StoreFailed("cannot write /somewhere/secret: No space left")

    async def work() -> None:
        async with bench.running():
            with monkeypatch.context() as patched:
                if failing == "append":
                    patched.setattr(StreamFile, "append", fail)
                else:
                    patched.setattr(CloudStore, "open", fail)
                with pytest.raises(CloudRejected, match="its storage failed") as caught:
                    await bench.device().send(readings(5), bench.address)
                assert "secret" not in str(caught.value)
            await bench.turned_away()
            assert "No space left" in bench.reasons
            assert (await bench.device().send(readings(5), bench.address)).complete

    run(work())


def test_nobody_listening_is_unreachable_and_costs_no_key(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            pass
        with pytest.raises(CloudUnreachable, match="no answer") as caught:
            await bench.device().send(readings(5), bench.address)
        assert caught.value.exit_code == 4
        with pytest.raises(CloudUnreachable):
            await bench.device().send(readings(5), Address("host.invalid", 1))
        assert bench.link.drawn == 0

    run(work())


def test_a_port_in_use_is_said_plainly(bench: Bench, tmp_path: Path) -> None:
    async def work() -> None:
        other = Bench(tmp_path / "other")
        async with bench.running():
            other.address = bench.address
            with pytest.raises(ListenError, match="in use by another program") as caught:
                async with other.running():
                    pass
            assert caught.value.exit_code == 2
        other.address = Address("127.0.0.1", 70_000)
        with pytest.raises(ListenError):
            async with other.running():
                pass

    run(work())


def test_addresses_read_as_people_write_them() -> None:
    assert str(Address("127.0.0.1", 8470)) == "127.0.0.1:8470"
    assert str(Address("::1", 8470)) == "[::1]:8470"


ALWAYS = SessionOptions(refresh=RefreshLimits(seconds=0.0))


@pytest.mark.parametrize("suite", Suite)
def test_sessions_get_fresh_qkd_keys_while_readings_flow(bench: Bench, suite: Suite) -> None:
    async def work() -> None:
        async with bench.running():
            device = bench.device(suite=suite, options=ALWAYS)
            report = await device.send(readings(5000), bench.address)
        assert report.complete
        assert report.protections.refreshes >= 5
        assert report.protections.qkd_keys == report.protections.refreshes + 1
        assert bench.link.drawn == report.protections.qkd_keys
        assert bench.link.keys == {}, "each key that was drawn was fetched"
        assert report.protections.suite is suite
        assert bench.files() == [readings(5000).data]

    run(work())


def test_a_session_under_require_ends_when_the_link_turns_red(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            device = bench.device(options=ALWAYS)

            def eve(sent: int) -> None:
                bench.at_device.red = True

            with pytest.raises(KeyRefused):
                await device.send(readings(5000), bench.address, progress=eve)
            assert 0 < len(bench.arrived) < 5000
            bench.at_device.red = False
            bench.at_cloud.red = True
            with pytest.raises(HandshakeRefused):
                await device.send(readings(5000), bench.address)
            bench.at_cloud.red = False
            assert (await device.send(readings(5000), bench.address)).complete
        assert bench.files() == [readings(5000).data]

    run(work())


def test_a_cloud_whose_source_refuses_a_fresh_key_ends_the_session(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            device = bench.device(policy=Policy.PREFER, options=ALWAYS)

            def eve(sent: int) -> None:
                bench.at_cloud.red = True

            with pytest.raises((CloudUnreachable, CloudRejected)):
                await device.send(readings(5000), bench.address, progress=eve)
            await bench.turned_away()
        assert "RED" in bench.reasons

    run(work())


def test_padded_sessions_carry_readings_too(bench: Bench) -> None:
    async def work() -> None:
        async with bench.running():
            device = bench.device(options=SessionOptions(padding=Padding.PADME))
            assert (await device.send(readings(100), bench.address)).complete
            device = bench.device(suite=Suite.CHACHA20_POLY1305)
            assert (await device.send(readings(101), bench.address)).complete
        async with bench.running(suites={Suite.AES_256_GCM}):
            device = bench.device(suite=Suite.CHACHA20_POLY1305)
            with pytest.raises(CloudUnreachable):
                await device.send(readings(102), bench.address)

    run(work())
