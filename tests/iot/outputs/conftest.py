"""A broker of MQTT of its own, and readings in a cloud's files."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S
from tests.ports import free_port

from bellwire.iot.outputs.cursors import Cursors
from bellwire.iot.store import CloudStore
from bellwire.iot.stored import StreamKey

MOSQUITTO = "/usr/sbin/mosquitto"
KEY = StreamKey(bytes([7]) * 32, bytes([8]) * 32)
OTHER = StreamKey(bytes([7]) * 32, bytes([9]) * 32)


@dataclass
class Broker:
    """Mosquitto; started again, it has what it had stored."""

    folder: Path
    port: int
    more: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> bool:
        """Start, and wait until it listens; False if its port was taken meanwhile."""
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous {'false' if self.more else 'true'}\n"
            f"persistence true\npersistence_location {self.folder}/\nuser root\n{self.more}"
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stdout=log, stderr=log)
        while self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.02)
        said = (self.folder / "log").read_text()
        assert "in use" in said, said
        return False

    def stop(self) -> None:
        """Stop, as a service is stopped."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
            self.process = None


@contextlib.contextmanager
def brokering(folder: Path, more: str = "") -> Iterator[Broker]:
    broker = Broker(folder, free_port(), more)
    while not broker.start():
        broker.port = free_port()
    try:
        yield broker
    finally:
        broker.stop()


@dataclass
class Files:
    """A cloud's folder of devices, and the cursors beside it."""

    store: CloudStore
    folder: Path
    cursors: Cursors

    def append(self, key: StreamKey, first: int, *readings: bytes) -> int:
        file = self.store.open(key.device, key.stream)
        try:
            return file.append(first, readings)
        finally:
            file.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    with CloudStore(tmp_path / "cloud") as store, Cursors(tmp_path / "outputs.db") as cursors:
        yield Files(store, tmp_path / "cloud" / "devices", cursors)
