"""A recording as a node's source: its position is durable, and each tag is used once."""

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.simulators.recordings import about, written

from bellwire.base.detections import Protocol
from bellwire.base.matching import NotMatched
from bellwire.base.private import PathExposed, PathUnusable, own_folder
from bellwire.link.errors import ParameterError, TagsUnreadable, TagsUsedUp
from bellwire.link.timetags.events import Position
from bellwire.link.timetags.reader import Place
from bellwire.link.timetags.recording import Recording
from bellwire.link.timetags.source import TimeTagLink, Uses, folder_of, warm

SEED = bytes(32)


def recording(folder: Path) -> Recording:
    times = np.arange(100, dtype=np.int64) * 5_000
    return written(folder, about(), times, np.tile(np.array([1, 2, 3, 4], np.int32), 25))


def link(folder: Path, state: Path) -> TimeTagLink:
    return TimeTagLink(
        Recording.load(folder),
        Uses(own_folder(state) / "tags.json"),
        lambda _: None,
        lambda _: None,
    )


def test_what_is_burnt_is_known_after_a_restart_wherever_the_file_lies(tmp_path: Path) -> None:
    recording(tmp_path / "a")
    first = link(tmp_path / "a", tmp_path / "state")
    first._burn(Position(Place(32 + 16 * 7, 7), 36_000))
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    for folder in ("a", "copy"):
        again = link(tmp_path / folder, tmp_path / "state")
        position = again._uses.position(again._fingerprint)
        assert position == Position(Place(32 + 16 * 7, 7), 36_000)
    other = written(tmp_path / "b", about(), np.array([1, 2], np.int64), np.array([1, 2], np.int32))
    fresh = link(other.folder, tmp_path / "state")
    assert fresh._uses.position(fresh._fingerprint) == Position()


def test_a_block_of_another_protocol_or_size_is_refused(tmp_path: Path) -> None:
    recording(tmp_path / "a")
    source = link(tmp_path / "a", tmp_path / "state")
    assert source.spent is None
    with pytest.raises(ParameterError, match="expected protocol bbm92 of the time tags, got e91"):
        asyncio.run(source.block(bytes(16), Protocol.E91, 10, SEED))
    with pytest.raises(ParameterError, match="pulses"):
        asyncio.run(source.block(bytes(16), Protocol.BBM92, 0, SEED))
    with pytest.raises(ValueError, match="32 bytes"):
        asyncio.run(source.block(bytes(16), Protocol.BBM92, 10, SEED[1:]))


def test_a_recording_that_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    made = recording(tmp_path / "a")
    made.path.write_bytes(b"no tags")
    with pytest.raises(TagsUnreadable, match="got another"):
        link(tmp_path / "a", tmp_path / "state")
    made.path.unlink()
    with pytest.raises(TagsUnreadable, match="cannot be read"):
        link(tmp_path / "a", tmp_path / "state")


def test_uses_that_are_not_ours_are_refused_and_not_begun_anew(tmp_path: Path) -> None:
    uses = Uses(own_folder(tmp_path / "state") / "tags.json")
    for content in (b"{", b"[]", b'{"x": {"byte": 1}}', b'{"x": {"byte": "a"}}'):
        (tmp_path / "state" / "tags.json").write_bytes(content)
        (tmp_path / "state" / "tags.json").chmod(0o600)
        with pytest.raises(PathUnusable, match="how far recordings were used"):
            uses.position("x")
        with pytest.raises(PathUnusable):
            uses.burn("x", Position())
    (tmp_path / "state" / "tags.json").chmod(0o644)
    with pytest.raises(PathExposed):
        uses.position("x")


def test_a_source_names_its_folder() -> None:
    assert folder_of("timetags:/data/a") == Path("/data/a")
    assert folder_of("link") is None


def test_kernels_are_warmed_by_real_work() -> None:
    warm()


def test_tags_that_are_yet_to_come_end_a_block_and_not_the_recording(tmp_path: Path) -> None:
    times = np.arange(5_000, dtype=np.int64) * 5_000
    channels = np.tile(np.array([1, 2, 3, 4], np.int32), 1250)
    for folder, live in (("live", True), ("done", False)):
        written(tmp_path / folder, about(live=live), times, channels)
        source = link(tmp_path / folder, tmp_path / f"state of {folder}")
        source._fail(TagsUsedUp("no tags left"))
        assert source.spent == (None if live else "no tags left")
        source._fail(NotMatched("no alignment"))
        assert source.spent == ("no alignment" if live else "no tags left")


def test_a_recording_that_has_hardly_begun_is_not_used_yet(tmp_path: Path) -> None:
    # By its first bytes it is told apart; of fewer, it would be another tomorrow.
    few = np.array([1, 2], np.int64), np.array([1, 2], np.int32)
    written(tmp_path / "a", about(live=True), *few)
    with pytest.raises(TagsUnreadable, match="65,536 bytes before a recording that is still"):
        link(tmp_path / "a", tmp_path / "state")
