"""A cable between two network namespaces that can be pulled: packets are dropped, nobody is told.

A cloud at one end takes readings over TCP, UDP and an MQTT broker beside it; a device for each of
the three at the other end takes numbered lines and runs through whatever becomes of the cable.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.patience import PATIENCE_S

HERE, THERE = "10.78.0.1", "10.78.0.2"
TRANSPORTS = ("tcp", "udp", "mqtt")
PORTS = {"tcp": 8470, "udp": 8471, "mqtt": 1883}
_DROP = """
table inet cable {
  chain came { type filter hook input priority 0; iifname "cable" drop; }
  chain goes { type filter hook output priority 0; oifname "cable" drop; }
}
"""


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


@dataclass(frozen=True)
class Cable:
    """Two namespaces and what joins them."""

    mark: str

    @property
    def device(self) -> str:
        return f"bw{self.mark}dev"

    @property
    def cloud(self) -> str:
        return f"bw{self.mark}cloud"

    def run(self, space: str, *words: str, given: str | None = None) -> None:
        line = ["ip", "netns", "exec", space, *words]
        done = subprocess.run(line, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"

    def start(self, space: str, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["ip", "netns", "exec", space, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "BELLWIRE_LOG__LEVEL": "error"},
        )

    def pull(self) -> None:
        self.run(self.cloud, "nft", "-f", "-", given=_DROP)

    def plug(self) -> None:
        self.run(self.cloud, "nft", "delete", "table", "inet", "cable")


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    """The namespaces; they go at the end."""
    made = Cable(f"{os.getpid():x}")
    try:
        for space in (made.device, made.cloud):
            _ip("netns", "add", space)
        _ip(
            *("link", "add", "cable", "netns", made.device, "type", "veth"),
            *("peer", "name", "cable", "netns", made.cloud),
        )
        for space, address in ((made.device, HERE), (made.cloud, THERE)):
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", "cable")
            for link in ("cable", "lo"):
                _ip("-n", space, "link", "set", link, "up")
        yield made
    finally:
        for space in (made.device, made.cloud):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


@dataclass
class Outcome:
    """What became of one device's lines.

    Attributes:
        sent: How many lines it was given.
        arrived: Readings at the cloud, in the order in which they were printed there.
        report: The device's own.
    """

    sent: int
    arrived: list[str]
    report: dict[str, object]

    @property
    def lost(self) -> int:
        return len(set(map(str, range(self.sent))) - set(self.arrived))

    @property
    def doubled(self) -> int:
        return len(self.arrived) - len(set(self.arrived))

    @property
    def in_order(self) -> bool:
        return self.arrived == sorted(self.arrived, key=int)


@dataclass
class _Heard:
    """What the cloud prints, by device."""

    readings: dict[str, list[str]] = field(default_factory=dict)

    def listen(self, cloud: "subprocess.Popen[str]") -> None:
        assert cloud.stdout is not None
        for line in cloud.stdout:
            said = json.loads(line)
            self.readings.setdefault(said["device"], []).append(said["reading"].strip())


def pulled(
    folder: Path, away_s: float, *, before_s: float = 1.0, every_s: float = 0.05
) -> dict[str, Outcome]:
    """Devices send over a cable that is pulled for a while; what arrived, by transport.

    Args:
        folder: For their state.
        away_s: How long the cable is pulled.
        before_s: How long it is in before that, from when each device's first reading arrived, and
            after it.
        every_s: Between two readings.
    """
    heard = _Heard()
    with cable() as made, contextlib.ExitStack() as stack:
        _broker(made, folder, stack)
        cloud = _cloud(made, folder, stack)
        listener = threading.Thread(target=heard.listen, args=(cloud,), daemon=True)
        listener.start()
        devices = {name: _device(made, folder, name, stack) for name in TRANSPORTS}
        sent = _feed(made, devices, heard, away_s, before_s, every_s)
        reports = {name: json.loads(each.communicate()[0]) for name, each in devices.items()}
        cloud.send_signal(signal.SIGTERM)
        listener.join()  # to the end of what it printed
    return {name: Outcome(sent, heard.readings.get(name, []), reports[name]) for name in devices}


def _feed(
    made: Cable,
    devices: dict[str, "subprocess.Popen[str]"],
    heard: _Heard,
    away_s: float,
    before_s: float,
    every_s: float,
) -> int:
    """Give each device the same lines, with the cable pulled in between; how many there were."""
    number = 0

    def lines(seconds: float) -> None:
        nonlocal number
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for each in devices.values():
                assert each.stdin is not None
                each.stdin.write(f"{number}\n")
                each.stdin.flush()
            number += 1
            time.sleep(every_s)

    ends = time.monotonic() + PATIENCE_S
    while len(heard.readings) < len(devices):
        assert time.monotonic() < ends, f"only {sorted(heard.readings)} came to the cloud"
        lines(every_s)
    lines(before_s)
    made.pull()
    there = {name: len(readings) for name, readings in heard.readings.items()}
    lines(away_s)
    late = {name: len(heard.readings[name]) - count for name, count in there.items()}
    made.plug()
    # What was on its way when the cable went is all that may have come meanwhile.
    assert all(count * every_s < away_s / 2 for count in late.values()), late
    lines(before_s)
    for each in devices.values():
        assert each.stdin is not None
        each.stdin.close()
        each.stdin = None
    return number


def _broker(made: Cable, folder: Path, stack: contextlib.ExitStack) -> None:
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    assert program is not None, "the Debian package mosquitto is missing"
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {PORTS['mqtt']} {THERE}\nallow_anonymous true\npersistence false\n"
        "log_type none\n"
    )
    stack.callback(_end, made.start(made.cloud, program, "-c", str(config)))


def _bellwire(made: Cable, space: str, *words: str) -> "subprocess.Popen[str]":
    return made.start(space, sys.executable, "-m", "bellwire", *words)


def _cloud(made: Cable, folder: Path, stack: contextlib.ExitStack) -> "subprocess.Popen[str]":
    cloud = _bellwire(
        made,
        made.cloud,
        *("cloud", "--listen", f"{THERE}:{PORTS['tcp']}", "--udp", f"{THERE}:{PORTS['udp']}"),
        *("--mqtt", f"mqtt://{THERE}:{PORTS['mqtt']}/test", "--qkd", "off", "--print"),
        *("--state", str(folder / "cloud")),
    )
    stack.callback(_end, cloud)
    assert cloud.stdout is not None
    ready = json.loads(cloud.stdout.readline())
    for name in TRANSPORTS:
        made.run(
            made.device,
            *(sys.executable, "-m", "bellwire", "device", "enroll", "--name", name, "--json"),
            *("--cloud-key", ready["public_key"], "--allow", ready["allowed"]),
            *("--state", str(folder / name)),
        )
    return cloud


def _device(
    made: Cable, folder: Path, transport: str, stack: contextlib.ExitStack
) -> "subprocess.Popen[str]":
    end = "/test" if transport == "mqtt" else ""
    device = _bellwire(
        made,
        made.device,
        *("device", "run", "--data", "-", "--qkd", "off", "--json"),
        *("--to", f"{transport}://{THERE}:{PORTS[transport]}{end}"),
        *("--state", str(folder / transport)),
    )
    stack.callback(_end, device)
    return device


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
