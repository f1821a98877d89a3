"""Live readings of the machine itself, as JSON lines: real input that needs no hardware.

Numbers are the operating system's own; what a machine does not have is left out.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

from bellwire.base.clock import Clock, system_clock
from bellwire.base.private import own_folder, write_whole


def read_sensors(now: float) -> bytes:
    """One reading, a line of JSON with its line end.

    Args:
        now: Seconds since the epoch, for `time`.

    Returns:
        Percentages 0–100 (CPU since the last call), bytes since start for disk and network, load
        of 1, 5 and 15 minutes, temperatures in °C.
    """
    reading: dict[str, object] = {
        "time": round(now, 3),
        "cpu_percent": psutil.cpu_percent(),
        "core_percent": psutil.cpu_percent(percpu=True),
        "memory_percent": psutil.virtual_memory().percent,
        "disk_percent": psutil.disk_usage("/").percent,
        "load": [round(value, 2) for value in psutil.getloadavg()],
    }
    if (disk := psutil.disk_io_counters()) is not None:
        reading["disk_bytes"] = {"read": disk.read_bytes, "written": disk.write_bytes}
    if (net := psutil.net_io_counters()) is not None:
        reading["net_bytes"] = {"sent": net.bytes_sent, "received": net.bytes_recv}
    if temperatures := _temperatures():
        reading["temperature_c"] = temperatures
    return msgspec.json.encode(reading) + b"\n"


def _temperatures() -> dict[str, list[float]]:
    # Only some systems have the call, and only some machines answer it.
    probe = getattr(psutil, "sensors_temperatures", None)
    if probe is None:
        return {}
    try:
        return {name: [entry.current for entry in found] for name, found in probe().items()}
    except OSError:
        return {}


def live_readings(
    count: int,
    *,
    interval_s: float,
    clock: Clock = system_clock,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[bytes]:
    """`count` readings, `interval_s` seconds apart; the first after one interval, for its CPU."""
    psutil.cpu_percent()
    psutil.cpu_percent(percpu=True)
    for _ in range(count):
        pause(interval_s)
        yield read_sensors(clock())


def record(
    folder: Path,
    count: int,
    *,
    interval_s: float,
    taken: Callable[[], None] = lambda: None,
    clock: Clock = system_clock,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Take `count` live readings into a new file of `folder`, named by the moment.

    Raises:
        PathUnusable: the folder cannot be made or written.
        PathExposed: others may enter it.
    """
    own_folder(folder)
    lines = []
    for line in live_readings(count, interval_s=interval_s, clock=clock, pause=pause):
        lines.append(line)
        taken()
    moment = datetime.fromtimestamp(clock(), UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = folder / f"{moment}.jsonl"
    write_whole(path, b"".join(lines), replace=True)
    return path
