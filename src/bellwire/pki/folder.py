"""The folder of a site's authority: its index, its keys and its certificates, one writer at a time.

`ca-SITE`, open to its owner alone. What always holds: nothing counts before the index has it, and
that is durable; a crash at any point leaves the folder usable as it is.

Times are in whole seconds since the epoch.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bellwire.base.private import own_file, own_folder, read_own_file, unusable, write_whole
from bellwire.pki import index as entries
from bellwire.pki.certificates import Signer, end_of, key_pem, new_authority, pem, vouch
from bellwire.pki.errors import AuthorityDamaged, AuthorityMissing, LifetimeUnusable
from bellwire.pki.index import MAX_INDEX, Began, Entry, Index, Place

MAX_FILE = 1 << 20


def index_file(folder: Path) -> Path:
    """The index of the authority in `folder`."""
    return folder / "index.jsonl"


class AuthorityFolder:
    """What an authority keeps; errors are those of `authority.Authority`.

    Args:
        folder: As `authority.authority_folder` says.
        site: Name of the site, for people.
    """

    def __init__(self, folder: Path, site: str) -> None:
        self._folder = folder
        self._site = site
        self._index = Index()
        self._place: Place | None = None

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._folder

    @contextlib.contextmanager
    def locked(self, *, create: bool = False) -> Iterator[Index]:
        """Keep other writers out; the index as it is now, empty where `create` permits that."""
        if not create and not self._folder.exists():
            raise self._missing()
        own_folder(self._folder)
        lock = self._folder / "lock"
        own_file(lock)
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise unusable(lock, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                index = self.read()
            except AuthorityMissing:
                if not create:
                    raise
                self._forget()
                index = self._index
            yield index
        finally:
            os.close(descriptor)

    def read(self) -> Index:
        """The index as it is now; it goes on growing with what is read or appended later."""
        path = index_file(self._folder)
        try:
            try:
                found, place = entries.read(path, self._place)
            except AuthorityDamaged:
                if self._place is None:
                    raise
                self._forget()  # another file, or one brought back: all of it
                found, place = entries.read(path)
            self._index.take(found)
        except AuthorityMissing:
            raise self._missing() from None
        except AuthorityDamaged:
            self._forget()
            raise
        self._place = place
        if not self._index.generation:
            raise self._missing()
        return self._index

    def copy(self) -> dict[str, bytes]:
        """The files that make an authority, as they are at one moment; secrets among them.

        Certificate and key of the KME are not among them: it gets new ones at its next start.

        Raises:
            AuthorityMissing: there is no authority.
        """
        with self.locked() as index:
            paths = [index_file(self._folder), self._key_file(index.generation)]
            for generation in index.authorities:
                paths += [self._file(generation), self._file(generation, vouched=True)]
            found = {path.name: read_own_file(path, MAX_INDEX) for path in paths}
        return {name: content for name, content in found.items() if content is not None}

    def append(self, new: Iterable[Entry]) -> Index:
        """Append entries durably; the caller has the lock."""
        entries.append(index_file(self._folder), new)
        return self.read()

    def begin(self, index: Index, now: int, others_end: int) -> None:
        """Let a new authority sign from now on; the caller has the lock."""
        generation = index.generation + 1
        signer = new_authority(f"bellwire site {self._site[:20]} {generation}", now)
        write_whole(self._key_file(generation), key_pem(signer.key).reveal(), replace=True)
        write_whole(self._file(generation), pem([signer.certificate]), replace=True)
        if index.generation and now <= min(others_end, index.authorities[index.generation]):
            voucher = vouch(self.signer(index, now), signer, now)
            write_whole(self._file(generation, vouched=True), pem([voucher]), replace=True)
        self.append([Began(generation, end_of(signer.certificate), others_end)])
        with contextlib.suppress(OSError):
            self._key_file(generation - 1).unlink(missing_ok=True)

    def signer(self, index: Index, now: int) -> Signer:
        """The authority that signs.

        Raises:
            AuthorityDamaged: its private key cannot be read, or is another certificate's.
            LifetimeUnusable: its certificate has ended by `now`, in seconds since 1970.
        """
        path = self._key_file(index.generation)
        content = read_own_file(path, MAX_FILE)
        try:
            key = serialization.load_pem_private_key(content or b"", None)
        except (ValueError, TypeError) as error:
            raise AuthorityDamaged(f"expected the authority's private key in {path}") from error
        certificate = self.certificate(index.generation)
        if (
            not isinstance(key, ec.EllipticCurvePrivateKey)
            or key.public_key() != certificate.public_key()
        ):
            raise AuthorityDamaged(f"expected in {path} the key of the authority's certificate")
        if now > end_of(certificate):
            raise LifetimeUnusable(
                f"the authority of site {self._site} has ended",
                hint="Make a new one: bellwire keys ca rotate --authority",
            )
        return Signer(certificate, key)

    def vouched(self, index: Index, now: int) -> list[x509.Certificate]:
        """What leads from the authority that signs to the one before it, while that is believed."""
        before = index.generation - 1
        if before not in index.authorities or now > index.authorities[before]:
            return []
        return [self.certificate(index.generation, vouched=True)]

    def certificate(self, generation: int, *, vouched: bool = False) -> x509.Certificate:
        """An authority's certificate: signed by itself, or by the one before it if `vouched`.

        Raises:
            AuthorityDamaged: the file has none.
        """
        path = self._file(generation, vouched=vouched)
        content = read_own_file(path, MAX_FILE)
        try:
            return x509.load_pem_x509_certificate(content or b"")
        except ValueError as error:
            raise AuthorityDamaged(f"expected an authority's certificate in {path}") from error

    def _forget(self) -> None:
        self._index = Index()
        self._place = None

    def _file(self, generation: int, *, vouched: bool = False) -> Path:
        return self._folder / f"authority-{generation}{'-vouched' if vouched else ''}.crt"

    def _key_file(self, generation: int) -> Path:
        return self._folder / f"authority-{generation}.key"

    def _missing(self) -> AuthorityMissing:
        return AuthorityMissing(
            f"expected the authority of site {self._site} in {self._folder}, got none",
            hint="bellwire keys ca issue makes it with the first certificate; or name the folder "
            "of state with --state.",
        )
