"""Where one clock's time lies in another's: offset and drift, from detection times alone.

Two sites that watch one source of pairs see coincidences at one difference of their clocks, and
chance coincidences at every other. Coarse: both lists are binned and correlated by FFT over all
differences searched, once for each drift that the bins can tell apart. Fine: around the highest
peak all differences are listed, and bins of offset and drift are quartered until they are as wide
as the coincidence window. A last fit of a line is good to the jitter over √coincidences. It is in
the manner of the iterated FFT that Quan et al. (arXiv:1907.08925) describe and improve on; the
grid over drifts is ours.

Whether a peak is one: if λ pairs fall into a bin by chance, c or more do with probability at most
exp(−(c·ln(c/λ) − c + λ)) (Chernoff's bound of the Poisson tail), times the number of bins looked
at. That bound on a false alarm must be below `FALSE_ALARM`.

Cost: two FFTs of `BINS` for each drift, then a few passes over at most `MAX_PAIRS` differences;
well below a second, whatever the recording's length. Following the clocks afterwards is one pass
over the events.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.link.errors import ClocksNotAligned
from bellwire.link.kernels.tags import Times, count_beside, count_near, near, rarest, tilted

BINS = 1 << 18
FALSE_ALARM = 1e-9
MAX_PAIRS = 1 << 20
SLICE_EVENTS = 5_000
"""Bob's events that a search has at least, if there are as many."""

MAX_SLICE_EVENTS = 1 << 19
SHIFTS = 4
"""Windows to either side in which chance is counted."""

SHIFT_WINDOWS = 50
"""From one of those to the next, and from the true one to the first, in windows."""

LEAST_CHANCE = 1.0 / 8.0
"""None in eight windows is no proof of none: one in them is what could well have been."""

_SURE = -30.0
"""log₁₀ of a false alarm at which no other place is looked at any more."""

_DRIFTS = 9
_CANDIDATES = 3
_FITS = 8
NEIGHBOURS = 512
"""Bins to either side whose mean is the background."""

ENOUGH = 32
"""Coincidences from which a stretch may move the clock."""

_PS = 10**12


