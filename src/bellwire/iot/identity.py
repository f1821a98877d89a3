"""Who a device and a cloud are: private keys in files of their owner's, public keys to exchange.

A private key is its X-Wing seed, made at the first start, in a 0600 file or wrapped (`keeping`).
A public key is a small JSON file that says whose it is; its role keeps a cloud's key from being
enrolled as a device's. Enrolment is the exchange of these files: the cloud's becomes the device's
pin, the device's goes into the cloud's folder `allowed`.
"""

import os
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bellwire.base.clock import Clock, system_clock
from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import BellwireError
from bellwire.base.private import own_folder, sync_folder, unusable, write_whole
from bellwire.base.secret import Secret
from bellwire.channel.handshake import fingerprint
from bellwire.crypto.kek.envelope import Wrapped
from bellwire.crypto.kek.source import KekSource
from bellwire.crypto.kem import (
    PUBLIC_BYTES,
    SEED_BYTES,
    XWingPrivateKey,
    XWingPublicKey,
    check_public,
)
from bellwire.iot.errors import IdentityError
from bellwire.iot.keeping import SETTING, unlock

Role = Literal["device", "cloud"]

SEED_FILE: Final = "identity.seed"
PIN_FILE: Final = "cloud.pin"
ALLOWED_FOLDER: Final = "allowed"
MAX_KEY_FILE: Final = 8192
MAX_ALLOWED: Final = 10_000
LOOK_AGAIN_S: Final = 1.0
SETTLED_S: Final = 0.1

IDENTITY: Final = Wrapped(
    what="identity key",
    form="bellwire wrapped identity 1",
    file="identity.wrapped",
    bare=SEED_FILE,
    setting=SETTING,
    sizes=(SEED_BYTES, SEED_BYTES),
    make=lambda: os.urandom(SEED_BYTES),
)
"""The seed of a device's or a cloud's X-Wing key."""


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    name: Annotated[str, Meta(min_length=1, max_length=60)]
    kem: Literal["X-Wing"]
    public: Annotated[bytes, Meta(min_length=PUBLIC_BYTES, max_length=PUBLIC_BYTES)]


_decoder = msgspec.json.Decoder(_KeyFile)


@dataclass(frozen=True)
class PublicIdentity:
    """A public key and whose it is; `public` is 1216 bytes."""

    role: Role
    name: str
    public: bytes

    def __repr__(self) -> str:
        return f"PublicIdentity({self.role} {self.name!r}, {self.fingerprint.hex()[:16]}…)"

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the public key: the end's id, 32 bytes."""
        return fingerprint(self.public)

    @cached_property
    def key(self) -> XWingPublicKey:
        """The public key, read when it is first used and kept, for who calls this end often.

        Raises:
            KemRefused: it is malformed.
        """
        return XWingPublicKey(self.public)


def load_or_create(
    folder: Path, protection: KekSource | None = None, *, public_file: str = ""
) -> XWingPrivateKey:
    """The identity key of a state folder, made at the first call.

    Args:
        folder: The state folder.
        protection: What wraps the key; None: nothing.
        public_file: Where its public key is written: where that is, and the wrapped key is not,
            no new one is made.

    Raises:
        PathUnusable: folder or file cannot be used.
        PathExposed: others may read them.
        IdentityError: the file is not a seed.
        KekRefused, KekUnusable, KekUnavailable: the key does not open.
    """
    fresh = protection is None or not (public_file and (folder / public_file).exists())
    seed = unlock(folder, IDENTITY, protection, fresh=fresh) or Secret(b"")
    if len(seed) != SEED_BYTES:
        path = folder / SEED_FILE
        raise IdentityError(f"expected a seed of {SEED_BYTES} bytes in {path}, got another length")
    try:
        return XWingPrivateKey.from_seed(seed.reveal())
    finally:
        seed.wipe()


def write_public(path: Path, identity: PublicIdentity) -> None:
    """Write a public key file, in the place of one that is there.

    Raises:
        PathUnusable: it cannot be written.
        IdentityError: the name is not of 1 to 60 characters.
    """
    document = _KeyFile(identity.role, identity.name, "X-Wing", identity.public)
    encoded = msgspec.json.encode(document)
    try:
        _decoder.decode(encoded)
    except UNDECODABLE as error:
        raise IdentityError(f"expected a name of 1 to 60 characters, got: {error}") from error
    write_whole(path, encoded + b"\n", 0o644, replace=True)


