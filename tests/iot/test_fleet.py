"""A fleet of simulated devices before a real cloud: what it counts is what the cloud has."""

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest
from tests.iot.doubles import CLOUD, Bench
from tests.patience import PATIENCE_S

from bellwire.channel.handshake import fingerprint
from bellwire.cli import device_fleet
from bellwire.iot import fleet
from bellwire.iot.errors import IdentityError
from bellwire.iot.fleet import Habits, Tally
from bellwire.iot.identity import AllowList

BUSY = Habits(seconds=1.5, interval_s=0.05, stay_s=0.3, away_s=0.05, arrivals_per_s=100, seed=1)


def test_a_fleet_is_the_same_devices_each_time_and_others_of_another_secret() -> None:
    first, second = fleet.identities(bytes(32), 3), fleet.identities(bytes(32), 5)
    assert [k.public_bytes for k in first] == [k.public_bytes for k in second[:3]]
    assert len({k.public_bytes for k in second}) == 5
    assert fleet.identities(bytes([1]) * 32, 1)[0].public_bytes != first[0].public_bytes


def test_the_secret_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    secret = fleet.own_secret(tmp_path / "fleet")
    assert fleet.own_secret(tmp_path / "fleet") == secret
    assert (tmp_path / "fleet" / fleet.KEPT_IN).stat().st_mode & 0o777 == 0o600
    (tmp_path / "fleet" / fleet.KEPT_IN).write_bytes(b"short")
    with pytest.raises(IdentityError, match="32 bytes"):
        fleet.own_secret(tmp_path / "fleet")


def test_devices_come_send_leave_and_come_back_and_the_cloud_has_all_they_count(
    tmp_path: Path,
) -> None:
    async def work() -> Tally:
        bench, tally = Bench(tmp_path), Tally()
        keys = fleet.identities(bytes(32), 20)
        fleet.admit(keys, bench.folder / "allowed")
        fleet.admit(keys, bench.folder / "allowed")
        assert set(AllowList(bench.folder / "allowed").load()) == {
            fingerprint(key.public_bytes) for key in keys
        }
        async with bench.running(admit=False):
            seconds = BUSY.seconds
            while tally.sessions <= 20 or not tally.resumed:  # on a slow machine it takes longer
                habits = dataclasses.replace(BUSY, seconds=seconds)
                await fleet.run(keys, CLOUD, bench.address, habits, tally=tally)
                seconds *= 2
        assert len(bench.arrived) == tally.readings
        assert len(bench.sessions) == tally.sessions
        assert sum(e.protections.resumed > 0 for e in bench.sessions) == tally.resumed
        assert all(json.loads(reading)["simulated"] for reading in bench.arrived)
        return tally

    tally = asyncio.run(asyncio.wait_for(work(), PATIENCE_S))
    assert not tally.failures
    assert tally.connected == 0
    assert 1 <= tally.most_connected <= 20
    assert tally.sessions > 20, "some came back"
    assert tally.resumed >= 1
    assert len(tally.handshakes_s) == tally.sessions
    assert len(tally.answers_s) == tally.readings


def test_what_fails_is_counted_by_reason(tmp_path: Path) -> None:
    async def work() -> Tally:
        bench, tally = Bench(tmp_path), Tally()
        async with bench.running():
            keys = fleet.identities(bytes(32), 3)
            await fleet.run(keys, CLOUD, bench.address, BUSY, tally=tally)
        return tally

    tally = asyncio.run(asyncio.wait_for(work(), PATIENCE_S))
    assert set(tally.failures) == {"HandshakeRefused"}
    assert (tally.sessions, tally.readings, tally.connected) == (0, 0, 0)


def test_the_summary_has_its_quantiles_in_words_and_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tally = Tally(sessions=3, resumed=1, readings=100, most_connected=2)
    tally.handshakes_s = [0.001 * (number + 1) for number in range(101)]
    tally.failures["no connection"] = 2
    device_fleet._report(tally, 5, 60.0, json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["handshake_ms"] == pytest.approx({"p50": 51.0, "p99": 100.0})
    assert document["answer_ms"] is None
    assert (document["devices"], document["failed"]) == (5, 2)
    device_fleet._report(tally, 5, 60.0, json=False)
    words = " ".join(capsys.readouterr().out.split())
    assert "5 devices, at most 2 at once: 3 sessions, 1 of them resumed" in words
    assert "51.0 ms in the middle, 100.0 ms of 99 in 100" in words
    assert "no connection: 2" in words
