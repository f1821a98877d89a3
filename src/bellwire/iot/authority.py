"""An authority for devices and clouds, kept in a folder: it certifies public keys, and takes back.

A cloud that trusts an authority needs no file for each device; a device that does, no word of mouth
about each cloud. The authority's seeds rest in one 0600 file, or wrapped (`keeping`), and are
never on a device or cloud.
The list of what was taken back is a signed file that every cloud gets a copy of.
"""

import contextlib
import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bellwire.base.clock import Clock, system_clock
from bellwire.base.decoding import UNDECODABLE
from bellwire.base.lock import held
from bellwire.base.private import own_folder, unusable, write_whole
from bellwire.base.secret import Secret
from bellwire.channel.certificates import (
    SERIAL_BYTES,
    Certificate,
    RevocationList,
    Role,
    read_certificate,
    read_revoked,
)
from bellwire.crypto import ed25519, signatures
from bellwire.crypto.composite import CompositeKey, CompositePublicKey
from bellwire.crypto.kek.envelope import Wrapped
from bellwire.crypto.kek.record import MAX_SECRET_BYTES, MIN_SECRET_BYTES
from bellwire.crypto.kek.source import KekSource
from bellwire.iot.errors import IdentityError
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.keeping import SETTING, unlock
from bellwire.iot.trust_files import MAX_LIST_BYTES, PublicFile, read_public_bytes

FOLDER: Final = "device-ca"
"""Where the authority of a state folder is."""

PUBLIC_FILE: Final = "authority.pub"
REVOKED_FILE: Final = "revoked.list"

# Two that revoke at once would each write the list without the other's.
_LOCK_FILE: Final = "revoked.lock"

Algorithms = Literal["both", "ed25519", "ml-dsa-65"]

_Seed = Annotated[bytes, Meta(min_length=32, max_length=32)]


class _Seeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ed25519: _Seed | None
    ml_dsa_65: _Seed | None


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
        self.revoke_serials([certificate.serial])
        return certificate

    def revoke_serials(self, serials: Collection[bytes]) -> None:
        """Take certificates back by their serials, and write the new list, if any is not in it.

        Raises:
            ChannelMisuse: the list would be too long.
            CertificateRefused: the kept list is not this authority's.
            PathUnusable: the list cannot be read, locked or written.
        """
        lock = self.folder / _LOCK_FILE
        with contextlib.ExitStack() as holding:
            try:
                holding.enter_context(held(lock, wait=True))
            except OSError as error:
                raise unusable(lock, error) from error
            kept = self.revoked()
            if not kept.serials.issuperset(serials):
                self._write(kept.number + 1, kept.serials.union(serials))

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
    public = PublicFile("authority", authority.public.ed25519, authority.public.ml_dsa_65)
    write_whole(folder / PUBLIC_FILE, msgspec.json.encode(public) + b"\n", 0o644, replace=True)
    authority._write(1, frozenset())
    return authority