def read_public(path: Path, role: Role) -> PublicIdentity:
    """Read the public key file of a device or a cloud.

    Raises:
        IdentityError: missing, malformed, of the other role, or its key is malformed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise IdentityError(
            f"expected the public key of a {role} at {path}, got: {error.strerror}",
            hint="A cloud writes its public key at its first start; a device, when it is enrolled.",
        ) from error
    try:
        found = _decoder.decode(data)
        check_public(found.public)
    except (*UNDECODABLE, BellwireError) as error:
        raise IdentityError(f"expected the public key of a {role} in {path}: {error}") from error
    if found.role != role:
        raise IdentityError(f"expected the public key of a {role} in {path}, got a {found.role}'s")
    return PublicIdentity(found.role, found.name, found.public)


class AllowList:
    """The devices that a cloud admits: the public key files in a folder, read when they change.

    A file that comes or goes counts at once. One that is changed where it lies counts within a
    second: looking at every file for every device that connects would be a cloud's whole work.

    Args:
        folder: Of the key files; made if it is missing.
        clock: Seconds since the epoch.
    """

    def __init__(self, folder: Path, *, clock: Clock = system_clock) -> None:
        self._folder = own_folder(folder)
        self._clock = clock
        self._seen: dict[Path, tuple[int, int, PublicIdentity | None]] = {}
        self._admitted: dict[bytes, PublicIdentity] = {}
        self._looked: tuple[int, float] | None = None
        self._looking = threading.Lock()
        self.refused: dict[Path, str] = {}

    def load(self) -> dict[bytes, PublicIdentity]:
        """Admitted devices by fingerprint; a file that cannot be used is listed in `refused`.

        Of several threads that ask at once, one looks, and all get what it found.
        """
        with self._looking:
            return self._load()

    def remove(self, device: bytes) -> bool:
        """Take a device off the list, durably; whether it was on it.

        Args:
            device: Its fingerprint.

        Raises:
            PathUnusable: its file cannot be removed.
        """
        with self._looking:
            self._looked = None
            self._load()
            files = [
                path
                for path, (_, _, identity) in self._seen.items()
                if identity is not None and identity.fingerprint == device
            ]
            for path in files:
                try:
                    path.unlink(missing_ok=True)
                    sync_folder(self._folder)
                except OSError as error:
                    raise unusable(path, error) from error
            self._looked = None
        return bool(files)

    def _load(self) -> dict[bytes, PublicIdentity]:
        now, changed = self._clock(), self._folder.stat().st_mtime_ns
        if self._looked is not None and self._looked[0] == changed:
            # File times are coarse: a change just after a look may bear the time of the look.
            settled = self._looked[1] - changed / 1e9 > SETTLED_S
            if settled and 0 <= now - self._looked[1] < LOOK_AGAIN_S:
                return self._admitted
        self._admitted = self._look()
        self._looked = (changed, now)
        return self._admitted

    def _look(self) -> dict[bytes, PublicIdentity]:
        seen: dict[Path, tuple[int, int, PublicIdentity | None]] = {}
        self.refused = {}
        for path in sorted(self._folder.glob("*.pub"))[:MAX_ALLOWED]:
            try:
                found = path.stat()
            except OSError as error:
                self.refused[path] = f"expected a key file at {path}, got: {error.strerror}"
                continue
            known = self._seen.get(path)
            if known is None or known[:2] != (found.st_mtime_ns, found.st_size) or not known[2]:
                known = (found.st_mtime_ns, found.st_size, self._read(path))
            seen[path] = known
        self._seen = seen
        devices = [identity for _, _, identity in seen.values() if identity is not None]
        return {identity.fingerprint: identity for identity in devices}

    def _read(self, path: Path) -> PublicIdentity | None:
        try:
            return read_public(path, "device")
        except IdentityError as error:
            self.refused[path] = str(error)
            return None
