"""Random devices that are there, slow, ended, or none: FIFOs, terminals, files and real devices."""

import os
import pty
import select
import socket
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crypto.randomness.fifos import fifo, good

from bellwire.crypto.errors import DeviceStopped, DeviceUnusable
from bellwire.crypto.randomness.device import MAX_READ_BYTES, Device, path_of

PATIENT = 30.0
SHORT = 0.05


def test_bytes_come_whole_and_in_order(tmp_path: Path) -> None:
    content = good(5000)
    with fifo(tmp_path / "rng", content) as rng, Device(rng.path, PATIENT) as device:
        got = device.read(1) + device.read(0) + device.read(4096) + device.read(903)
    assert got == content


def test_a_device_that_ends_early_has_stopped(tmp_path: Path) -> None:
    with (
        fifo(tmp_path / "rng", bytes(10)) as rng,
        Device(rng.path, PATIENT) as device,
    ):
        rng.end()
        with pytest.raises(DeviceStopped, match="ended after 10 bytes"):
            device.read(11)


def test_a_device_that_is_too_slow_has_stopped(tmp_path: Path) -> None:
    with (
        fifo(tmp_path / "rng", bytes(10)) as rng,
        Device(rng.path, SHORT) as device,
        pytest.raises(DeviceStopped, match=r"gave 10 of 11 bytes within 0\.05 s"),
    ):
        device.read(11)


def test_a_fifo_without_a_writer_is_a_device_that_is_silent(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rng")
    with Device(tmp_path / "rng", SHORT) as device, pytest.raises(DeviceStopped):
        device.read(1)


def test_a_device_that_is_ready_and_has_nothing_is_given_time_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As /dev/hwrng is, whose driver knows no waiting: an empty FIFO that is always looked into.
    class Ready:
        def register(self, descriptor: int, events: int) -> None: ...

        def poll(self, timeout_ms: float) -> list[tuple[int, int]]:
            return [(0, select.POLLIN)]

    monkeypatch.setattr(select, "poll", Ready)
    with (
        fifo(tmp_path / "rng", b"") as rng,
        Device(rng.path, SHORT) as device,
        pytest.raises(DeviceStopped, match="gave 0 of 1 bytes"),
    ):
        device.read(1)


def test_more_than_a_reading_is_not_asked_for(tmp_path: Path) -> None:
    with fifo(tmp_path / "rng", b"") as rng, Device(rng.path, PATIENT) as device:
        for count in (-1, MAX_READ_BYTES + 1):
            with pytest.raises(ValueError, match="expected 0 to 4096 bytes"):
                device.read(count)


def test_a_closed_device_gives_nothing(tmp_path: Path) -> None:
    with fifo(tmp_path / "rng", good(10)) as rng:
        device = Device(rng.path, PATIENT)
        device.close()
        device.close()
        with pytest.raises(DeviceStopped, match="is closed"):
            device.read(1)


def test_a_file_is_no_device_because_it_gives_the_same_bytes_again(tmp_path: Path) -> None:
    path = tmp_path / "random.bin"
    path.write_bytes(good(100))
    with pytest.raises(DeviceUnusable, match="expected a character device or FIFO"):
        Device(path, PATIENT)


def test_what_cannot_be_opened_is_no_device(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "none", tmp_path / "socket", Path("with\0nul")):
            with pytest.raises(DeviceUnusable, match="cannot open it"):
                Device(path, PATIENT)
    with pytest.raises(DeviceUnusable, match="got something else"):
        Device(tmp_path, PATIENT)


@pytest.mark.parametrize("path", ["/dev/random", "/dev/urandom"])
def test_the_operating_systems_generator_is_not_taken_for_hardware(path: str) -> None:
    with pytest.raises(DeviceUnusable, match="the operating system's generator"):
        Device(Path(path), PATIENT)


def test_a_link_to_the_operating_systems_generator_is_seen_through(tmp_path: Path) -> None:
    (tmp_path / "trng").symlink_to("/dev/urandom")
    with pytest.raises(DeviceUnusable, match="the operating system's generator"):
        Device(tmp_path / "trng", PATIENT)


def test_a_device_with_nothing_in_it_has_ended() -> None:
    with Device(Path("/dev/null"), PATIENT) as device, pytest.raises(DeviceStopped, match="ended"):
        device.read(1)


@pytest.fixture
def terminal() -> Iterator[tuple[int, Path]]:
    """A serial line: our end, and the path of the other."""
    ours, theirs = pty.openpty()
    try:
        yield ours, Path(os.ttyname(theirs))
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_serial_line_passes_every_byte_unchanged(terminal: tuple[int, Path]) -> None:
    ours, path = terminal
    everything = bytes(range(256))  # with the bytes that end lines, stop output and interrupt
    with Device(path, PATIENT) as device:
        os.write(ours, everything)
        assert device.read(256) == everything


def test_what_a_serial_line_held_before_is_dropped(terminal: tuple[int, Path]) -> None:
    ours, path = terminal
    tty.setraw(ours)
    os.write(ours, b"old")
    with Device(path, PATIENT) as device:
        os.write(ours, b"new")
        assert device.read(3) == b"new"


def test_a_serial_line_that_is_unplugged_has_stopped() -> None:
    ours, theirs = pty.openpty()
    with Device(Path(os.ttyname(theirs)), PATIENT) as device:
        os.close(ours)
        with pytest.raises(DeviceStopped):
            device.read(1)
    os.close(theirs)


def test_a_source_is_a_device_by_its_prefix() -> None:
    assert path_of("os") is None
    assert path_of("device:/dev/hwrng") == Path("/dev/hwrng")
