"""Who asks: from a client's certificate to an SAE's id, for each request, at the cost of a hash.

TLS has verified the certificate against authorities that we named; here is decided whose it is, and
whether it is believed now. Ours are known by their fingerprints in the index, an operator's are
read. What always holds: revoked, expired, unknown or doubtful is nobody; an index that cannot be
read makes everybody nobody.

The index is looked at again at most every `POLL_S`: what the command line issues or revokes counts
from then on, without a restart.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from bellwire.base.clock import Clock, system_clock
from bellwire.base.errors import BellwireError
from bellwire.pki import index as entries
from bellwire.pki.certificates import begin_of, end_of
from bellwire.pki.errors import AuthorityDamaged, AuthorityUnusable
from bellwire.pki.folder import index_file
from bellwire.pki.index import Certificate, Index, Place, State
from bellwire.pki.names import check_id, common_names, uris

POLL_S = 0.25
MAX_CACHED = 4096
MAX_FILE = 1 << 20
MAX_CERTIFICATE = 1 << 16


@dataclass(frozen=True, slots=True)
class OperatorAuthority:
    """SAEs whose certificates come from an operator's own authority.

    Attributes:
        file: Its certificates in PEM, with every intermediate one that signs SAEs directly.
        names: The SAE ids that it may vouch for.
        from_uri: An id is the whole URI in subjectAltName, and not the common name.
    """

    file: Path
    names: frozenset[str]
    from_uri: bool = False

    def certificates(self) -> list[x509.Certificate]:
        """What is in the file.

        Raises:
            AuthorityUnusable: it cannot be read, or has anything but certificates of authorities.
            NameUnusable: a name is no SAE's id.
        """
        for name in self.names:
            check_id(name)
        try:
            with self.file.open("rb") as file:
                found = x509.load_pem_x509_certificates(file.read(MAX_FILE))
            if all(_is_authority(each) for each in found):
                return found
        except (OSError, ValueError) as error:
            fault: Exception | None = error
        else:
            fault = None
        raise AuthorityUnusable(
            f"expected certificates of an authority, in PEM, in {self.file}, got others or none"
        ) from fault


@dataclass(frozen=True, slots=True)
class _Foreign:
    """A certificate of an operator's authority: whose, and between which seconds."""

    name: str | None
    begin: float = -math.inf
    end: float = math.inf


@dataclass(slots=True)
class _Known:
    """What was read, until it changes."""

    index: Index = field(default_factory=Index)
    place: Place | None = None
    saes: frozenset[str] = frozenset()


