"""Tags become events: merged within a window, delays off, the same however the file is cut."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.recordings import SEED, about, written

from bellwire.link.timetags.events import EventBuffer, Events, Position, read_events
from bellwire.link.timetags.reader import BEGINNING
from bellwire.link.timetags.recording import Channel, Recording

WINDOW = 10
CLICKS = st.lists(st.tuples(st.integers(0, 600), st.integers(1, 4)), min_size=1, max_size=60)
DELAYS = st.tuples(*[st.integers(0, 25)] * 4)


def made(
    folder: Path, clicks: list[tuple[int, int]], delays: tuple[int, ...] = (0, 0, 0, 0)
) -> Recording:
    channels = tuple(Channel(n, (n - 1) // 2, (n - 1) % 2, delays[n - 1]) for n in range(1, 5))
    clicks = sorted(clicks)
    return written(
        folder,
        about(channels=channels, window_ps=WINDOW),
        np.array([t for t, _ in clicks], np.int64),
        np.array([c for _, c in clicks], np.int32),
    )


def rows(
    recording: Recording, position: Position | None = None, chunk: int = 7
) -> list[tuple[int, int]]:
    parts = list(read_events(recording, position or Position(), SEED, chunk))
    return [
        row
        for part in parts
        for row in zip(part.times.tolist(), part.settings.tolist(), strict=True)
    ]


@settings(deadline=None, max_examples=60)
@given(clicks=CLICKS, delays=DELAYS, chunk=st.integers(1, 9))
def test_events_are_the_same_however_the_file_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    clicks: list[tuple[int, int]],
    delays: tuple[int, ...],
    chunk: int,
) -> None:
    recording = made(tmp_path_factory.mktemp("e"), clicks, delays)
    whole = rows(recording, chunk=1_000)
    assert rows(recording, chunk=chunk) == whole
    times = [time for time, _ in whole]
    assert all(b - a > WINDOW for a, b in pairwise(times))
    corrected = sorted(t - delays[c - 1] for t, c in clicks)
    assert times[0] == corrected[0]
    assert set(times) <= set(corrected)


@settings(deadline=None, max_examples=60)
@given(clicks=CLICKS, delays=DELAYS, data=st.data())
def test_after_a_position_come_the_later_events_and_no_tag_twice(
    tmp_path_factory: pytest.TempPathFactory,
    clicks: list[tuple[int, int]],
    delays: tuple[int, ...],
    data: st.DataObject,
) -> None:
    recording = made(tmp_path_factory.mktemp("e"), clicks, delays)
    events = Events.joined(list(read_events(recording, Position(), SEED)))
    i = data.draw(st.integers(0, events.times.size - 1))
    rest = rows(recording, events.used_through(i, recording.about))
    # What is used: all tags from the event's first to the end of its window.
    assert all(time > events.times[i] + WINDOW for time, _ in rest)
    expected = [t - delays[c - 1] for t, c in clicks]
    later = [time for time in expected if time > events.times[i] + WINDOW]
    if not any(delays):
        assert [time for time, _ in rest] == events.times[i + 1 :].tolist()
    assert bool(later) == bool(rest)


def test_a_delay_is_taken_off_before_events_are_ordered(tmp_path: Path) -> None:
    recording = made(tmp_path, [(100, 1), (130, 4), (131, 2)], (0, 0, 0, 45))
    assert rows(recording) == [(85, 1), (100, 0), (131, 0)]
    events = Events.joined(list(read_events(recording, Position(), SEED)))
    assert events.used_through(0, recording.about).place == BEGINNING


def test_of_tags_in_one_window_each_is_drawn_as_often(tmp_path: Path) -> None:
    # Three detectors at once, 3,000 times; the one alone between is always itself.
    clicks = [(1_000 * k + d, c) for k in range(3_000) for d, c in ((0, 1), (4, 2), (9, 3))]
    clicks += [(1_000 * k + 500, 4) for k in range(3_000)]
    events = Events.joined(list(read_events(made(tmp_path, clicks), Position(), SEED)))
    assert events.times.size == 6_000
    alone, several = events.cut(1).times[::2], events.times[::2]
    assert (alone % 1_000 == 500).all()
    assert (several % 1_000 == 0).all()
    meant = 2 * events.settings + events.outcomes
    assert (meant[1::2] == 3).all()
    counts = np.bincount(meant[::2], minlength=4)
    assert counts[3] == 0
    assert (np.abs(counts[:3] - 1_000) < 4.5 * np.sqrt(3_000 * 2 / 9)).all()
    other = Events.joined(list(read_events(made(tmp_path, clicks), Position(), bytes(32))))
    assert (other.settings != events.settings).any()


def test_a_buffer_reads_as_far_as_it_is_asked(tmp_path: Path) -> None:
    recording = made(tmp_path, [(100 * k, 1 + k % 4) for k in range(50)])
    buffer = EventBuffer(read_events(recording, Position(), SEED, chunk=5))
    assert buffer.first(3).times.tolist() == [0, 100, 200]
    assert buffer.until(1_000).times[-1] > 1_000
    buffer.drop(10)
    assert buffer.first(2).times.tolist() == [1_000, 1_100]
    assert buffer.first(100).times.size == 40
    assert buffer.ended
    buffer.drop(40)
    assert buffer.until(10**9).times.size == buffer.first(4).times.size == 0


def test_outcomes_are_not_in_the_words_for_events(tmp_path: Path) -> None:
    events = Events.joined(list(read_events(made(tmp_path, [(1, 2)]), Position(), SEED)))
    assert repr(events) == "Events(1 events)"
