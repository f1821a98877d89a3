"""Loops over time tags: text to numbers, tags to events, events of two sides to coincidences.

Times are int64 picoseconds and do not fall. Every loop goes once through what it is given, so work
and memory grow with tags, and with coincidences, never with the time between them.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Times = NDArray[np.int64]
Numbers = NDArray[np.int32]

PARSED, NO_NUMBER, TOO_LONG, NO_CHANNEL, TRAILING = range(5)
"""How a line of text was read: well, or what is wrong with it."""

MAX_DIGITS = 18
"""Of a time: less than 2⁶³ in any case."""

_ZERO, _NINE, _COMMA, _NEWLINE, _RETURN = 48, 57, 44, 10, 13


@njit(cache=True, nogil=True)
def parse_csv(
    text: NDArray[np.uint8], times: Times, channels: Numbers, starts: Times
) -> tuple[int, int, int]:
    """Read lines `time,channel`, each ended by a newline, into the three arrays.

    Args:
        text: Whole lines.
        times: Out; at least as many as there are newlines.
        channels: Out, as long.
        starts: Out, as long: where each line begins in `text`.

    Returns:
        Lines read; how the last was read (`PARSED` or what is wrong); where it begins.
    """
    at, line = 0, 0
    end = text.size
    while at < end:
        start = at
        time, digits = 0, 0
        while at < end and _ZERO <= text[at] <= _NINE:
            digits += 1
            if digits > MAX_DIGITS:
                return line, TOO_LONG, start
            time = time * 10 + int(text[at]) - _ZERO
            at += 1
        if digits == 0 or at >= end or text[at] != _COMMA:
            return line, NO_NUMBER, start
        at += 1
        channel, digits = 0, 0
        while at < end and _ZERO <= text[at] <= _NINE and digits < 6:
            channel = channel * 10 + int(text[at]) - _ZERO
            digits += 1
            at += 1
        if digits == 0:
            return line, NO_CHANNEL, start
        if at < end and text[at] == _RETURN:
            at += 1
        if at >= end or text[at] != _NEWLINE:
            return line, TRAILING, start
        at += 1
        times[line], channels[line], starts[line] = time, channel, start
        line += 1
    return line, PARSED, at


@njit(cache=True, nogil=True)
def first_fall(times: Times, before: int) -> int:
    """Index of the first time below the one before it (`before`: that of the first), else −1."""
    for i in range(times.size):
        if times[i] < before:
            return i
        before = times[i]
    return -1


@njit(cache=True, nogil=True)
def group(times: Times, window: int, starts: Times) -> int:
    """Divide tags into events: a tag within `window` of an event's first tag belongs to it.

    Args:
        times: (n,) tags.
        window: Picoseconds.
        starts: Out, (n,): index of the first tag of each event.

    Returns:
        Number of events.
    """
    events = 0
    first = np.int64(0)
    for i in range(times.size):
        if events == 0 or times[i] - first > window:
            starts[events] = i
            events += 1
            first = times[i]
    return events


@njit(cache=True, nogil=True)
def count_near(alice: Times, bob: Times, low: int, high: int) -> int:
    """How many pairs have low ≤ alice − bob < high."""
    total, lower, upper = 0, 0, 0
    for b in bob:
        while lower < alice.size and alice[lower] < b + low:
            lower += 1
        while upper < alice.size and alice[upper] < b + high:
            upper += 1
        total += upper - lower
    return total


@njit(cache=True, nogil=True)
def count_beside(alice: Times, bob: Times, half: int, step: int, most: int) -> int:
    """How many pairs lie within ±half of k·step, k = ±1 … ±most, one pass for all of them.

    Args:
        alice: (n,) event times.
        bob: (m,) event times.
        half: Half of a window, below step / 2; its upper edge is left out.
        step: Distance of the windows.
        most: How many there are to either side of the middle one, which is left out.
    """
    total, lower = 0, 0
    reach = most * step + half
    for b in bob:
        while lower < alice.size and alice[lower] < b - reach:
            lower += 1
        j = lower
        while j < alice.size and alice[j] < b + reach:
            apart = alice[j] - b
            k = (apart + step // 2) // step
            if k != 0 and -half <= apart - k * step < half:
                total += 1
            j += 1
    return total


@njit(cache=True, nogil=True)
def near(alice: Times, bob: Times, low: int, high: int, at: Times, apart: Times) -> None:
    """All pairs with low ≤ alice − bob < high: index of Bob's event, and the difference."""
    n, lower = 0, 0
    for i in range(bob.size):
        b = bob[i]
        while lower < alice.size and alice[lower] < b + low:
            lower += 1
        j = lower
        while j < alice.size and alice[j] < b + high:
            at[n], apart[n] = i, alice[j] - b
            n += 1
            j += 1


