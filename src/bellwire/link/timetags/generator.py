"""Two sites' time tags as a source of pairs would leave them: realistic, and known to be made up.

A continuous source emits pairs at random times (Poisson) in Φ⁺ of a visibility; each photon may be
lost; a beam splitter chooses the setting; detectors have efficiency, jitter, dead time, dark counts
and afterpulses; each site's clock has a zero and a pace of its own. Eve may take a share of Bob's
photons, or of both. Work and memory: one slice of time at once, whatever the length.

Afterpulses follow the clicks that light and dark counts make, not those of other afterpulses; what
is left out is of second order in their probability.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import Protocol, Side
from bellwire.link.errors import ParameterError
from bellwire.link.eve import BB84_ANGLES, Eve
from bellwire.link.kernels.tags import Times, live
from bellwire.link.timetags.recording import PROTOCOLS

_PS = 1e12
SLICE_PAIRS = 1 << 18
MAX_RATE_HZ = 1e9
MAX_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One site's way from the source to its file.

    Attributes:
        transmission: Probability that a photon reaches a detector and clicks: losses times
            efficiency, in (0, 1].
        dark_hz: Dark counts of each detector, per second.
        jitter_ps: Standard deviation of a click's time, ps.
        dead_ns: Time for which a detector is blind after a click, ns.
        afterpulse: Probability that a click is followed by another of the same detector.
        afterpulse_ns: Mean delay of that, behind the dead time, ns.

    Raises:
        ParameterError: a value is out of range.
    """

    transmission: float = 0.25
    dark_hz: float = 200.0
    jitter_ps: float = 150.0
    dead_ns: float = 50.0
    afterpulse: float = 0.0
    afterpulse_ns: float = 100.0

    def __post_init__(self) -> None:
        _check("transmission", "in (0, 1]", self.transmission, 0.0 < self.transmission <= 1.0)
        _in_range("dark_hz", self.dark_hz, 0.0, 1e7)
        _in_range("jitter_ps", self.jitter_ps, 0.0, 1e5)
        _in_range("dead_ns", self.dead_ns, 0.0, 1e6)
        _in_range("afterpulse", self.afterpulse, 0.0, 0.5)
        _in_range("afterpulse_ns", self.afterpulse_ns, 0.0, 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is recorded.

    Attributes:
        protocol: `bbm92` or `e91`.
        pairs_hz: Pairs that the source emits per second.
        seconds: Length of the recording.
        visibility: Of the pairs, 0 to 1; the QBER without accidentals is half of what is missing.
        alice: Alice's station.
        bob: Bob's.
        clock_offset_s: What Bob's clock shows more than Alice's at the start.
        clock_drift_ppm: How much faster Bob's clock runs, parts per million.
        start_s: What the clock that shows less shows at the start.
        eve: Who is on the line, or None.

    Raises:
        ParameterError: a value is out of range, or an Eve that the protocol has not.
    """

    protocol: Protocol
    pairs_hz: float = 200_000.0
    seconds: float = 10.0
    visibility: float = 0.96
    alice: Station = field(default_factory=Station)
    bob: Station = field(default_factory=Station)
    clock_offset_s: float = 0.0
    clock_drift_ppm: float = 0.0
    start_s: float = 1.0
    eve: Eve | None = None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ParameterError("protocol", "one of bbm92, e91 (both sides detect)", self.protocol)
        _check("pairs_hz", "above 0, up to 1e9", self.pairs_hz, 0.0 < self.pairs_hz <= MAX_RATE_HZ)
        _check(
            "seconds", f"above 0, up to {MAX_SECONDS:g}", self.seconds,
            0.0 < self.seconds <= MAX_SECONDS,
        )  # fmt: skip
        _in_range("visibility", self.visibility, 0.0, 1.0)
        _in_range("clock_offset_s", self.clock_offset_s, -3_600.0, 3_600.0)
        _in_range("clock_drift_ppm", self.clock_drift_ppm, -1_000.0, 1_000.0)
        _in_range("start_s", self.start_s, 0.001, 3_600.0)
        if self.eve is not None:
            self.eve.check(self.protocol)

    def station(self, side: Side) -> Station:
        """One side's."""
        return self.alice if side is Side.ALICE else self.bob

    def singles_hz(self, side: Side) -> float:
        """Clicks per second of a site without dead time and afterpulses: pairs·η + dark counts."""
        station = self.station(side)
        dark = 2 * self.protocol.settings * station.dark_hz
        return self.pairs_hz * station.transmission + dark

    def coincidences_hz(self, window_ps: int) -> float:
        """Coincidences per second of one pair each within the window.

        pairs·η_A·η_B·P(|jitter| < w/2), the difference of two jitters being normal.
        """
        jitter = math.hypot(self.alice.jitter_ps, self.bob.jitter_ps)
        inside = math.erf(window_ps / 2 / (jitter * math.sqrt(2))) if jitter else 1.0
        return self.pairs_hz * self.alice.transmission * self.bob.transmission * inside

    def accidentals_hz(self, window_ps: int) -> float:
        """Coincidences per second that chance adds: S_A·S_B·w, with the singles of both sides."""
        singles = self.singles_hz(Side.ALICE) * self.singles_hz(Side.BOB)
        return singles * window_ps / _PS

    def clock(self, side: Side, time_ps: NDArray[np.float64]) -> Times:
        """What a side's clock shows at (n,) true times since the start, whole ps."""
        offset = round(self.clock_offset_s * _PS)
        zero = round(self.start_s * _PS) + max(0, -offset)
        if side is Side.ALICE:
            return np.rint(time_ps).astype(np.int64) + zero
        paced = time_ps + time_ps * (self.clock_drift_ppm * 1e-6)
        return np.rint(paced).astype(np.int64) + (zero + offset)


Slice = tuple[tuple[Times, NDArray[np.int32]], tuple[Times, NDArray[np.int32]]]
"""(times, channels) of Alice and of Bob; channel 1 + 2·setting + outcome."""


def generate(scene: Scene, seed: int) -> Iterator[tuple[float, Slice]]:
    """A recording of both sites, slice by slice in order, each with its seconds.

    Args:
        scene: What is recorded.
        seed: Repeats it.
    """
    light, *rest = (np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(3))
    stations = [_Recorder(scene, side, rng) for side, rng in zip(Side, rest, strict=True)]
    slices = max(1, math.ceil(scene.pairs_hz * scene.seconds / SLICE_PAIRS))
    length = scene.seconds * _PS / slices
    for k in range(slices):
        begin, end = k * length, (k + 1) * length
        clicks = _pairs(scene, begin, end, light)
        last = k == slices - 1
        alice, bob = (
            station.record(times, channels, begin, end, last=last)
            for station, (times, channels) in zip(stations, clicks, strict=True)
        )
        yield length / _PS, (alice, bob)


_Clicks = tuple[NDArray[np.float64], NDArray[np.int32]]


def _pairs(scene: Scene, begin: float, end: float, rng: np.random.Generator) -> list[_Clicks]:
    """Both sides' photons that will click: true times, ps, and channels from 0."""
    n = int(rng.poisson(scene.pairs_hz * (end - begin) / _PS))
    times = np.sort(rng.uniform(begin, end, n))
    there = [rng.random(n) < scene.station(side).transmission for side in Side]
    settings = [rng.integers(0, scene.protocol.settings, n) for _ in Side]
    outcome = rng.integers(0, 2, n)
    e91 = scene.protocol is Protocol.E91
    angles = (ALICE_ANGLES, BOB_ANGLES) if e91 else (BB84_ANGLES, BB84_ANGLES)
    a, b = (np.array(each)[chosen] for each, chosen in zip(angles, settings, strict=True))
    correlation = np.cos(a - b)
    if scene.eve is not None:
        touched = np.flatnonzero(rng.random(n) < scene.eve.share)
        drawn = rng.random(touched.size)
        correlation[touched] = scene.eve.disturbed(scene.protocol, a[touched], b[touched], drawn)
    other = outcome ^ (rng.random(n) < 0.5 * (1.0 - scene.visibility * correlation))
    return [
        (times[here], (2 * chosen + which)[here].astype(np.int32))
        for here, chosen, which in zip(there, settings, (outcome, other), strict=True)
    ]


class _Recorder:
    """One site's detectors and clock; goes on from slice to slice."""

    def __init__(self, scene: Scene, side: Side, rng: np.random.Generator) -> None:
        self._scene, self._side, self._rng = scene, side, rng
        self._station = scene.station(side)
        detectors = 2 * scene.protocol.settings
        self._detectors = detectors
        self._last = np.full(detectors, -(1 << 62), np.int64)
        self._late: _Clicks = (np.zeros(0), np.zeros(0, np.int32))
        self._kept = np.zeros(0, np.int64), np.zeros(0, np.int32)

    def record(
        self,
        times: NDArray[np.float64],
        channels: NDArray[np.int32],
        begin: float,
        end: float,
        *,
        last: bool,
    ) -> tuple[Times, NDArray[np.int32]]:
        """The tags of a slice of time, with what an earlier one left for it."""
        station, rng = self._station, self._rng
        dark = int(rng.poisson(self._detectors * station.dark_hz * (end - begin) / _PS))
        times = np.concatenate([times, rng.uniform(begin, end, dark), self._late[0]])
        who = rng.integers(0, self._detectors, dark).astype(np.int32)
        channels = np.concatenate([channels, who, self._late[1]])
        now = times < end
        self._late = times[~now], channels[~now]
        times, channels = self._clicks(times[now], channels[now], self._last.copy())
        if station.afterpulse:
            times, channels = self._with_afterpulses(times, channels, end)
        times, channels = self._clicks(times, channels, self._last)
        return self._tags(times, channels, last=last)

    def _clicks(
        self, times: NDArray[np.float64], channels: NDArray[np.int32], last: Times
    ) -> _Clicks:
        """Those that find their detector live, in order."""
        order = np.argsort(times, kind="stable")
        times, channels = times[order], channels[order]
        dead = round(self._station.dead_ns * 1e3)
        kept = live(np.rint(times).astype(np.int64), channels, dead, last)
        return times[kept], channels[kept]

    def _with_afterpulses(
        self, times: NDArray[np.float64], channels: NDArray[np.int32], end: float
    ) -> _Clicks:
        station, rng = self._station, self._rng
        at = np.flatnonzero(rng.random(times.size) < station.afterpulse)
        wait = rng.exponential(station.afterpulse_ns * 1e3, at.size) + station.dead_ns * 1e3
        after, who = times[at] + wait, channels[at]
        now = after < end
        self._late = (
            np.concatenate([self._late[0], after[~now]]),
            np.concatenate([self._late[1], who[~now]]),
        )
        return np.concatenate([times, after[now]]), np.concatenate([channels, who[now]])

    def _tags(
        self, times: NDArray[np.float64], channels: NDArray[np.int32], *, last: bool
    ) -> tuple[Times, NDArray[np.int32]]:
        """With jitter, in the clock's whole ps and in order; the latest wait for the next slice."""
        late = self._station.jitter_ps * 12.0
        jitter = self._rng.normal(0.0, 1.0, times.size).clip(-6.0, 6.0) * self._station.jitter_ps
        shown = self._scene.clock(self._side, times + jitter)
        shown = np.concatenate([self._kept[0], shown])
        channels = np.concatenate([self._kept[1], channels + np.int32(1)])
        order = np.argsort(shown, kind="stable")
        shown, channels = shown[order], channels[order]
        ready = shown.size
        if not last and shown.size:
            ready = int(np.searchsorted(shown, shown[-1] - round(late)))
        self._kept = shown[ready:], channels[ready:]
        return shown[:ready], channels[:ready]


def _in_range(name: str, value: float, low: float, high: float) -> None:
    _check(name, f"from {low:g} to {high:g}", value, low <= value <= high)


def _check(parameter: str, permitted: str, got: object, holds: bool) -> None:
    if not holds:
        raise ParameterError(parameter, permitted, got)
