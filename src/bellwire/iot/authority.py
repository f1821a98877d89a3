"""An authority for devices and clouds, kept in a folder: it certifies public keys, and takes back.

A cloud that trusts an authority needs no file for each device; a device that does, no word of mouth
about each cloud. The authority's seeds rest in one 0600 file, or wrapped (`keeping`), and are
never on a device or cloud.
The list of what was taken back is a signed file that every cloud gets a copy of.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bellwire.base.clock import Clock, system_clock
from bellwire.base.decoding import UNDECODABLE
from bellwire.base.private import own_folder, write_whole
from bellwire.base.secret import Secret
from bellwire.channel.certificates import (
    MAX_CERTIFICATE_BYTES,
    MAX_REVOKED,
    SERIAL_BYTES,
    Certificate,
    RevocationList,
    Role,
    Trust,
    read_certificate,
    read_revoked,
)
from bellwire.channel.errors import CertificateRefused
from bellwire.crypto import ed25519, signatures
from bellwire.crypto.composite import CompositeKey, CompositePublicKey
from bellwire.crypto.kek.envelope import Wrapped
from bellwire.crypto.kek.record import MAX_SECRET_BYTES, MIN_SECRET_BYTES
from bellwire.crypto.kek.source import KekSource
from bellwire.iot.errors import IdentityError
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.keeping import SETTING, unlock
from bellwire.iot.seen_list import SeenList

PUBLIC_FILE: Final = "authority.pub"
REVOKED_FILE: Final = "revoked.list"
MAX_PUBLIC_FILE: Final = 8192
MAX_LIST_BYTES: Final = 4096 + SERIAL_BYTES * MAX_REVOKED

Algorithms = Literal["both", "ed25519", "ml-dsa-65"]

_Seed = Annotated[bytes, Meta(min_length=32, max_length=32)]


class _Seeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ed25519: _Seed | None
    ml_dsa_65: _Seed | None


class _PublicFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["authority"]
    ed25519: Annotated[bytes, Meta(min_length=32, max_length=32)] | None
    ml_dsa_65: Annotated[bytes, Meta(min_length=1952, max_length=1952)] | None


def _random_seeds(algorithms: Algorithms) -> bytes:
    return msgspec.json.encode(
        _Seeds(
            None if algorithms == "ml-dsa-65" else os.urandom(ed25519.SEED_BYTES),
            None if algorithms == "ed25519" else os.urandom(signatures.SEED_BYTES),
        )
    )


SEEDS: Final = Wrapped(
    what="authority's seeds",
    form="bellwire wrapped identity 1",
    file="authority.wrapped",
    bare="authority.seeds",
    setting=SETTING,
    sizes=(MIN_SECRET_BYTES, MAX_SECRET_BYTES),
    make=lambda: _random_seeds("both"),
)
"""What an authority signs with."""

_seeds = msgspec.json.Decoder(_Seeds)
_public = msgspec.json.Decoder(_PublicFile)


class Authority:
    """An authority, opened; `load` or `create` gives one.

    Args:
        folder: Where it is.
        seeds: What it signs with; wiped.
        clock: Seconds since the epoch.

    Raises:
        IdentityError: these are no seeds.
    """

    def __init__(self, folder: Path, seeds: Secret, *, clock: Clock = system_clock) -> None:
        self.folder = folder
        self._clock = clock
        try:
            found = _seeds.decode(seeds.reveal())
        except UNDECODABLE:
            # Not its words: they may show what it read.
            raise IdentityError(f"expected an authority's seeds in {folder}, got other data") from (
                None
            )
        finally:
            seeds.wipe()
        self._key = CompositeKey(
            None if found.ed25519 is None else ed25519.Ed25519Key(found.ed25519),
            None if found.ml_dsa_65 is None else signatures.SigningKey(found.ml_dsa_65),
        )

    @property
    def public(self) -> CompositePublicKey:
        """Its public key."""
        return self._key.public

    def issue(self, end: PublicIdentity, days: float) -> bytes:
        """A certificate for an end's public key, valid from now on.

        Raises:
            IdentityError: the days are not between 0 and 36,500.
        """
        if not 0 < days <= 36_500:
            raise IdentityError(f"expected more than 0 and at most 36500 days, got {days:g}")
        now = int(self._clock())
        return Certificate(
            Role[end.role.upper()],
            os.urandom(SERIAL_BYTES),
            now,
            now + max(1, round(days * 86_400)),
            end.name,
            end.public,
        ).sign(self._key)

    def revoke(self, data: bytes, role: Role) -> Certificate:
        """Take a certificate back, and write the new list.

        Raises:
            CertificateRefused: it is none of this authority, or the kept list is not.
            PathUnusable: the list cannot be written.
        """
        certificate = read_certificate(data, self.public, role)
        kept = self.revoked()
        if certificate.serial not in kept.serials:
            self._write(kept.number + 1, kept.serials | {certificate.serial})
        return certificate

    def revoked(self) -> RevocationList:
        """The list as it is now."""
        data = read_public_bytes(self.folder / REVOKED_FILE, MAX_LIST_BYTES)
        return read_revoked(data, self.public)

    def _write(self, number: int, serials: frozenset[bytes]) -> None:
        signed = RevocationList(number, int(self._clock()), serials).sign(self._key)
        write_whole(self.folder / REVOKED_FILE, signed, 0o644, replace=True)


def is_authority(folder: Path) -> bool:
    """Whether a folder has an authority's seeds."""
    return any((folder / name).exists() for name in (SEEDS.file, SEEDS.bare))


def load(
    folder: Path, protection: KekSource | None = None, *, clock: Clock = system_clock
) -> Authority:
    """Open an authority.

    Args:
        folder: Where it is.
        protection: What wraps its seeds; None: nothing.
        clock: Seconds since the epoch.

    Raises:
        IdentityError: there is none, or its files are malformed.
        KekRefused, KekUnusable, KekUnavailable: its seeds do not open.
        PathUnusable, PathExposed: the folder cannot be used.
    """
    own_folder(folder)
    seeds = unlock(folder, SEEDS, protection, fresh=False) if is_authority(folder) else None
    if seeds is None:
        raise IdentityError(
            f"expected an authority in {folder}, got none",
            hint="Make one: bellwire device ca init",
        )
    return Authority(folder, seeds, clock=clock)


def create(
    folder: Path,
    algorithms: Algorithms,
    protection: KekSource | None = None,
    *,
    clock: Clock = system_clock,
) -> Authority:
    """Make an authority: its seeds, its public key, and an empty list of what was taken back.

    Raises:
        IdentityError: there is one already.
        KekUnusable, KekUnavailable: `protection` cannot wrap its seeds.
        PathUnusable, PathExposed: the folder cannot be used.
    """
    own_folder(folder)
    if is_authority(folder):
        raise IdentityError(f"expected no authority in {folder}, got one")
    made = replace(SEEDS, make=lambda: _random_seeds(algorithms))
    seeds = unlock(folder, made, protection, fresh=True)
    assert seeds is not None
    authority = Authority(folder, seeds, clock=clock)
    public = _PublicFile("authority", authority.public.ed25519, authority.public.ml_dsa_65)
    write_whole(folder / PUBLIC_FILE, msgspec.json.encode(public) + b"\n", 0o644, replace=True)
    authority._write(1, frozenset())
    return authority


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
