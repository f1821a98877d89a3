"""A random device as a source: tested, conditioned, stretched, and never alone.

    device ─raw─> health tests ─raw─> HMAC-SHA-384 ─seed─> CTR_DRBG ──⊕──> what is drawn
                                                  the operating system ──┘

Each seed of 384 bits is made of raw bytes with at least 768 bits of the stated min-entropy, twice
its length, and three times the 256 bits that AES-256 is good for. What is drawn is the XOR with as
many bytes of the operating system's generator: whatever the device does, and whoever built it, the
result is as good as that generator alone, and it is good without that generator if the device is.

A failure is for good: no byte leaves after it, until the device is opened anew and has passed the
start-up test again.

Source: NIST SP 800-90B, 3.1.5.1.1 (HMAC as conditioning), 4.3 (start-up and continuous tests, and
what a failure does); SP 800-90A, 9.3.1 (prediction resistance).
"""

import hmac
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from bellwire.crypto.errors import RandomnessFailed
from bellwire.crypto.randomness.ctr_drbg import SEED_BYTES, CtrDrbg
from bellwire.crypto.randomness.device import PREFIX, Device
from bellwire.crypto.randomness.health import STARTUP_SAMPLES, HealthTests
from bellwire.crypto.randomness.source import require_count

SEED_ENTROPY_BITS = 2 * 8 * SEED_BYTES
"""Stated min-entropy of the raw bytes of one seed."""

LEAST_ENTROPY_PER_BYTE = 0.5
"""A seed's raw bytes then fit one reading."""

RESEED_BYTES = 1 << 30
"""Drawn under one seed at most, however young it is."""


class HardwareSource:
    """A source seeded from a device; `start` opens and tests one.

    Args:
        device: Open; this object closes it.
        entropy_per_byte: H, the stated min-entropy of a raw byte, in bits: 0.5 to 8.
        false_alarm_log2: k: each health test fails by chance with 2⁻ᵏ at most.
        reseed_s: Age at which a seed is replaced, in s; 0 takes a new one for every draw.
        failed: Told once, in words without secrets, when the source fails.
        system: The operating system's generator.
        clock: Seconds that never go back.

    Raises:
        ValueError: `entropy_per_byte` is out of range.
    """

    def __init__(
        self,
        device: Device,
        *,
        entropy_per_byte: float,
        false_alarm_log2: int,
        reseed_s: float,
        failed: Callable[[str], None] = lambda why: None,
        system: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not LEAST_ENTROPY_PER_BYTE <= entropy_per_byte <= 8:
            raise ValueError(f"expected 0.5 to 8 bits per byte, got {entropy_per_byte}")
        self._device = device
        self._tests = HealthTests(entropy_per_byte, false_alarm_log2)
        self._raw_bytes = math.ceil(SEED_ENTROPY_BITS / entropy_per_byte)
        self._reseed_s = reseed_s
        self._failed = failed
        self._system = system
        self._clock = clock
        self._salt = system(SEED_BYTES)
        self._drbg: CtrDrbg | None = None
        self._seeded_at = 0.0
        self._drawn = 0
        self._process = os.getpid()
        self._failure: str | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"HardwareSource({self.name})"

    @classmethod
    def start(
        cls,
        path: Path,
        *,
        entropy_per_byte: float,
        false_alarm_log2: int,
        reseed_s: float,
        timeout_s: float,
        failed: Callable[[str], None] = lambda why: None,
    ) -> Self:
        """Open a device, let it pass the start-up test, and seed from what comes after.

        It waits for the device, up to twice `timeout_s`.

        Raises:
            DeviceUnusable: there is no such device.
            RandomnessFailed: it did not pass, or did not give enough in time.
        """
        source = cls(
            Device(path, timeout_s),
            entropy_per_byte=entropy_per_byte,
            false_alarm_log2=false_alarm_log2,
            reseed_s=reseed_s,
            failed=failed,
        )
        try:
            source.test()
            source.draw(0)
        except BaseException:
            source.close()
            raise
        return source

    @property
    def name(self) -> str:
        """`device:PATH`."""
        return f"{PREFIX}{self._device.path}"

    @property
    def assumption(self) -> str:
        """What is said in reports: hardware seeds, AES-256 stretches."""
        return (
            f"what this side draws is seeded from hardware ({self._device.path}, health-tested) "
            "and the operating system, and stretched by AES-256"
        )

    def test(self) -> None:
        """The start-up test: 4,096 samples must pass, and none of them is used.

        Raises:
            RandomnessFailed: they do not, or the device does not give them.
        """
        with self._lock:
            self._raw(STARTUP_SAMPLES)

    @property
    def failure(self) -> str | None:
        """Why it gives nothing more; it stays."""
        return self._failure

    def draw(self, count: int) -> bytes:
        """`count` bytes, which no other draw gives, of this process or of a fork of it.

        A draw that finds its seed too old waits for the device.

        Raises:
            LengthError: count is negative, or too large.
            RandomnessFailed: the device failed, now or before.
        """
        require_count(count)
        with self._lock:
            own = self._generate(count)
        return (
            np.frombuffer(own, np.uint8) ^ np.frombuffer(self._system(count), np.uint8)
        ).tobytes()

    def close(self) -> None:
        """Let go of the device; it can be drawn from no more."""
        with self._lock:
            if self._failure is None:
                self._failure = f"the random device {self._device.path} is closed"
            self._drop()

    def _generate(self, count: int) -> bytes:
        self._refuse_failed()
        if self._drbg is None or self._old(count):
            seed = hmac.digest(self._salt, self._raw(self._raw_bytes), "sha384")
            if self._drbg is None:
                self._drbg = CtrDrbg(seed)
            else:
                self._drbg.reseed(seed)
            self._seeded_at, self._drawn, self._process = self._clock(), 0, os.getpid()
        self._drawn += count
        return self._drbg.generate(count)

    def _old(self, count: int) -> bool:
        """Whether a draw needs a fresh seed first: by age, by use, or because we are a fork."""
        return (
            self._clock() - self._seeded_at >= self._reseed_s
            or self._drawn + count > RESEED_BYTES
            or self._process != os.getpid()
        )

    def _raw(self, count: int) -> bytes:
        """Tested raw bytes; a failure is kept, and tells once."""
        self._refuse_failed()
        try:
            samples = self._device.read(count)
            self._tests.feed(samples)
        except RandomnessFailed as error:
            self._failure = str(error)
            self._drop()
            self._failed(self._failure)
            raise
        return samples

    def _refuse_failed(self) -> None:
        if self._failure is not None:
            raise RandomnessFailed(self._failure)

    def _drop(self) -> None:
        self._drbg = None
        self._device.close()