@dataclass(frozen=True, slots=True)
class Clock:
    """Bob's time in Alice's: t + offset + drift·(t − origin).

    Attributes:
        origin_ps: Of Bob's clock.
        offset_ps: At the origin.
        drift: Alice's seconds per second of Bob's, less one.
    """

    origin_ps: int
    offset_ps: float
    drift: float

    def __call__(self, bob: Times) -> Times:
        """(n,) times of Bob's clock in Alice's, rounded to whole ps."""
        whole = round(self.offset_ps)
        rest = (bob - self.origin_ps) * self.drift + (self.offset_ps - whole)
        return np.asarray(bob + whole + np.rint(rest).astype(np.int64))

    def moved(self, origin_ps: int) -> "Clock":
        """The same line, told from another origin."""
        offset = self.offset_ps + self.drift * (origin_ps - self.origin_ps)
        return Clock(origin_ps, offset, self.drift)


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look.

    Attributes:
        centre_ps: Alice's clock less Bob's, as far as it is known beforehand.
        reach_ps: How far the truth may be from it, to either side.
        max_drift: Largest drift, as a fraction.
        window_ps: Width of the coincidence window.
    """

    centre_ps: int
    reach_ps: int
    max_drift: float
    window_ps: int

    def slice_ps(self, bob: Times) -> int:
        """How much of Bob's time to correlate.

        Long enough for coincidences; longer than that only until drifts would have to be told
        apart that cost an FFT each.
        """
        if not bob.size:
            return 0
        few = int(bob[min(bob.size, SLICE_EVENTS) - 1] - bob[0])
        share = _DRIFTS / (2.0 * self.max_drift * BINS)
        free = 4 * _PS if share >= 0.5 else int(2 * self.reach_ps * share / (1.0 - share))
        most = int(bob[min(bob.size, MAX_SLICE_EVENTS) - 1] - bob[0])
        return min(max(few, free), most) + 1

    def needs_until(self, bob: Times) -> int:
        """Latest time of Alice's clock that a search with these events of Bob's looks at."""
        return int(bob[0]) + self.slice_ps(bob) + self.centre_ps + self.reach_ps


@dataclass(frozen=True, slots=True)
class Peak:
    """The coarse correlation, for a figure.

    Attributes:
        lags_ps: (n,) middle of each bin: Alice's clock less Bob's.
        counts: (n,) coincidences in each, at the best drift.
        bin_ps: Width of a bin.
    """

    lags_ps: NDArray[np.float64]
    counts: NDArray[np.float64]
    bin_ps: float


@dataclass(frozen=True, slots=True)
class Alignment:
    """A clock that was found, and how sure it is.

    Attributes:
        clock: Bob's time in Alice's.
        first_ps: Time of the first of Bob's events that were compared.
        events: How many those were.
        coincidences: Pairs within the window among them.
        background: Pairs expected there by chance.
        log10_false_alarm: Upper limit of log₁₀ of the probability that chance made this peak.
        peak: The coarse correlation.
    """

    clock: Clock
    first_ps: int
    events: int
    coincidences: int
    background: float
    log10_false_alarm: float
    peak: Peak


def log_tail(count: float, mean: float) -> float:
    """Upper limit of ln P(X ≥ count) for X Poisson of that mean; 0 where it says nothing."""
    if count <= mean:
        return 0.0
    if mean <= 0.0:
        return -math.inf
    return -(count * math.log(count / mean) - count + mean)


def align(alice: Times, bob: Times, search: Search) -> Alignment:
    """Find Bob's clock in Alice's.

    Args:
        alice: (n,) event times, ps; from `bob[0] + centre − reach` on as far as there are any.
        bob: (m,) event times, ps; the first `search.slice_ps` of them are used.
        search: Where to look.

    Raises:
        ClocksNotAligned: no peak that chance would not make.
    """
    taken = bob[: int(np.searchsorted(bob, bob[0] + search.slice_ps(bob)))] if bob.size else bob
    if not alice.size or not taken.size:
        raise ClocksNotAligned(
            f"{alice.size} of Alice's events and {taken.size} of Bob's", "nothing to compare"
        )
    origin = int(taken[0]) + (int(taken[-1]) - int(taken[0])) // 2
    peak, candidates, trials = _coarse(alice, taken, origin, search)
    best: Alignment | None = None
    for clock, bin_ps in candidates:
        found = _fine(alice, taken, clock, bin_ps, search, trials, peak)
        if best is None or found.log10_false_alarm < best.log10_false_alarm:
            best = found
        if found.log10_false_alarm < _SURE:
            break
    assert best is not None
    if best.log10_false_alarm > math.log10(FALSE_ALARM):
        first, last = taken[0] / _PS, taken[-1] / _PS
        raise ClocksNotAligned(
            f"{taken.size:,} events of Bob's from {first:.6f} s to {last:.6f} s of his clock, "
            f"offsets of {search.centre_ps / _PS:+.3f} s ± {search.reach_ps / _PS:.3f} s, drifts "
            f"up to {search.max_drift * 1e6:g} ppm",
            f"the best place has {best.coincidences} coincidences where chance makes "
            f"{best.background:.1f}",
        )
    return best


def _coarse(
    alice: Times, bob: Times, origin: int, search: Search
) -> tuple[Peak, list[tuple[Clock, float]], float]:
    """The correlation at the best drift, the highest places of all drifts, and places looked at."""
    duration = int(bob[-1] - bob[0]) + 1
    low = int(bob[0]) + search.centre_ps - search.reach_ps
    span = duration + 2 * search.reach_ps
    width = max(span / (BINS - 4), search.window_ps / 2)
    size = 1 << max(4, math.ceil(math.log2(span / width + 2)))
    seen = alice[int(np.searchsorted(alice, low)) : int(np.searchsorted(alice, low + span))]
    histogram = np.bincount(((seen - low) / width).astype(np.int64), minlength=size)
    spectrum = np.fft.rfft(histogram, size)
    lags = math.ceil(2 * search.reach_ps / width)
    step = 2.0 * width / duration
    reach = math.ceil(search.max_drift / step)
    drifts = np.unique(np.clip(np.arange(-reach, reach + 1) * step, *_both(search.max_drift)))
    places: list[tuple[float, Clock]] = []
    best: tuple[float, NDArray[np.float64]] | None = None
    shifted = bob - int(bob[0])
    for drift in drifts:
        at = (shifted + drift * (bob - origin) + drift * (duration / 2)) / width
        mine = np.bincount(np.clip(at, 0, size - 1).astype(np.int64), minlength=size)
        product = np.conj(np.fft.rfft(mine, size)) * spectrum
        counts = np.rint(np.fft.irfft(product, size)[:lags])
        surprise, lag = rarest(counts, NEIGHBOURS)
        offset = search.centre_ps - search.reach_ps + lag * width + drift * (duration / 2)
        places.append((surprise, Clock(origin, float(offset), float(drift))))
        if best is None or surprise < best[0]:
            best = surprise, counts
    assert best is not None
    places.sort(key=lambda place: place[0])
    middles = search.centre_ps - search.reach_ps + np.arange(lags) * width
    trials = float(lags * drifts.size)
    chosen = [(clock, width) for _, clock in places[:_CANDIDATES]]
    return Peak(np.asarray(middles, np.float64), best[1], width), chosen, trials


def _fine(  # noqa: PLR0917 - what was found so far, and in what
    alice: Times,
    bob: Times,
    clock: Clock,
    bin_ps: float,
    search: Search,
    trials: float,
    peak: Peak,
) -> Alignment:
    """Quarter the bins around a coarse place until they are half a window, then fit a line."""
    beside = math.ceil(4.0 * bin_ps) + (SHIFTS + 1) * SHIFT_WINDOWS * search.window_ps
    ends = clock(bob[[0, -1]]) + np.array([-beside, beside])
    alice = alice[slice(*np.searchsorted(alice, ends))]
    duration = float(bob[-1] - bob[0]) + 1.0
    width = bin_ps
    looked = trials
    while width > search.window_ps / 2:
        reach = 3.0 * width
        x, y = _differences(alice, bob, clock, reach)
        finer = max(width / 4.0, search.window_ps / 2.0)
        step = finer / duration
        tilts = math.ceil(2.0 * width / duration / step)
        slopes = np.asarray(np.arange(-tilts, tilts + 1) * step, np.float64)
        bins = math.ceil(2.0 * reach / finer)
        counts = np.zeros((slopes.size, bins), np.int64)
        tilted(x, y, slopes, -reach, finer, counts)
        # A peak may straddle an edge: two bins together.
        both = counts[:, :-1] + counts[:, 1:]
        k, i = divmod(int(np.argmax(both)), bins - 1)
        looked += counts.size
        clock = Clock(
            clock.origin_ps,
            clock.offset_ps - reach + (i + 1) * finer,
            clock.drift + float(slopes[k]),
        )
        width = finer
    half = search.window_ps // 2
    for _ in range(_FITS):
        before, clock = clock, _fitted(alice, bob, clock, search.window_ps)
        if abs(clock.offset_ps - before.offset_ps) < 0.5:
            break
    placed = clock(bob)
    coincidences = int(count_near(alice, placed, -half, half))
    background = max(accidentals(alice, placed, search.window_ps), LEAST_CHANCE)
    log = (math.log(looked) + log_tail(coincidences, background)) / math.log(10.0)
    return Alignment(clock, int(bob[0]), bob.size, coincidences, background, min(0.0, log), peak)


def _differences(
    alice: Times, bob: Times, clock: Clock, reach: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(time from the clock's origin, Alice's time less Bob's by the clock) of all pairs in reach.

    Where there are too many, every k-th event of Bob's stands for the rest.
    """
    placed = clock(bob)
    low, high = -math.ceil(reach), math.ceil(reach)
    total = int(count_near(alice, placed, low, high))
    if total > MAX_PAIRS:
        keep = slice(None, None, -(-total // MAX_PAIRS))
        bob, placed = bob[keep], placed[keep]
        total = int(count_near(alice, placed, low, high))
    at, apart = np.empty(total, np.int64), np.empty(total, np.int64)
    near(alice, placed, low, high, at, apart)
    return (bob[at] - clock.origin_ps).astype(np.float64), apart.astype(np.float64)


def _fitted(alice: Times, bob: Times, clock: Clock, window_ps: int) -> Clock:
    """The line of least squares through the differences within the window."""
    x, y = _differences(alice, bob, clock, window_ps / 2)
    if x.size < 2 or np.ptp(x) == 0.0:
        return clock
    mean = float(x.mean())
    slope = float(np.dot(x - mean, y) / np.dot(x - mean, x - mean))
    offset = float(y.mean()) - slope * mean
    return Clock(clock.origin_ps, clock.offset_ps + offset, clock.drift + slope)


def accidentals(alice: Times, placed: Times, window_ps: int) -> float:
    """Coincidences expected by chance in the window, from eight shifted ones.

    Args:
        alice: (n,) event times.
        placed: (m,) Bob's, in Alice's clock.
        window_ps: Width.
    """
    count = count_beside(alice, placed, window_ps // 2, SHIFT_WINDOWS * window_ps, SHIFTS)
    return float(count) / (2 * SHIFTS)


def followed(alice: Times, bob: Times, clock: Clock, window_ps: int) -> Clock:
    """The clock, moved on to these events of Bob's: their own mean difference, and its slope.

    Of a deviation 0.7 is taken as of the offset, 0.3 as of the drift (an alpha-beta filter): the
    jitter of one stretch must not throw the clock off, and a pace that changes by a per second²
    leaves it behind by a·T² at stretches of T.
    """
    here = clock.moved(int(bob[0]) + (int(bob[-1]) - int(bob[0])) // 2)
    centre = 0.0
    # Twice the window catches a clock that has moved; then the window itself around the mean.
    _, y = _differences(alice, bob, here, 2.0 * window_ps)
    for reach in (1.0 * window_ps, window_ps / 2, window_ps / 2):
        inside = np.abs(y - centre) <= reach
        if int(inside.sum()) < ENOUGH:
            return here
        centre = float(y[inside].mean())
    drift, length = here.drift, here.origin_ps - clock.origin_ps
    if length > 0:
        drift += 0.3 * centre / max(length, int(bob[-1] - bob[0]))
    return Clock(here.origin_ps, here.offset_ps + 0.7 * centre, drift)


def _both(value: float) -> tuple[float, float]:
    return -value, value
