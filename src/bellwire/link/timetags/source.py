"""A node's light from a recording: the next stretch of its own folder's tags, each used once.

How far a recording is used is kept beside the node's other state, durably, before a block's half is
handed over. It is told apart by the first of its bytes, wherever it lies: the same photons under
another name are the same photons.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.detections import Protocol
from bellwire.base.matching import NotMatched
from bellwire.base.private import PathUnusable, read_own_file, write_whole
from bellwire.crypto.stream import SEED_BYTES
from bellwire.link.config import check_pulses
from bellwire.link.errors import ParameterError, TagsUnreadable, TagsUsedUp
from bellwire.link.kernels.tags import first_fall, group, match, parse_csv
from bellwire.link.timetags.alignment import Search, align, followed
from bellwire.link.timetags.events import EventBuffer, Position, read_events
from bellwire.link.timetags.following import Follower
from bellwire.link.timetags.matching import Matched, Stretch, TagMatching
from bellwire.link.timetags.reader import Place
from bellwire.link.timetags.recording import Recording

FINGERPRINT_BYTES = 1 << 16
MAX_USES_BYTES = 1 << 20
PREFIX = "timetags:"


def folder_of(source: str) -> Path | None:
    """DIR of the setting `timetags:DIR`; None of any other."""
    return Path(source.removeprefix(PREFIX)) if source.startswith(PREFIX) else None


class Uses:
    """The file that says how far each recording was used.

    Args:
        path: Of the file, in the node's folder; made when a recording is first used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def position(self, fingerprint: str) -> Position:
        """Where a recording's unused tags begin.

        Raises:
            PathUnusable, PathExposed: the file cannot be read, or is not what we left there.
        """
        known = self._read().get(fingerprint)
        if known is None:
            return Position()
        return Position(Place(known.byte, known.record), known.after_ps)

    def burn(self, fingerprint: str, position: Position) -> None:
        """All before a position is used; durable when it returns; errors as `position`."""
        place = position.place
        uses = self._read() | {fingerprint: _Use(place.byte, place.record, position.after_ps)}
        content = json.dumps({name: msgspec.to_builtins(use) for name, use in uses.items()})
        write_whole(self._path, content.encode(), replace=True)

    def _read(self) -> "dict[str, _Use]":
        content = read_own_file(self._path, MAX_USES_BYTES)
        if content is not None and content.startswith(b'{"restored"'):
            raise PathUnusable(
                "expected to know how far recordings were used, got a node that was restored from "
                "a backup",
                hint=f"Take new recordings, never one from before, and remove {self._path}.",
            )
        try:
            return {} if content is None else msgspec.json.decode(content, type=dict[str, _Use])
        except UNDECODABLE as error:
            # To begin anew would use tags twice.
            raise PathUnusable(
                f"expected how far recordings were used in {self._path}, got: {error}"
            ) from None


class _Use(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    byte: int
    record: int
    after_ps: int


class TimeTagLink:
    """One site's recording as a node's source of halves (`node.classical.Link`).

    Args:
        recording: This site's own folder.
        uses: How far recordings were used.
        told: Called with what each block found.
        ended: Called once, with the reason, when no further block can come.

    Attributes:
        spent: Why no further block can come, or None.

    Raises:
        TagsUnreadable: the file of tags cannot be read, or its beginning is none.
    """

    def __init__(
        self,
        recording: Recording,
        uses: Uses,
        told: Callable[[Matched], None],
        ended: Callable[[str], None],
    ) -> None:
        self._recording = recording
        self._uses = uses
        self._told = told
        self._ended = ended
        self._follower = Follower()
        self._fingerprint = _fingerprint(recording)
        next(read_events(recording, Position(), bytes(32), chunk=1024), None)
        self.spent: str | None = None

    async def block(
        self, ticket: bytes, protocol: Protocol, pulses: int, choice_seed: bytes
    ) -> TagMatching:
        """The next stretch of tags, to be matched with the peer's.

        Args:
            ticket: The block's name; the peer's stretch is found by its times instead.
            protocol: Must be the recording's.
            pulses: Coincidences of the block at most, 1 … 2²⁷.
            choice_seed: 32 bytes, this side's alone: decides between tags of one event. Secret.

        Raises:
            ParameterError: another protocol than the recording's, or pulses.
            ValueError: the seed is not 32 bytes.
            PathUnusable, PathExposed: of the file that says how far the recording was used.
        """
        about = self._recording.about
        if protocol is not about.protocol:
            raise ParameterError("protocol", f"{about.protocol} of the time tags", protocol)
        if len(choice_seed) != SEED_BYTES:
            raise ValueError(f"expected a seed of {SEED_BYTES} bytes, got {len(choice_seed)}")
        position = self._uses.position(self._fingerprint)
        events = EventBuffer(read_events(self._recording, position, choice_seed))
        stretch = Stretch(about, events, check_pulses(pulses), self._burn, self._told, self._fail)
        return TagMatching(stretch, self._follower)

    def _burn(self, position: Position) -> None:
        self._uses.burn(self._fingerprint, position)

    def _fail(self, error: NotMatched) -> None:
        yet_to_come = self._recording.about.live and isinstance(error, TagsUsedUp)
        if self.spent is None and not yet_to_come:
            self.spent = str(error)
            self._ended(self.spent)


def _fingerprint(recording: Recording) -> str:
    try:
        with recording.path.open("rb") as file:
            first = file.read(FINGERPRINT_BYTES)
    except OSError as error:
        raise TagsUnreadable(
            recording.path, None, f"cannot be read: {error.strerror or error}"
        ) from None
    if recording.about.live and len(first) < FINGERPRINT_BYTES:
        # What is told apart by its first bytes must have them, or it would be another later.
        raise TagsUnreadable(
            recording.path,
            f"byte {len(first)}",
            f"expected {FINGERPRINT_BYTES:,} bytes before a recording that is still written is "
            "used; start again in a while",
        )
    return hashlib.sha256(first).hexdigest()


def warm() -> None:
    """Have every kernel of the tags compiled, or loaded: the peer's patience is for light."""
    times = np.arange(4_000, dtype=np.int64) ** 2 * 1_000
    search = Search(0, 10**6, 1e-6, 1_000)
    followed(times, times, align(times, times, search).clock, 1_000)
    out: dict[str, Any] = {name: np.empty_like(times) for name in ("first", "second")}
    match(times, times, 500, out["first"], out["second"])
    first_fall(times, 0)
    group(times, 1_000, out["first"])
    text = np.frombuffer(b"1,1\n", np.uint8)
    parse_csv(text, out["first"], np.empty(1, np.int32), out["second"])
