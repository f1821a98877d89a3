"""Sources of random bytes: fresh bytes while the device is well, none for ever once it is not."""

import hmac
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.randomness.fifos import HELD, fifo, good

from bellwire.crypto.errors import (
    DeviceStopped,
    DeviceUnusable,
    HealthTestFailed,
    LengthError,
    RandomnessFailed,
)
from bellwire.crypto.randomness.ctr_drbg import CtrDrbg
from bellwire.crypto.randomness.device import MAX_READ_BYTES, Device
from bellwire.crypto.randomness.hardware import (
    LEAST_ENTROPY_PER_BYTE,
    RESEED_BYTES,
    SEED_ENTROPY_BITS,
    HardwareSource,
)
from bellwire.crypto.randomness.health import STARTUP_SAMPLES
from bellwire.crypto.randomness.source import MAX_DRAW_BYTES, OperatingSystem

PATIENT = 30.0
SHORT = 0.05
SEED = SEED_ENTROPY_BITS // 8
"""Raw bytes of a seed, of a device with 8 bits per byte."""


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def source(path: Path, **changed: Any) -> Iterator[HardwareSource]:
    """A source on a device, not yet tested; the operating system's part is zero."""
    words: dict[str, Any] = {
        "entropy_per_byte": 8.0,
        "false_alarm_log2": 40,
        "reseed_s": 60.0,
        "system": bytes,
        **changed,
    }
    timeout_s = words.pop("timeout_s", PATIENT)
    made = HardwareSource(Device(path, timeout_s), **words)
    try:
        yield made
    finally:
        made.close()


def start(path: Path, **changed: Any) -> HardwareSource:
    words: dict[str, Any] = {
        "entropy_per_byte": 7.0,
        "false_alarm_log2": 40,
        "reseed_s": 60.0,
        "timeout_s": PATIENT,
        **changed,
    }
    return HardwareSource.start(path, **words)


def test_a_draw_is_conditioned_stretched_and_mixed_as_it_is_drawn(tmp_path: Path) -> None:
    content, salt = good(SEED), b"\x11" * 48
    drbg = CtrDrbg(hmac.digest(salt, content, "sha384"))
    stretched = drbg.generate(MAX_DRAW_BYTES) + drbg.generate(100)
    with (
        fifo(tmp_path / "rng", content) as rng,
        source(rng.path, system=lambda count: b"\x11" * count) as made,
    ):
        drawn = made.draw(MAX_DRAW_BYTES) + made.draw(100)
    assert bytes(each ^ 0x11 for each in drawn) == stretched


def test_a_device_that_somebody_knows_leaves_the_operating_systems_bytes(tmp_path: Path) -> None:
    system = np.random.default_rng(5)
    told: list[bytes] = []

    def known(count: int) -> bytes:
        told.append(system.bytes(count))
        return told[-1]

    with fifo(tmp_path / "rng", good(SEED)) as rng, source(rng.path, system=known) as made:
        drawn = made.draw(64)
    salt, own = told
    pad = CtrDrbg(hmac.digest(salt, good(SEED), "sha384")).generate(64)
    # Whoever knows the pad has only undone an XOR.
    assert bytes(a ^ b for a, b in zip(drawn, pad, strict=True)) == own


def test_a_seed_has_at_least_twice_its_length_of_entropy(tmp_path: Path) -> None:
    for number, (entropy, least) in enumerate([(8.0, 96), (7.0, 110), (0.5, 1536)]):
        with (
            fifo(tmp_path / f"rng{number}", good(least - 1)) as rng,
            source(rng.path, entropy_per_byte=entropy) as made,
        ):
            rng.end()
            with pytest.raises(DeviceStopped, match=f"ended after {least - 1} bytes"):
                made.draw(1)


def test_a_reading_holds_a_seed_whatever_is_stated() -> None:
    assert SEED_ENTROPY_BITS / LEAST_ENTROPY_PER_BYTE <= MAX_READ_BYTES


