"""Time tags in the lab: write what a source would leave; see whether two recordings go together.

Both sites' folders are read here, which only the lab does; nothing of it enters a pool, and no tag
is used up. The matching is that of the nodes, message by message.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bellwire.base.angles import KEY_PAIRS
from bellwire.base.detections import Detections, Half
from bellwire.distill.estimation import Correlations, ErrorRate
from bellwire.lab.errors import FileUnusable
from bellwire.link.errors import TagsUnreadable
from bellwire.link.kernels.tags import Times, count_near, near
from bellwire.link.timetags.alignment import Alignment, Clock
from bellwire.link.timetags.events import EventBuffer, Position, read_events
from bellwire.link.timetags.following import Follower
from bellwire.link.timetags.generator import Scene, generate
from bellwire.link.timetags.matching import Matched, Stretch, TagMatching
from bellwire.link.timetags.recording import SITES, About, Recording, TagFormat, detectors
from bellwire.link.timetags.writer import TagWriter

MOST_COINCIDENCES = 1 << 22
"""Matched of a recording here: enough for any figure."""

SHOWN_WINDOWS = 5
"""Windows to either side of the peak in the histogram of differences."""

_SEED = bytes(32)
"""Chooses between tags of one event; in the lab nothing of it is secret."""


def write(
    folder: Path,
    scene: Scene,
    *,
    seed: int,
    form: TagFormat = TagFormat.BELLWIRE,
    window_ps: int = 1_000,
    search_s: float = 2.0,
    max_drift_ppm: float = 50.0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, int]:
    """Write both sites' recordings, `folder`/a and `folder`/b.

    Args:
        folder: Of both; it must hold neither yet.
        scene: What is recorded.
        seed: Repeats it.
        form: How the tags are written: `bellwire`, `swabian-dump` or `csv`.
        window_ps: For `tags.toml`, as the two below.
        search_s: How far the clocks may disagree.
        max_drift_ppm: How fast they may drift apart.
        progress: Called with the seconds of the recording that are done.

    Returns:
        Tags written, by site.

    Raises:
        FileUnusable: a recording is there already.
        ParameterError, TagsUnreadable: as `TagWriter`, and values that `tags.toml` cannot have.
    """
    recordings = {}
    for site in SITES:
        if (folder / site).exists():
            raise FileUnusable(folder / site, "no recording yet at", "one")
        name = "tags.csv" if form is TagFormat.CSV else "tags.bin"
        try:
            about = About(
                version=1,
                site=site,
                protocol=scene.protocol,
                generated=True,
                format=form,
                file=name,
                channels=detectors(scene.protocol),
                window_ps=window_ps,
                search_s=search_s,
                max_drift_ppm=max_drift_ppm,
            ).checked()
        except ValueError as error:
            raise TagsUnreadable(folder / site, None, str(error)) from None
        recordings[site] = Recording(folder / site, about)
    writers = {site: TagWriter(recording) for site, recording in recordings.items()}
    with writers["a"] as alice, writers["b"] as bob:
        for done, (of_alice, of_bob) in generate(scene, seed):
            alice.write(*of_alice)
            bob.write(*of_bob)
            if progress is not None:
                progress(done)
    return {site: writer.written for site, writer in writers.items()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two recordings have in common.

    Attributes:
        about: Alice's description.
        alignment: How the clocks were found.
        clock: Bob's time in Alice's at the end of what was matched.
        matched: Counts of the matching.
        seconds: Time that it covers, of Bob's clock.
        qber: Errors at equal settings of the key.
        correlations: E91's counts; None in BBM92.
        apart_ps: (n,) Alice's time less Bob's, ps, of pairs within `SHOWN_WINDOWS` windows, in the
            stretch that was searched.
    """

    about: About
    alignment: Alignment
    clock: Clock
    matched: Matched
    seconds: float
    qber: ErrorRate
    correlations: Correlations | None
    apart_ps: NDArray[np.int64] = field(repr=False)

    @property
    def jitter_ps(self) -> float:
        """Standard deviation of the differences within the window, chance coincidences taken out.

        Those lie evenly over the window w, so they add w²/12 in their share. A wider jitter is cut
        off by the window.
        """
        window = self.about.window_ps
        inside = self.apart_ps[np.abs(self.apart_ps) < window / 2]
        share = min(0.99, self.alignment.background / max(1, inside.size))
        whole = float(np.var(inside)) if inside.size else 0.0
        return float(np.sqrt(max(0.0, (whole - share * window**2 / 12.0) / (1.0 - share))))