@njit(cache=True, nogil=True)
def tilted(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    slopes: NDArray[np.float64],
    low: float,
    width: float,
    counts: NDArray[np.int64],
) -> None:
    """Histogram of y − slope·x for each slope.

    Args:
        x: (n,) abscissae.
        y: (n,) ordinates.
        slopes: (m,).
        low: Lower edge of the first bin.
        width: Of a bin.
        counts: (m, bins), filled.
    """
    bins = counts.shape[1]
    for i in range(x.size):
        for k in range(slopes.size):
            place = (y[i] - slopes[k] * x[i] - low) / width
            if 0.0 <= place < bins:
                counts[k, int(place)] += 1


@njit(cache=True, nogil=True)
def rarest(counts: NDArray[np.float64], neighbours: int) -> tuple[float, int]:
    """The count that chance explains least, if each is Poisson of its neighbours' mean.

    The mean is over `neighbours` bins to either side, without the bin itself and the two next to
    it, which a peak may fill; at least one count is taken to be among them.

    Args:
        counts: (n,) whole numbers.
        neighbours: Bins to either side.

    Returns:
        Upper limit of ln of its tail (0 if none is above its mean), and its index.
    """
    n = counts.size
    least, place = 0.0, 0
    first, last = 0, 0  # window [first, last) and its sum
    total = 0.0
    for i in range(n):
        while last < min(n, i + neighbours + 1):
            total += counts[last]
            last += 1
        while first < i - neighbours:
            total -= counts[first]
            first += 1
        inner, outer = max(0, i - 1), min(n, i + 2)
        others = total
        for k in range(inner, outer):
            others -= counts[k]
        among = (last - first) - (outer - inner)
        mean = max(others, 1.0) / max(among, 1)
        if counts[i] > mean:
            tail = -(counts[i] * math.log(counts[i] / mean) - counts[i] + mean)
            if tail < least:
                least, place = tail, i
    return least, place


@njit(cache=True, nogil=True)
def match(alice: Times, bob: Times, half: int, first: Times, second: Times) -> int:
    """Coincidences: pairs with −half ≤ alice − bob < half, each event in one pair at most.

    Events of a side are further apart than the window, so a pair is the only one of its events but
    for the clocks' drift within a window; the earlier then stands.

    Args:
        alice: (n,) events in the common clock.
        bob: (m,) likewise.
        half: Half of the window, ps.
        first: Out, (min(n, m),): Alice's index of each pair.
        second: Out, likewise: Bob's.

    Returns:
        Number of coincidences.
    """
    found, j = 0, 0
    for i in range(bob.size):
        while j < alice.size and alice[j] < bob[i] - half:
            j += 1
        if j < alice.size and alice[j] < bob[i] + half:
            first[found], second[found] = j, i
            found += 1
            j += 1
    return found


@njit(cache=True, nogil=True)
def live(times: Times, detectors: Numbers, dead: int, last: Times) -> NDArray[np.bool_]:
    """Which clicks happen: a detector is blind for `dead` after each of its own.

    Args:
        times: (n,) would-be clicks.
        detectors: (n,) who clicks, below `last.size`.
        dead: Picoseconds.
        last: (detectors,) time of each one's last click; goes on.

    Returns:
        (n,) bool.
    """
    kept = np.zeros(times.size, np.bool_)
    for i in range(times.size):
        d = detectors[i]
        if times[i] - last[d] >= dead:
            kept[i] = True
            last[d] = times[i]
    return kept
