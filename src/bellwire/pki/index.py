"""What a site's authority has done, one entry a line: the only truth about its certificates.

Entries are appended, never changed. An entry is durable before what it tells of leaves the
authority, so a certificate that is not in the index is nobody's. A line that a crash cut short is
no entry; the next writer removes it. Readers take whole lines only, so they may read while another
process writes; a line that is whole and no entry means that somebody else wrote it, and nobody is
believed.
"""

import contextlib
import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from io import FileIO
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bellwire.base.private import own_file, unusable
from bellwire.pki.errors import AuthorityDamaged, AuthorityMissing

MAX_INDEX = 256 << 20
"""Bytes: some 700,000 certificates."""

MAX_LINE = 1 << 14

Hex = Annotated[str, Meta(pattern=r"\A[0-9a-f]{1,64}\Z")]
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Seconds = Annotated[int, Meta(ge=0, le=1 << 40)]
Generation = Annotated[int, Meta(ge=1, le=1 << 20)]


class Began(msgspec.Struct, frozen=True, tag="authority"):
    """The `generation`-th authority of this site signs from now on; others are believed until."""

    generation: Generation
    not_after: Seconds
    others_end: Seconds


class Issued(msgspec.Struct, frozen=True, tag="issued"):
    """A certificate was signed."""

    kind: Literal["sae", "kme"]
    name: Annotated[str, Meta(min_length=1, max_length=256)]
    serial: Hex
    fingerprint: Digest
    generation: Generation
    not_before: Seconds
    not_after: Seconds


class Revoked(msgspec.Struct, frozen=True, tag="revoked"):
    """A certificate is not believed any more."""

    serial: Hex
    at: Seconds


Entry = Began | Issued | Revoked


class State(StrEnum):
    """What a certificate is worth."""

    VALID = "valid"
    EARLY = "not valid yet"
    EXPIRED = "expired"
    REVOKED = "revoked"
    ENDED = "of an authority that ended"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that the authority signed; seconds since the epoch.

    Attributes:
        issued: What the index says of it.
        ends: When it ends: its own end, or that of trust in the authority that signed it.
        revoked_at: When it was revoked, else None.
    """

    issued: Issued
    ends: int
    revoked_at: int | None = None

    def state(self, now: float) -> State:
        """What it is worth at `now`."""
        if self.revoked_at is not None:
            return State.REVOKED
        if now < self.issued.not_before:
            return State.EARLY
        if now > self.issued.not_after:
            return State.EXPIRED
        return State.ENDED if now > self.ends else State.VALID


@dataclass(slots=True)
class Index:
    """All entries, taken in one after the other.

    Attributes:
        authorities: Per generation, until when it is believed.
        certificates: By fingerprint, in the order in which they were issued.
    """

    authorities: dict[int, int] = field(default_factory=dict)
    certificates: dict[bytes, Certificate] = field(default_factory=dict)
    _serials: dict[str, bytes] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        """The authority that signs; 0 if there is none yet."""
        return max(self.authorities, default=0)

    def take(self, entries: Iterable[Entry]) -> None:
        """Take entries in.

        Raises:
            AuthorityDamaged: one speaks of what is not there.
        """
        for entry in entries:
            try:
                self._take(entry)
            except KeyError as error:
                raise AuthorityDamaged("the index speaks of what it does not have") from error

    def find(self, serial: str) -> Certificate | None:
        """The certificate with a serial number, in lower-case hexadecimal without zeros ahead."""
        known = self._serials.get(serial)
        return None if known is None else self.certificates[known]

    def _take(self, entry: Entry) -> None:
        match entry:
            case Began():
                for generation, until in self.authorities.items():
                    self.authorities[generation] = min(until, entry.others_end)
                self.authorities[entry.generation] = entry.not_after
                for known, each in self.certificates.items():
                    ends = min(each.ends, entry.others_end)
                    self.certificates[known] = replace(each, ends=ends)
            case Issued():
                known = bytes.fromhex(entry.fingerprint)
                ends = min(entry.not_after, self.authorities[entry.generation])
                self.certificates[known] = Certificate(entry, ends)
                self._serials[entry.serial] = known
            case Revoked():
                known = self._serials[entry.serial]
                self.certificates[known] = replace(self.certificates[known], revoked_at=entry.at)


@dataclass(frozen=True, slots=True)
class Place:
    """How far an index was read: which file, and up to which byte."""

    file: int
    size: int


def read(path: Path, known: Place | None = None) -> tuple[list[Entry], Place]:
    """The entries behind `known`, all if that is None, and how far they reach.

    Raises:
        AuthorityMissing: there is no index.
        AuthorityDamaged: a line is no entry, or the file is not the one of `known`: read it anew.
        PathUnusable: it cannot be read.
    """
    start = 0 if known is None else known.size
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if known is not None and (found.st_ino != known.file or found.st_size < start):
                raise AuthorityDamaged(f"expected {path} to grow, got another file")
            if found.st_size > MAX_INDEX:
                raise AuthorityDamaged(f"expected at most {MAX_INDEX} bytes in {path}, got more")
            file.seek(start)
            data = file.read(found.st_size - start)
    except FileNotFoundError as error:
        raise AuthorityMissing(f"expected the index of an authority at {path}, got no file") from (
            error
        )
    except OSError as error:
        raise unusable(path, error) from error
    whole = data[: data.rfind(b"\n") + 1]
    return decode(whole, path), Place(found.st_ino, start + len(whole))


def append(path: Path, entries: Iterable[Entry]) -> None:
    """Append entries durably, all or none; the caller holds the authority's lock.

    Raises:
        PathUnusable, PathExposed: the file cannot be written; no entry counts.
    """
    own_file(path)
    lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
    try:
        with path.open("r+b", buffering=0) as file:
            end = _end_of_lines(file, path)
            file.truncate(end)  # what a crash cut short
            file.seek(end)
            try:
                _write(file, lines)
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
    except OSError as error:
        raise unusable(path, error) from error


def decode(lines: bytes, path: Path) -> list[Entry]:
    """Entries from whole lines.

    Raises:
        AuthorityDamaged: a line is no entry.
    """
    try:
        return [msgspec.json.decode(line, type=Entry) for line in lines.splitlines()]
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise AuthorityDamaged(f"expected entries of an authority in {path}, got others") from error


def _write(file: FileIO, lines: bytes) -> None:
    if file.write(lines) != len(lines):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _end_of_lines(file: FileIO, path: Path) -> int:
    start = max(0, file.seek(0, os.SEEK_END) - MAX_LINE)
    file.seek(start)
    found = file.read().rfind(b"\n")
    if found < 0 and start:
        raise AuthorityDamaged(f"expected lines of at most {MAX_LINE} bytes in {path}, got longer")
    return start + found + 1
