"""Whose certificates count: an authority's public key, and its list of what it took back, as files.

What signs them: `bellwire.iot.authority`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bellwire.base.clock import system_clock
from bellwire.base.decoding import UNDECODABLE
from bellwire.channel.certificates import (
    MAX_CERTIFICATE_BYTES,
    MAX_REVOKED,
    SERIAL_BYTES,
    RevocationList,
    Role,
    Trust,
    read_revoked,
)
from bellwire.channel.errors import CertificateRefused
from bellwire.crypto.composite import CompositePublicKey
from bellwire.iot.errors import IdentityError
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.seen_list import SeenList

MAX_PUBLIC_FILE: Final = 8192
MAX_LIST_BYTES: Final = 4096 + SERIAL_BYTES * MAX_REVOKED


class PublicFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An authority's public key, as JSON."""

    role: Literal["authority"]
    ed25519: Annotated[bytes, Meta(min_length=32, max_length=32)] | None
    ml_dsa_65: Annotated[bytes, Meta(min_length=1952, max_length=1952)] | None


_public = msgspec.json.Decoder(PublicFile)


def read_public_bytes(path: Path, limit: int) -> bytes:
    """A public file of at most `limit` bytes; IdentityError if it is missing or longer."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise IdentityError(f"expected a file at {path}, got: {error.strerror}") from error
    if len(data) > limit:
        raise IdentityError(f"expected at most {limit:,} bytes in {path}, got more")
    return data


def read_authority(path: Path) -> CompositePublicKey:
    """An authority's public key file; IdentityError if it is missing or malformed."""
    try:
        found = _public.decode(read_public_bytes(path, MAX_PUBLIC_FILE))
    except UNDECODABLE as error:
        raise IdentityError(
            f"expected the public key of an authority in {path}: {error}"
        ) from error
    if found.ed25519 is None and found.ml_dsa_65 is None:
        raise IdentityError(f"expected a key in {path}, got none")
    return CompositePublicKey(found.ed25519, found.ml_dsa_65)


def certified(
    path: Path, authority: CompositePublicKey, role: Role, *, now: float
) -> tuple[bytes, PublicIdentity]:
    """A certificate's file, and the end that it names.

    Raises:
        IdentityError: it is missing, or too long.
        CertificateRefused: it is malformed, another's, of another role, or not valid now.
    """
    data = read_public_bytes(path, MAX_CERTIFICATE_BYTES)
    found = Trust(authority).check(data, role, now)
    name: Literal["device", "cloud"] = "device" if role is Role.DEVICE else "cloud"
    return data, PublicIdentity(name, found.name, found.public)


@dataclass
class _Read:
    stamp: tuple[int, int] | None = None
    list: RevocationList | None = None


class TrustFiles:
    """Whose certificates a cloud takes; the list of revoked ones is read again when it changes.

    While the list cannot be read, is not the authority's, or is older than one that was read
    before, no certificate counts.

    Args:
        authority: File of the authority's public key.
        revoked: File of its list.
        seen: File of the newest list's number, which is then not forgotten; None: it is.
        clock: Seconds since the epoch.

    Raises:
        IdentityError: the authority's file is missing or malformed.
        CertificateRefused: the list is not the authority's.
    """

    def __init__(
        self,
        authority: Path,
        revoked: Path,
        *,
        seen: Path | None = None,
        clock: Callable[[], float] = system_clock,
    ) -> None:
        self._authority = read_authority(authority)
        self._path = revoked
        self._clock = clock
        self._read = _Read()
        self._seen = None if seen is None else SeenList(seen, self._authority.fingerprint)
        self._current()

    def check(self, data: bytes, role: Role = Role.DEVICE) -> PublicIdentity:
        """The device or cloud that a certificate names, if the certificate holds now.

        Raises:
            CertificateRefused: it does not, or there is no list to say so.
        """
        try:
            revoked = self._current().serials
        except IdentityError as error:
            raise CertificateRefused(f"no certificate counts: {error}") from error
        found = Trust(self._authority, revoked).check(data, role, self._clock())
        name: Literal["device", "cloud"] = "device" if role is Role.DEVICE else "cloud"
        return PublicIdentity(name, found.name, found.public)

    def stamp(self) -> tuple[int, int] | None:
        """What changes when the list is written anew; None while it is missing."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _current(self) -> RevocationList:
        try:
            status = self._path.stat()
        except OSError as error:
            raise IdentityError(
                f"expected a list of revoked certificates at {self._path}, got: {error.strerror}"
            ) from error
        stamp = (status.st_mtime_ns, status.st_ino)
        known = self._read.list
        if known is not None and stamp == self._read.stamp:
            return known
        found = read_revoked(read_public_bytes(self._path, MAX_LIST_BYTES), self._authority)
        before = known.number if known is not None else self._seen.number() if self._seen else 0
        if found.number < before:
            raise CertificateRefused(
                f"expected list {before} of revoked certificates or a later one, got {found.number}"
            )
        if self._seen is not None and found.number > before:
            self._seen.keep(found.number)
        self._read = _Read(stamp, found)
        return found