class Registry:
    """The SAEs of a site, and whose a certificate is.

    Args:
        folder: Of the site's authority; None if it has none, and operators' alone count.
        operators: Authorities that are believed beside it.
        clock: Seconds since the epoch.

    Raises:
        AuthorityUnusable: an operator's file cannot be used.
        NameUnusable: a name of an operator's is no SAE's id.
    """

    def __init__(
        self,
        folder: Path | None,
        operators: Sequence[OperatorAuthority] = (),
        clock: Clock = system_clock,
    ) -> None:
        self._path = None if folder is None else index_file(folder)
        self._operators = [(each, each.certificates()) for each in operators]
        self._clock = clock
        self._known = _Known()
        self._foreign: dict[bytes, _Foreign] = {}
        self._version = 0
        self._changes_at = math.inf
        self._look_at = -math.inf
        self._fault: BellwireError | None = None
        self.refresh()

    @property
    def version(self) -> int:
        """Another number whenever an answer of `identify` may have changed, also by time alone."""
        self._look()
        return self._version

    @property
    def fault(self) -> BellwireError | None:
        """Why nobody is believed by our own authority at present; None if all is well."""
        self._look()
        return self._fault

    def saes(self) -> frozenset[str]:
        """The SAEs of this site: with a certificate that is not revoked, or an operator's."""
        self._look()
        return self._known.saes

    def serves(self, sae: str) -> bool:
        """Whether an SAE is one of this site's."""
        self._look()
        return sae in self._known.saes

    def identify(self, der: bytes) -> str | None:
        """Whose certificate it is; None if it is nobody's, revoked or not valid now."""
        self._look()
        if len(der) > MAX_CERTIFICATE:
            return None
        mark, now = hashlib.sha256(der).digest(), self._clock()
        ours = self._known.index.certificates.get(mark)
        if ours is not None:
            believed = ours.issued.kind == "sae" and ours.state(now) is State.VALID
            return ours.issued.name if believed else None
        if not self._operators:
            return None
        theirs = self._foreign.get(mark) or self._meet(mark, der)
        return theirs.name if theirs.begin <= now <= theirs.end else None

    def trust(self, operators: Sequence[OperatorAuthority]) -> None:
        """Believe these operators' authorities from now on, as their files are now, and no others.

        Raises:
            AuthorityUnusable, NameUnusable: as the constructor; nothing changed.
        """
        self._operators = [(each, each.certificates()) for each in operators]
        self._foreign.clear()
        self._known.saes = self._serving()
        self._changed()

    def refresh(self) -> None:
        """Look at the index now: for a signal that it has changed."""
        self._look_at = time.monotonic() + POLL_S
        fault: BellwireError | None = None
        changed = False
        try:
            changed = self._read()
        except BellwireError as error:
            fault = error
            changed = bool(self._known.index.authorities)
            self._known = _Known()
        if repr(fault) != repr(self._fault):
            changed = True
        self._fault = fault
        if changed or not self._version:
            self._foreign.clear()
            self._known.saes = self._serving()
            self._changed()

    def _look(self) -> None:
        if time.monotonic() >= self._look_at:
            self.refresh()
        if self._clock() > self._changes_at:
            self._changed()

    def _changed(self) -> None:
        self._version += 1
        now = self._clock()
        moments: list[float] = [
            moment
            for each in self._known.index.certificates.values()
            if each.revoked_at is None
            for moment in (each.issued.not_before, each.ends)
        ]
        moments += [m for each in self._foreign.values() for m in (each.begin, each.end)]
        self._changes_at = min((each for each in moments if each >= now), default=math.inf)

    def _read(self) -> bool:
        if self._path is None:
            return False
        known = self._known
        try:
            found, place = entries.read(self._path, known.place)
        except AuthorityDamaged:
            if known.place is None:
                raise
            known = _Known()  # another file, or one brought back: all of it
            found, place = entries.read(self._path)
        known.index.take(found)
        changed = bool(found) or known is not self._known
        known.place = place
        self._known = known
        return changed

    def _serving(self) -> frozenset[str]:
        ours = {
            each.issued.name
            for each in self._known.index.certificates.values()
            if _counts(each, self._clock())
        }
        return frozenset(ours.union(*(each.names for each, _ in self._operators)))

    def _meet(self, mark: bytes, der: bytes) -> _Foreign:
        found = self._foreign_name(der)
        if len(self._foreign) >= MAX_CACHED:
            self._foreign.clear()
        self._foreign[mark] = found
        now = self._clock()
        later = [each for each in (found.begin, found.end) if each >= now]
        self._changes_at = min([self._changes_at, *later])
        return found

    def _foreign_name(self, der: bytes) -> _Foreign:
        try:
            certificate = x509.load_der_x509_certificate(der)
            if not _for_clients(certificate):
                return _Foreign(None)
            for operator, authorities in self._operators:
                for authority in authorities:
                    if not _signed(certificate, authority):
                        continue
                    names = uris(certificate) if operator.from_uri else common_names(certificate)
                    if len(names) == 1 and names[0] in operator.names:
                        begin = max(begin_of(certificate), begin_of(authority))
                        end = min(end_of(certificate), end_of(authority))
                        return _Foreign(names[0], begin, end)
        except (ValueError, UnsupportedAlgorithm):
            pass  # what cannot be read is nobody's
        return _Foreign(None)


def _counts(certificate: Certificate, now: float) -> bool:
    """Whether it makes its SAE one of ours: one that has merely expired will be replaced."""
    state = certificate.state(now)
    return certificate.issued.kind == "sae" and state not in {State.REVOKED, State.ENDED}


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _for_clients(certificate: x509.Certificate) -> bool:
    if _is_authority(certificate):
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage
