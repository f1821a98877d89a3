"""Recordings for tests: small folders of time tags, and two sides that match them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Detections, Protocol
from bellwire.link.timetags.events import EventBuffer, Position, read_events
from bellwire.link.timetags.following import Follower
from bellwire.link.timetags.generator import Scene, generate
from bellwire.link.timetags.matching import Matched, Stretch, TagMatching
from bellwire.link.timetags.recording import About, Recording, TagFormat, detectors
from bellwire.link.timetags.writer import TagWriter

SEED = bytes(range(32))


def about(
    site: str = "a",
    protocol: Protocol = Protocol.BBM92,
    form: TagFormat = TagFormat.BELLWIRE,
    **words: object,
) -> About:
    values: dict[str, object] = {
        "version": 1,
        "site": site,
        "protocol": protocol,
        "generated": True,
        "format": form,
        "file": "tags.csv" if form is TagFormat.CSV else "tags.bin",
        "channels": detectors(protocol),
    }
    return About(**(values | words))  # type: ignore[arg-type]


def written(
    folder: Path, described: About, times: NDArray[np.int64], channels: NDArray[np.int32]
) -> Recording:
    recording = Recording(folder, described)
    with TagWriter(recording) as writer:
        writer.write(times, channels)
    return recording


def recorded(folder: Path, scene: Scene, seed: int = 1, **words: object) -> dict[str, Recording]:
    """Both sites' folders of a scene."""
    recordings = {s: Recording(folder / s, about(s, scene.protocol, **words)) for s in "ab"}  # type: ignore[arg-type]
    writers = {site: TagWriter(recording) for site, recording in recordings.items()}
    with writers["a"] as alice, writers["b"] as bob:
        for _, (of_alice, of_bob) in generate(scene, seed):
            alice.write(*of_alice)
            bob.write(*of_bob)
    return recordings


@dataclass
class Sites:
    """Both sides of the matching, with what they remember between blocks."""

    recordings: dict[str, Recording]

    def __post_init__(self) -> None:
        self.follower = Follower()
        self.positions = {"a": Position(), "b": Position()}
        self.heard: dict[str, Matched] = {}
        self.failed: list[str] = []
        self.messages: list[tuple[bytes, bytes]] = []

    def side(self, site: str, pulses: int, seed: bytes = SEED) -> TagMatching:
        recording = self.recordings[site]
        stretch = Stretch(
            recording.about,
            EventBuffer(read_events(recording, self.positions[site], seed)),
            pulses,
            burn=lambda position: self.positions.__setitem__(site, position),
            told=lambda matched: self.heard.__setitem__(site, matched),
            failed=lambda error: self.failed.append(str(error)),
        )
        return TagMatching(stretch, self.follower)

    def block(self, pulses: int) -> tuple[Detections, Detections]:
        alice, bob = self.side("a", pulses), self.side("b", pulses)
        while True:
            said = alice.message(), bob.message()
            self.messages.append(said)
            ours, theirs = alice.take(said[1]), bob.take(said[0])
            if ours is not None or theirs is not None:
                assert isinstance(ours, Detections)
                assert isinstance(theirs, Detections)
                return ours, theirs


def changed(recording: Recording, **words: object) -> Recording:
    """The same folder, described otherwise."""
    other = Recording(recording.folder, replace(recording.about, **words))  # type: ignore[arg-type]
    other.save()
    return other
