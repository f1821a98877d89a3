"""Two sites, each with its own recording, agree on coincidences and tell nothing but times."""

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.recordings import Sites, changed, recorded

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES, KEY_PAIRS
from bellwire.base.detections import Protocol, Side
from bellwire.base.matching import MatchingMalformed, NotMatched
from bellwire.distill.estimation import Correlations
from bellwire.link.errors import ClocksNotAligned, TagsUsedUp
from bellwire.link.timetags import matching
from bellwire.link.timetags.generator import Scene, Station
from bellwire.link.timetags.messages import (
    MOST_TOLD,
    Found,
    Hello,
    Told,
    decode,
    encode,
    numbers_of,
    tell,
    told_times,
)
from bellwire.link.timetags.recording import Recording

WINDOW = 1_000
SCENE = Scene(
    protocol=Protocol.BBM92, pairs_hz=2e5, seconds=1.0, clock_offset_s=0.031, clock_drift_ppm=-17.0
)
E91 = replace(SCENE, protocol=Protocol.E91, seconds=2.0, visibility=0.92)


def sites(folder: Path, scene: Scene = SCENE, seed: int = 1, **words: object) -> Sites:
    return Sites(recorded(folder, scene, seed, search_s=0.1, **words))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    return sites(tmp_path_factory.mktemp("shared")).recordings


def test_coincidences_chance_and_errors_agree_with_closed_forms(tmp_path: Path) -> None:
    noisy = Station(transmission=0.2, dark_hz=20_000.0, jitter_ps=200.0, dead_ns=0.0)
    scene = replace(SCENE, alice=noisy, bob=noisy, visibility=0.94, seconds=2.0)
    both = sites(tmp_path, scene)
    alice, bob = both.block(10**6)
    seen = both.heard["a"]
    expected = 2.0 * (scene.coincidences_hz(WINDOW) + scene.accidentals_hz(WINDOW))
    assert abs(seen.coincidences - expected) < 5.0 * math.sqrt(expected)
    assert seen.by_chance is not None
    chance = 2.0 * scene.accidentals_hz(WINDOW)
    assert abs(seen.by_chance - chance) < 5.0 * math.sqrt(chance / 8)
    # A pair errs as its visibility says, a chance coincidence half the time.
    share = scene.accidentals_hz(WINDOW) / (expected / 2.0)
    error = (1 - share) * 0.03 + share * 0.5
    same = alice.settings == bob.settings
    wrong = float((alice.outcomes != bob.outcomes)[same].mean())
    assert abs(wrong - error) < 4.5 * math.sqrt(error / int(same.sum()))
    for setting in (0, 1):
        n = int((alice.settings == setting).sum())
        assert abs(n - seen.coincidences / 2) < 4.5 * math.sqrt(seen.coincidences) / 2


def test_e91_shows_the_s_of_its_visibility(tmp_path: Path) -> None:
    both = sites(tmp_path, E91)
    alice, bob = both.block(10**6)
    counts = Correlations.count(alice.settings, bob.settings, alice.outcomes, bob.outcomes)
    share = both.heard["a"].by_chance / both.heard["a"].coincidences  # type: ignore[operator]
    true = 0.92 * (1 - share)
    assert abs(counts.chsh - true * 2 * math.sqrt(2)) < 4.5 * counts.chsh_stderr
    for a, b in KEY_PAIRS:
        value = counts.value(a, b)
        assert abs(value - true * math.cos(ALICE_ANGLES[a] - BOB_ANGLES[b])) < 0.02