def compare(folder: Path) -> Comparison:
    """Align `folder`/a and `folder`/b and match their coincidences.

    Raises:
        TagsUnreadable: a recording is none, or is damaged.
        NotMatched: they do not go together.
    """
    recordings = [Recording.load(folder / site) for site in SITES]
    heard: list[Matched] = []
    follower = Follower()
    sides = [
        TagMatching(
            Stretch(
                recording.about,
                EventBuffer(read_events(recording, Position(), _SEED)),
                MOST_COINCIDENCES,
                burn=lambda _: None,
                told=heard.append,
                failed=lambda _: None,
            ),
            follower,
        )
        for recording in recordings
    ]
    alice, bob = _halves(*sides)
    matched = next(each for each in heard if each.clock is not None)
    assert matched.alignment is not None
    assert matched.clock is not None
    ours, theirs = (_slice(recording, matched.alignment) for recording in recordings)
    qber, correlations = _statistics(recordings[0].about, alice, bob)
    first = next(iter(read_events(recordings[1], Position(), _SEED))).times[0]
    return Comparison(
        recordings[0].about,
        matched.alignment,
        matched.clock,
        matched,
        max(0.0, (matched.clock.origin_ps - int(first)) / 1e12),
        qber,
        correlations,
        _apart(ours, theirs, matched.alignment.clock, recordings[0].about.window_ps),
    )


def _halves(alice: TagMatching, bob: TagMatching) -> tuple[Detections, Detections]:
    while True:
        to_bob, to_alice = alice.message(), bob.message()
        ours: tuple[Half | None, Half | None] = alice.take(to_alice), bob.take(to_bob)
        if isinstance(ours[0], Detections) and isinstance(ours[1], Detections):
            return ours[0], ours[1]


def _statistics(
    about: About, alice: Detections, bob: Detections
) -> tuple[ErrorRate, Correlations | None]:
    differ = alice.outcomes != bob.outcomes
    if not about.protocol.judged_on_chsh:
        same = alice.settings == bob.settings
        return ErrorRate(int(differ[same].sum()), int(same.sum())), None
    key = np.zeros(differ.size, np.bool_)
    for a, b in KEY_PAIRS:
        key |= (alice.settings == a) & (bob.settings == b)
    counts = Correlations.count(alice.settings, bob.settings, alice.outcomes, bob.outcomes)
    return ErrorRate(int(differ[key].sum()), int(key.sum())), counts


def _slice(recording: Recording, alignment: Alignment) -> Times:
    """Event times of the first stretch of the recording that the alignment looked at."""
    events = EventBuffer(read_events(recording, Position(), _SEED))
    clock = alignment.clock
    end = 2 * clock.origin_ps - alignment.first_ps
    if recording.about.side is SITES["b"]:
        times = events.until(end).times
        return times[np.flatnonzero((times >= alignment.first_ps) & (times <= end))]
    low, high = clock(np.array([alignment.first_ps, end], np.int64))
    times = events.until(int(high)).times
    return times[np.flatnonzero((times >= low) & (times <= high))]


def _apart(alice: Times, bob: Times, clock: Clock, window_ps: int) -> Times:
    reach, placed = SHOWN_WINDOWS * window_ps, clock(bob)
    total = int(count_near(alice, placed, -reach, reach))
    apart = np.empty(total, np.int64)
    near(alice, placed, -reach, reach, np.empty(total, np.int64), apart)
    return apart