def test_a_seed_is_renewed_when_it_is_old_and_not_before(tmp_path: Path) -> None:
    clock = Hand()
    with (
        fifo(tmp_path / "rng", good(2 * SEED)) as rng,
        source(rng.path, clock=clock) as made,
    ):
        rng.end()
        made.draw(10)
        clock.now += 59.9
        made.draw(10)
        clock.now += 0.1
        made.draw(10)
        clock.now += 60
        with pytest.raises(DeviceStopped):
            made.draw(10)


def test_prediction_resistance_takes_a_seed_for_every_draw(tmp_path: Path) -> None:
    with (
        fifo(tmp_path / "rng", good(3 * SEED)) as rng,
        source(rng.path, clock=Hand(), reseed_s=0.0) as made,
    ):
        rng.end()
        for _ in range(3):
            made.draw(10)
        with pytest.raises(DeviceStopped):
            made.draw(10)


def test_a_seed_that_was_used_much_is_renewed(tmp_path: Path) -> None:
    with (
        fifo(tmp_path / "rng", good(SEED)) as rng,
        source(rng.path, clock=Hand()) as made,
    ):
        rng.end()
        made.draw(10)
        made._drawn = RESEED_BYTES - 5
        made.draw(5)
        with pytest.raises(DeviceStopped):
            made.draw(1)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from([0.0, 30.0, 90.0])), min_size=2, max_size=20
    )
)
def test_nothing_is_drawn_twice_whatever_is_drawn_and_renewed(
    steps: list[tuple[int, float]],
) -> None:
    clock = Hand()
    with (
        tempfile.TemporaryDirectory() as folder,
        fifo(Path(folder) / "rng", good(20 * SEED)) as rng,
        source(rng.path, clock=clock) as made,
    ):
        drawn = []
        for count, pause in steps:
            clock.now += pause
            drawn.append(made.draw(count))
    assert [len(each) for each in drawn] == [count for count, _ in steps]
    blocks = [each[at : at + 8] for each in drawn for at in range(0, len(each) - 7, 8)]
    assert len(set(blocks)) == len(blocks)


def test_threads_that_draw_at_once_draw_different_bytes(tmp_path: Path) -> None:
    drawn: list[bytes] = []
    with (
        fifo(tmp_path / "rng", good(HELD)) as rng,
        source(rng.path, reseed_s=0.0) as made,
    ):
        threads = [
            threading.Thread(target=lambda: drawn.extend(made.draw(16) for _ in range(20)))
            for _ in range(4)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(set(drawn)) == 80


FORK = """
import os, sys
from pathlib import Path
from bellwire.crypto.randomness.device import Device
from bellwire.crypto.randomness.hardware import HardwareSource
made = HardwareSource(Device(Path(sys.argv[1]), 30.0), entropy_per_byte=8.0, false_alarm_log2=40,
                      reseed_s=3600.0, system=bytes)
made.draw(16)
child = os.fork()
if child == 0:
    print(made.draw(16).hex(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(made.draw(16).hex())
"""


def test_a_fork_does_not_draw_what_its_parent_draws(tmp_path: Path) -> None:
    with fifo(tmp_path / "rng", good(HELD)) as rng:
        ran = subprocess.run(
            [sys.executable, "-c", FORK, rng.path], capture_output=True, text=True, check=True
        )
    child, parent = ran.stdout.split()
    assert len(child) == len(parent) == 32
    assert child != parent


STUCK_LATER = good(STARTUP_SAMPLES + 110) + bytes(200)


def test_a_device_that_breaks_later_gives_nothing_ever_again(tmp_path: Path) -> None:
    told: list[str] = []
    with fifo(tmp_path / "rng", STUCK_LATER + good(20_000)) as rng:
        made = start(rng.path, reseed_s=0.0, failed=told.append)
        assert made.failure is None
        with pytest.raises(HealthTestFailed, match="repetition count"):
            made.draw(32)
        for _ in range(3):  # although what follows in the device is good again
            with pytest.raises(RandomnessFailed, match="repetition count"):
                made.draw(32)
            assert "repetition count" in str(made.failure)
            with pytest.raises(RandomnessFailed, match="repetition count"):
                made.test()
        made.close()
        with pytest.raises(RandomnessFailed, match="repetition count"):
            made.draw(32)
    assert len(told) == 1
    assert "repetition count" in told[0]


def test_a_device_that_goes_away_gives_nothing_even_if_it_comes_back(tmp_path: Path) -> None:
    with (
        fifo(tmp_path / "rng", good(SEED)) as rng,
        source(rng.path, reseed_s=0.0, timeout_s=SHORT) as made,
    ):
        made.draw(8)
        with pytest.raises(DeviceStopped):
            made.draw(8)
        rng.write(good(SEED))
        with pytest.raises(RandomnessFailed):
            made.draw(8)


@pytest.mark.parametrize(
    "content",
    [bytes(HELD), good(1024) * 4, bytes(range(256)) * 16],
    ids=["stuck", "one buffer", "a counter"],
)
def test_a_device_that_is_broken_at_the_start_does_not_start(
    tmp_path: Path, content: bytes
) -> None:
    with fifo(tmp_path / "rng", content) as rng, pytest.raises(HealthTestFailed):
        start(rng.path)


def test_a_device_that_is_too_slow_to_be_tested_does_not_start(tmp_path: Path) -> None:
    with (
        fifo(tmp_path / "rng", good(STARTUP_SAMPLES - 1)) as rng,
        pytest.raises(DeviceStopped, match="4095 of 4096"),
    ):
        start(rng.path, timeout_s=SHORT)


def test_a_device_of_zeros_does_not_start() -> None:
    with pytest.raises(HealthTestFailed):
        start(Path("/dev/zero"))


def test_what_is_no_device_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnusable):
        start(tmp_path / "none")


