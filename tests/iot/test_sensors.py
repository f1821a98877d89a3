from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import msgspec
import psutil
import pytest

from bellwire.iot.readings import read_readings
from bellwire.iot.sensors import live_readings, read_sensors, record


def test_live_readings_are_json_lines_that_can_be_sent(tmp_path: Path) -> None:
    pauses: list[float] = []
    taken: list[int] = []
    path = record(
        tmp_path / "live",
        3,
        interval_s=0.5,
        taken=lambda: taken.append(1),
        clock=lambda: 1_800_000_000.25,
        pause=pauses.append,
    )
    found = read_readings(path)
    assert len(found) == len(taken) == 3
    assert pauses == [0.5] * 3
    assert path.name == "20270115T080000.250000Z.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    reading = msgspec.json.decode(found[0])
    assert reading["time"] == 1_800_000_000.25
    assert 0 <= reading["memory_percent"] <= 100
    assert len(reading["core_percent"]) == psutil.cpu_count()
    assert len(reading["load"]) == 3


def test_what_a_machine_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> NoReturn:
        raise OSError("no such sensor")

    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)
    monkeypatch.setattr(psutil, "net_io_counters", lambda: None)
    monkeypatch.setattr(psutil, "sensors_temperatures", broken, raising=False)
    reading = msgspec.json.decode(read_sensors(0.0))
    assert not {"disk_bytes", "net_bytes", "temperature_c"} & set(reading)
    monkeypatch.delattr(psutil, "sensors_temperatures")
    assert "temperature_c" not in msgspec.json.decode(read_sensors(0.0))


def test_temperatures_are_read_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"core": [SimpleNamespace(current=41.5)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: found, raising=False)
    reading = msgspec.json.decode(next(live_readings(1, interval_s=0, pause=lambda s: None)))
    assert reading["temperature_c"] == {"core": [41.5]}