def test_blocks_follow_each_other_and_no_tag_serves_twice(
    shared: dict[str, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = Sites(shared), Sites(shared)
    monkeypatch.setattr(matching, "LEAST_TOLD", 1 << 11)
    whole.block(10**6)
    sizes = (1_000, 3_000, 2_500)
    for pulses in sizes:
        alice, bob = parts.block(pulses)
        assert alice.slots.tolist() == bob.slots.tolist() == list(range(pulses))
        same = alice.settings == bob.settings
        assert float((alice.outcomes != bob.outcomes)[same].mean()) < 0.05
    rest = parts.block(10**6)[0].slots.size
    # Other cuts follow the clock a little otherwise: some coincidences at the window's edge.
    assert abs(sum(sizes) + rest - whole.heard["a"].coincidences) <= 5


def test_messages_tell_times_and_no_setting_or_outcome(shared: dict[str, Recording]) -> None:
    one, other = Sites(shared), Sites(shared)
    alice, _ = one.block(2_000)
    # Other meanings of the same channels, and nothing that is said changes.
    for site in "ab":
        recording = other.recordings[site]
        turned = tuple(
            replace(c, setting=1 - c.setting, outcome=1 - c.outcome)
            for c in recording.about.channels
        )
        other.recordings[site] = Recording(
            recording.folder, replace(recording.about, channels=turned)
        )
    again, _ = other.block(2_000)
    assert (again.outcomes != alice.outcomes).all()
    assert one.messages == other.messages
    assert {type(msgspec.msgpack.decode(m)[0]) for pair in one.messages for m in pair if m} == {str}
    assert {m for pair in one.messages[1::2] for m in pair[:1]} == {b""}
    assert {m for pair in one.messages[2::2] for m in pair[1:]} == {b""}


def test_chunks_of_times_change_nothing_but_the_edge(
    shared: dict[str, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Sites(shared)
    whole.block(10**6)
    monkeypatch.setattr(matching, "MOST_TOLD", 1 << 13)
    cut = Sites(shared)
    cut.block(10**6)
    a, b = (each.heard["a"].coincidences for each in (whole, cut))
    assert abs(a - b) <= 5
    assert cut.heard["b"].bob_events == whole.heard["b"].bob_events


def test_a_used_up_recording_ends_blocks_with_its_reason(shared: dict[str, Recording]) -> None:
    both = Sites(shared)
    both.block(10**6)
    with pytest.raises(TagsUsedUp, match=r"recording has no tags left that were not used"):
        both.block(100)
    assert both.failed
    assert "no tags left" in both.failed[0]


def test_a_side_that_is_a_block_ahead_is_caught_up_with(
    shared: dict[str, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two sides' burning of a block: either may be ahead."""
    for ahead in "ab":
        both = Sites(shared)
        before = dict(both.positions)
        both.block(2_500)
        behind = "b" if ahead == "a" else "a"
        both.positions[behind] = before[behind]
        if ahead == "a":  # also after a restart, which forgets the clock
            both.follower = type(both.follower)()
        alice, bob = both.block(3_000)
        same = alice.settings == bob.settings
        assert alice.slots.size == 3_000
        assert float((alice.outcomes != bob.outcomes)[same].mean()) < 0.05


def test_recordings_of_different_light_end_with_the_stretch_examined(tmp_path: Path) -> None:
    both = sites(tmp_path / "x", seed=1)
    both.recordings["b"] = sites(tmp_path / "y", seed=2).recordings["b"]
    with pytest.raises(ClocksNotAligned, match=r"events of Bob's from \d+\.\d+ s"):
        both.block(1_000)


@pytest.mark.parametrize(
    ("words", "named"),
    [({"window_ps": 900}, "window_ps 1000 and 900"), ({"generated": False}, "generated True")],
)
def test_recordings_that_do_not_go_together_are_named(
    tmp_path: Path, words: dict[str, object], named: str
) -> None:
    both = sites(tmp_path, replace(SCENE, seconds=0.05))
    both.recordings["b"] = changed(both.recordings["b"], **words)
    with pytest.raises(NotMatched, match=named):
        both.block(100)


def test_a_clock_that_was_started_hours_later_is_found_by_its_zero(tmp_path: Path) -> None:
    late = replace(SCENE, seconds=0.3, clock_offset_s=-3_000.02)
    both = sites(tmp_path, late)
    # Bob's clock shows 3,000 s less: it was started so much later.
    both.recordings["a"] = changed(both.recordings["a"], clock_zero_s=1_700_000_000.0)
    both.recordings["b"] = changed(both.recordings["b"], clock_zero_s=1_700_003_000.0)
    alice, _ = both.block(1_000)
    assert alice.slots.size == 1_000


# -- messages ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(gaps=st.lists(st.integers(1, 1 << 40), max_size=40), first=st.integers(-(10**9), 1 << 60))
def test_times_come_back(gaps: list[int], first: int) -> None:
    times = first + np.concatenate([[0], np.cumsum(np.array(gaps, np.int64))]).astype(np.int64)
    message = decode(encode(tell(times)), Told)
    assert told_times(message).tolist() == times.tolist()
    assert told_times(decode(encode(tell(times[:0])), Told)).size == 0


@pytest.mark.parametrize(
    "message",
    [
        Told(5, 3, b"", 1),
        Told(5, 1, b"\x01", 1),
        Told(5, 2, b"\x01", 2),
        Told(5, 1, b"\x00", 2),
        Told(5, 8, b"\xff" * 8, 2),
        Told(5, 8, (b"\xff" * 7 + b"\x00") * 64, 65),
    ],
)
def test_times_that_cannot_be_are_malformed(message: Told) -> None:
    with pytest.raises(MatchingMalformed):
        told_times(message)


@pytest.mark.parametrize("data", [b"\x01", b"\x05\0\0\0", b"\x01\0\0\0\x01\0\0\0"])
def test_numbers_that_cannot_be_are_malformed(data: bytes) -> None:
    with pytest.raises(MatchingMalformed):
        numbers_of(data, 5)


@settings(deadline=None)
@given(body=st.binary(max_size=60), kind=st.sampled_from([Hello, Told, Found]))
def test_any_other_bytes_are_malformed(body: bytes, kind: type) -> None:
    try:
        decode(body, kind)
    except MatchingMalformed:
        return
    assert msgspec.msgpack.decode(body)[0] in {"tags", "times", "found"}


@pytest.mark.parametrize("side", Side)
def test_a_peer_that_says_something_else_ends_the_matching(
    shared: dict[str, Recording], side: Side
) -> None:
    hello = Hello(1, Protocol.BBM92, generated=True, window_ps=WINDOW, clock_zero_s=0.0)
    site = "a" if side is Side.ALICE else "b"
    scripts = {
        Side.ALICE: [
            [b"\xc0"],
            [encode(hello), b""],
            [encode(hello), encode(Told(0, 1, b"", 1 << 10))],
            [encode(hello), encode(tell(np.arange(9, dtype=np.int64))), b"x"],
        ],
        Side.BOB: [
            [b""],
            [encode(hello), b"x"],
            [encode(hello), b"", b"x"],
            [encode(hello), b"", encode(Found((8_192).to_bytes(4, "little"), more=False))],
            [encode(hello), b"", encode(Found(np.arange(11, dtype="<u4").tobytes(), more=False))],
        ],
    }
    for script in scripts[side]:
        ours = Sites(shared).side(site, 10)
        for body in script[:-1]:
            ours.message()
            assert ours.take(body) is None
        ours.message()
        with pytest.raises(MatchingMalformed):
            ours.take(script[-1])


def test_a_message_is_bounded() -> None:
    with pytest.raises(MatchingMalformed):
        decode(encode(Told(0, 1, b"", MOST_TOLD + 1)), Told)
