"""A cloud and its operator, over the real socket: devices as they come, invitations, removal."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.iot.doubles import DEVICE, STRANGER_KEY, Bench, readings
from tests.patience import PATIENCE_S

from bellwire.base.errors import UsageError
from bellwire.base.local import AnswerMalformed, LocalServer, NotAnswered
from bellwire.base.operating import SOCKET, operated
from bellwire.channel.errors import HandshakeRefused
from bellwire.iot.events import Arrived, Event
from bellwire.iot.gateway.queue import MessageQueue
from bellwire.iot.identity import AllowList
from bellwire.iot.invitations import Invitations
from bellwire.iot.joining import join
from bellwire.iot.operator import REQUESTS, CloudOperator, Desk
from bellwire.iot.roster import DeviceView, Roster
from bellwire.iot.store import latest


def no_socket(error: Exception) -> None:
    raise error


class Operated:
    """A cloud with a roster, and its operator."""

    def __init__(self, bench: Bench, roster: Roster, kept: Invitations) -> None:
        self.bench = bench
        self.roster = roster
        self.kept = kept
        self.ask = CloudOperator(bench.folder)
        self.while_here: list[DeviceView] = []

    def notify(self, event: Event) -> None:
        self.roster.notify(event)
        if isinstance(event, Arrived):
            self.while_here += self.roster.devices({})


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Operated]:
    bench = Bench(folder)
    kept = Invitations(bench.folder / "invitations", bench.folder / "allowed")
    async with asyncio.timeout(PATIENCE_S), bench.running(invitations=kept) as cloud:
        admitted = AllowList(bench.folder / "allowed")
        roster = Roster(admitted, cloud.streams._store)
        roster.watch(cloud.reception)
        found = Operated(bench, roster, kept)
        bench.notify = found.notify
        with MessageQueue(bench.folder) as messages:
            messages.post(DEVICE.fingerprint, "one", [b"hello"], 60.0)
            desk = Desk(
                "cloud",
                {"tcp": str(bench.address), "udp": None},
                roster=roster,
                admitted=admitted,
                invitations=kept,
                messages=messages,
                reception=cloud.reception,
            )
            async with operated(bench.folder, REQUESTS, desk.answer, no_socket):
                yield found


def test_devices_are_shown_as_they_come(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as cloud:
            (silent,) = (await cloud.ask.look()).devices
            assert (silent.name, silent.fingerprint) == (DEVICE.name, DEVICE.fingerprint.hex())
            assert (silent.listed, silent.connected, silent.seen_at) == (True, False, None)
            assert (silent.protection, silent.transport, silent.waiting) == (None, None, 1)
            assert (await cloud.ask.readings(DEVICE.fingerprint)).readings == []
            assert (await cloud.bench.device().send(readings(5), cloud.bench.address)).complete
            here = cloud.while_here[-1]
            assert (here.connected, here.transport, here.readings) == (True, "tcp", 5)
            assert here.protection is not None
            assert (here.protection.qkd_source, here.protection.qkd_keys) == ("simulated", 1)
            assert here.protection.cipher == "AES-256-GCM"
            assert here.last == "4," + "x" * 17
            view = await cloud.ask.look(DEVICE.name.upper()[:3], 1)
            assert (view.name, view.total, view.found) == ("cloud", 1, 1)
            assert view.listens == {"tcp": str(cloud.bench.address)}
            assert (await cloud.ask.look("nobody")).found == 0
            last = await cloud.ask.readings(DEVICE.fingerprint, 2)
            assert [(each.number, each.text[:2]) for each in last.readings] == [
                (3, "3,"),
                (4, "4,"),
            ]
            assert last.begin.startswith("0,")
            (route,) = (await cloud.ask.routes()).routes
            assert (route.name, route.state, route.size) == ("one", "QUEUED", 5)
            # A cloud that began anew knows since when it has heard nothing.
            anew = Roster(AllowList(cloud.bench.folder / "allowed"), cloud.roster._store)
            (one,) = anew.devices({})
            assert one.seen_at is not None
            assert (one.since, one.last, one.connected) == (None, None, False)

    asyncio.run(work())


def test_an_operator_invites_takes_back_and_removes(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as cloud:
            made = await cloud.ask.invite("sensor-7", 600.0)
            assert made.at == str(cloud.bench.address)
            shown = (await cloud.ask.look()).invitations
            assert [(each.name, each.state) for each in shown] == [("sensor-7", "open")]
            assert made.code not in str(shown)
            await cloud.ask.cancel(bytes.fromhex(shown[0].id))
            assert (await cloud.ask.look()).invitations == []
            with pytest.raises(UsageError, match="none"):
                await cloud.ask.cancel(bytes(16))
            with pytest.raises(UsageError, match="60 printable"):
                await cloud.ask.invite("a\nb", 600.0)
            _, code = cloud.kept.invite("sensor-8", 600.0)
            await join(code, STRANGER_KEY.public_bytes, cloud.bench.address)
            names = {each.name for each in (await cloud.ask.look()).devices}
            assert names == {DEVICE.name, "sensor-8"}

            await cloud.ask.remove(DEVICE.fingerprint)
            with pytest.raises(HandshakeRefused):
                await cloud.bench.device().send(readings(1), cloud.bench.address)
            assert [each.name for each in (await cloud.ask.look()).devices] == ["sensor-8"]
            with pytest.raises(UsageError, match="of the cloud's list"):
                await cloud.ask.remove(DEVICE.fingerprint)

    asyncio.run(work())


def test_a_removed_device_loses_its_session(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as cloud:
            removed: list[asyncio.Task[None]] = []
            note = cloud.bench.notify

            def remove(event: Event) -> None:
                note(event)
                if isinstance(event, Arrived) and not removed:
                    removed.append(asyncio.create_task(cloud.ask.remove(DEVICE.fingerprint)))

            cloud.bench.notify = remove
            sent = readings(3000, 4000)  # more than a batch
            with contextlib.suppress(Exception):
                await cloud.bench.device().send(sent, cloud.bench.address)
            await removed[0]
            while cloud.roster.devices({}) and cloud.roster.devices({})[0].connected:
                await asyncio.sleep(0)
            one = cloud.roster.devices({})[0]
            assert (one.listed, one.connected) == (False, False)

    asyncio.run(work())


def test_nobody_and_what_is_no_cloud(tmp_path: Path) -> None:
    async def babble(_: bytes) -> bytes:
        return b"\x92\xc0\xa3abc"

    async def work() -> None:
        with pytest.raises(NotAnswered):
            await CloudOperator(tmp_path / "none").look()
        async with LocalServer(tmp_path / "s" / SOCKET, babble, request_limit=1 << 12):
            with pytest.raises(AnswerMalformed):
                await CloudOperator(tmp_path / "s").look()
        said: list[Exception] = []
        deep = tmp_path / ("x" * 120)
        async with operated(deep, REQUESTS, lambda _: pytest.fail("asked"), said.append):
            assert len(said) == 1  # the service runs without

    asyncio.run(work())


def test_readings_that_are_being_written_are_not_shown(tmp_path: Path) -> None:
    async def work() -> None:
        bench = Bench(tmp_path)
        async with bench.running():
            assert (await bench.device().send(readings(4), bench.address)).complete
        (path,) = bench.folder.glob("devices/*/*.readings")
        assert [number for number, _ in latest(path, 9)] == [0, 1, 2, 3]
        assert latest(path, 1, end=1) == [(0, readings(4)[0])]
        index = path.with_suffix(".index")
        index.write_bytes(index.read_bytes()[:-16] + bytes(16))
        assert [number for number, _ in latest(path, 2)] == [2]

    asyncio.run(work())
