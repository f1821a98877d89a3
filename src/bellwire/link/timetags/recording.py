"""What a folder of time tags says of itself: `tags.toml`, one site's channels and clock.

A folder belongs to one site. What is written here decides what a channel's click means, so every
value is bounded, every name known, and every channel of the protocol there.
"""

import tomllib
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bellwire.base.detections import Protocol, Side
from bellwire.link.errors import ParameterError, TagsUnreadable

ABOUT = "tags.toml"
MAX_ABOUT_BYTES = 1 << 16
MAX_CHANNEL = 999
PROTOCOLS = (Protocol.BBM92, Protocol.E91)
"""Of pairs; in BB84 Alice prepares and has no detections to record."""

SITES = {"a": Side.ALICE, "b": Side.BOB}


class TagFormat(StrEnum):
    """How the tags lie in their file (spec/time-tags.md)."""

    BELLWIRE = "bellwire"
    SWABIAN = "swabian-dump"
    QUTOOLS = "qutools-binary"
    QUTOOLS_RAW = "qutools-raw"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Channel:
    """One detector.

    Attributes:
        number: Its channel in the file, 0 … 999.
        setting: Of the protocol, 0-based.
        outcome: 0 or 1.
        delay_ps: Later than the earliest detector of the site by so much, ps; taken off its times.
    """

    number: Annotated[int, Meta(ge=0, le=MAX_CHANNEL)]
    setting: Annotated[int, Meta(ge=0, le=2)]
    outcome: Annotated[int, Meta(ge=0, le=1)]
    delay_ps: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The content of `tags.toml`.

    Attributes:
        version: Of this format, 1.
        site: `a` is Alice's, `b` is Bob's.
        protocol: `bbm92` or `e91`.
        generated: True if a program made the tags.
        format: How the tags lie in the file.
        file: Its name, in the same folder.
        channels: All detectors, one for each setting and outcome.
        ignore: Channels of the file that are no detectors (a trigger, a clock).
        unit_ps: Length of the file's unit of time, ps; 1 but for qutools' own units.
        window_ps: Width of the coincidence window, ps.
        search_s: How far the clocks may disagree, to either side, s.
        max_drift_ppm: How fast they may drift apart, parts per million.
        clock_zero_s: When this clock read zero, seconds since the epoch, if the site knows.
        live: Whether the file is still written: what is cut off at its end is yet to come.
    """

    version: Annotated[int, Meta(ge=1, le=1)]
    site: Annotated[str, Meta(pattern="^[ab]$")]
    protocol: Protocol
    generated: bool
    format: TagFormat
    file: Annotated[str, Meta(min_length=1, max_length=200)]
    channels: Annotated[tuple[Channel, ...], Meta(min_length=4, max_length=6)]
    ignore: Annotated[
        tuple[Annotated[int, Meta(ge=-MAX_CHANNEL, le=MAX_CHANNEL)], ...], Meta(max_length=64)
    ] = ()
    unit_ps: Annotated[float, Meta(gt=0.0, le=1e6)] = 1.0
    window_ps: Annotated[int, Meta(ge=2, le=1_000_000)] = 1_000
    search_s: Annotated[float, Meta(gt=0.0, le=60.0)] = 2.0
    max_drift_ppm: Annotated[float, Meta(gt=0.0, le=1_000.0)] = 50.0
    clock_zero_s: Annotated[float, Meta(ge=0.0, le=1e11)] = 0.0
    live: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol: expected bbm92 or e91, got {self.protocol}")
        if Path(self.file).name != self.file or self.file in {".", "..", ABOUT}:
            raise ValueError("file: expected the name of a file beside tags.toml")
        if not self.unit_ps < float("inf"):
            raise ValueError("unit_ps: expected a finite number")
        if self.unit_ps != 1.0 and self.format not in {TagFormat.QUTOOLS, TagFormat.QUTOOLS_RAW}:
            raise ValueError(f"unit_ps: expected 1 in the format {self.format}, whose unit is 1 ps")
        numbers = [each.number for each in self.channels]
        if len({*numbers, *self.ignore}) != len(numbers) + len(self.ignore):
            raise ValueError("channels: expected every number once, and none that is ignored")
        meant = {(each.setting, each.outcome) for each in self.channels}
        needed = {(s, o) for s in range(self.protocol.settings) for o in (0, 1)}
        if meant != needed or len(numbers) != len(needed):
            raise ValueError(
                f"channels: expected one for each of {self.protocol.settings} settings and "
                f"outcomes 0 and 1 of {self.protocol}"
            )

    def checked(self) -> "About":
        """Itself, if every value is in its range, as of a file; ValueError else."""
        return msgspec.convert(msgspec.to_builtins(self), About)

    @property
    def side(self) -> Side:
        """Whose tags these are."""
        return SITES[self.site]

    @property
    def spread_ps(self) -> int:
        """How much later the latest detector is than the earliest, ps."""
        return max(each.delay_ps for each in self.channels)


@dataclass(frozen=True, slots=True)
class Recording:
    """A site's folder of time tags, its `tags.toml` read and checked."""

    folder: Path
    about: About

    @property
    def path(self) -> Path:
        """The file of tags."""
        return self.folder / self.about.file

    @classmethod
    def load(cls, folder: Path) -> "Recording":
        """Read `tags.toml` in a folder.

        Raises:
            TagsUnreadable: there is none, it is no TOML, a name is unknown or missing, a value is
                out of range.
        """
        path = folder / ABOUT
        try:
            with path.open("rb") as file:
                content = file.read(MAX_ABOUT_BYTES + 1)
        except OSError as error:
            raise TagsUnreadable(
                path, None, f"expected the description of a recording, got {error.strerror}"
            ) from None
        if len(content) > MAX_ABOUT_BYTES:
            raise TagsUnreadable(path, None, f"expected at most {MAX_ABOUT_BYTES} bytes, got more")
        try:
            document = tomllib.loads(content.decode())
            _check_names(document)
            about = msgspec.convert(document, About)
        except (ValueError, RecursionError) as error:
            raise TagsUnreadable(path, None, str(error)) from None
        return cls(folder, about)

    def save(self) -> None:
        """Write `tags.toml`.

        Raises:
            TagsUnreadable: it cannot be written.
        """
        values = asdict(self.about)
        channels = values.pop("channels")
        lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
        for channel in channels:
            lines += ["", "[[channels]]", *(f"{k} = {_toml(v)}" for k, v in channel.items())]
        path = self.folder / ABOUT
        try:
            path.write_text("\n".join(lines) + "\n")
        except OSError as error:
            raise TagsUnreadable(path, None, f"cannot be written: {error.strerror}") from error


def detectors(protocol: Protocol) -> tuple[Channel, ...]:
    """Channels from 1: setting 0 with outcomes 0 and 1, then setting 1, and so on.

    Raises:
        ParameterError: a protocol that has no pairs.
    """
    if protocol not in PROTOCOLS:
        raise ParameterError("protocol", "one of bbm92, e91 (both sides detect)", protocol)
    return tuple(
        Channel(1 + 2 * setting + outcome, setting, outcome)
        for setting in range(protocol.settings)
        for outcome in (0, 1)
    )


def _check_names(document: dict[str, Any]) -> None:
    """ValueError for a name that is none: a misspelt window is a window that does not hold."""
    known = set(About.__dataclass_fields__)
    unknown = [name for name in document if name not in known]
    for channel in document.get("channels", ()):
        if isinstance(channel, dict):
            unknown += [name for name in channel if name not in Channel.__dataclass_fields__]
    if unknown:
        raise ValueError(f"unknown name: {unknown[0]!r:.60}")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return repr(value)