def test_a_good_device_starts_and_its_tested_samples_are_not_used(tmp_path: Path) -> None:
    used = good(STARTUP_SAMPLES + 110)
    with fifo(tmp_path / "rng", used) as rng:
        made = start(rng.path)
        assert made.failure is None
        first, second = made.draw(32), made.draw(32)
        assert len({first, second}) == 2
        assert made.name == f"device:{rng.path}"
        assert "health-tested" in made.assumption
        made.close()
        with pytest.raises(RandomnessFailed, match="is closed"):
            made.draw(1)


def test_entropy_that_no_byte_has_is_refused(tmp_path: Path) -> None:
    with fifo(tmp_path / "rng", b"") as rng:
        for entropy in (0.4, 8.1):
            with Device(rng.path, PATIENT) as device, pytest.raises(ValueError, match=r"0\.5 to 8"):
                HardwareSource(device, entropy_per_byte=entropy, false_alarm_log2=20, reseed_s=1.0)


def test_draws_are_bounded(tmp_path: Path) -> None:
    with fifo(tmp_path / "rng", good(SEED)) as rng, source(rng.path) as made:
        for each in (made, OperatingSystem()):
            assert each.draw(0) == b""
            for count in (-1, MAX_DRAW_BYTES + 1):
                with pytest.raises(LengthError):
                    each.draw(count)


def test_a_source_shows_no_secret(tmp_path: Path) -> None:
    with fifo(tmp_path / "rng", good(SEED)) as rng, source(rng.path) as made:
        drawn = made.draw(32)
        shown = repr(made) + str(made) + repr(made.__dict__["_drbg"])
        assert shown == 2 * f"HardwareSource(device:{rng.path})" + "CtrDrbg()"
        assert drawn.hex() not in shown


def test_the_operating_system_draws_fresh_bytes_and_never_fails() -> None:
    system = OperatingSystem()
    assert (system.name, system.assumption, system.failure) == ("os", None, None)
    drawn = {system.draw(16) for _ in range(100)}
    assert len(drawn) == 100
    system.close()
    assert len(system.draw(16)) == 16
