"""The authority of a site: issues, replaces and revokes the certificates of its SAEs and its KME.

Any number of processes may use its folder (`folder`). What always holds: an entry is durable in the
index before its certificate leaves.

A new authority is vouched for by the one before it, so whoever trusts only the old one believes
certificates of the new one, too, as long as the old one is believed (RFC 4210, 4.4, has the same
idea); the old one's key is removed, as nothing needs it any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bellwire.base.clock import Clock, system_clock
from bellwire.base.private import read_own_file, write_whole
from bellwire.base.secret import Secret
from bellwire.pki.certificates import (
    DAY_S,
    begin_of,
    certify_kme,
    certify_sae,
    end_of,
    fingerprint,
    key_pem,
    new_key,
    pem,
)
from bellwire.pki.errors import (
    AuthorityMissing,
    AuthorityUnusable,
    CertificateUnknown,
    LifetimeUnusable,
    NameUnusable,
)
from bellwire.pki.folder import MAX_FILE, AuthorityFolder
from bellwire.pki.index import Certificate, Index, Issued, Revoked, State
from bellwire.pki.names import MAX_HOST_NAMES, check_id, host_name

MAX_DAYS = 3650.0
SAE_DAYS = 365.0
KME_DAYS = 397.0
"""The longest that clients which hold to the rules of browsers take from a server."""

OVERLAP_DAYS = 90.0
"""How long the authority before is believed beside its successor."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What an SAE needs.

    Attributes:
        certificate: PEM: its own, and while an older authority is believed, what leads to that one.
        key: PEM, not encrypted. Secret.
        authorities: PEM: whom it believes to sign its KME's certificate.
        record: What the index says of it.
    """

    certificate: bytes
    key: Secret
    authorities: bytes
    record: Certificate


def authority_folder(state: Path, site: str) -> Path:
    """Where the authority of a site lies."""
    return state / f"ca-{site}"


def authorities_in(state: Path) -> list["Authority"]:
    """The authorities of all sites that lie in a state folder."""
    found = sorted(state.glob(authority_folder(Path(), "*").name))
    return [Authority(folder, folder.name.removeprefix("ca-")) for folder in found]


class Authority:
    """The authority in a folder.

    Args:
        folder: As `authority_folder` says.
        site: Name of the site, for people: it stands in the authority's certificate.
        clock: Seconds since the epoch.

    All methods raise PathUnusable and PathExposed where the folder cannot be used or is open to
    others, and AuthorityDamaged where it has not what the index says.
    """

    def __init__(self, folder: Path, site: str, clock: Clock = system_clock) -> None:
        self._kept = AuthorityFolder(folder, site)
        self._site = site
        self._clock = clock

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._kept.path

    def create(self) -> bool:
        """Make the authority if there is none; whether it was made."""
        with self._kept.locked(create=True) as index:
            if index.generation:
                return False
            self._kept.begin(index, self._now(), self._now())
            return True

    def certificates(self) -> list[Certificate]:
        """All that was ever issued, oldest first.

        Raises:
            AuthorityMissing: there is no authority.
        """
        return list(self._kept.read().certificates.values())

    def trusted(self) -> bytes:
        """PEM of the authorities that are believed now, newest first: what clients shall trust.

        Raises:
            AuthorityMissing: there is no authority.
        """
        index, now = self._kept.read(), self._now()
        believed = [each for each, until in index.authorities.items() if now <= until]
        if not believed:
            raise AuthorityMissing(
                f"no authority in {self.folder} is valid any more",
                hint="Make a new one: bellwire keys ca rotate --authority",
            )
        return pem(self._kept.certificate(each) for each in sorted(believed, reverse=True))

    def bundle(self, there: bytes) -> bytes:
        """PEM of whoever `there` has, with this site's authorities as they are believed now.

        Raises:
            AuthorityMissing: there is no authority.
            AuthorityUnusable: `there` is not certificates in PEM.
        """
        trusted = self.trusted()
        try:
            others = x509.load_pem_x509_certificates(there) if there else []
        except ValueError as error:
            raise AuthorityUnusable("expected certificates in PEM, got something else") from error
        ours = {self._kept.certificate(each) for each in self._kept.read().authorities}
        return trusted + pem(each for each in others if each not in ours)

    def issue(self, name: str, *, days: float = SAE_DAYS) -> Issue:
        """A new certificate for the SAE `name`; those that it has stay as they are.

        Raises:
            AuthorityMissing: there is no authority.
            NameUnusable: it is no SAE's id.
            LifetimeUnusable: days out of range.
        """
        key = new_key()
        ((chain, record),) = self.certify([(name, key.public_key())], days=days)
        return Issue(chain, key_pem(key), self.trusted(), record)

    def certify(
        self, wanted: Sequence[tuple[str, ec.EllipticCurvePublicKey]], *, days: float
    ) -> list[tuple[bytes, Certificate]]:
        """New certificates for SAEs whose private keys stay where they were made: all, or none.

        Args:
            wanted: Id and public key on P-256 of each; whoever asks has shown that it holds the
                private half.
            days: How long they last.

        Returns:
            For each, PEM of the certificate and of what leads to an older authority, and its
            record.

        Raises:
            AuthorityMissing, NameUnusable, LifetimeUnusable: as `issue`.
        """
        for name, _ in wanted:
            check_id(name)
        with self._kept.locked() as index:
            now = self._now()
            signer, vouched = self._kept.signer(index, now), self._kept.vouched(index, now)
            until = _until(now, days, end_of(signer.certificate))
            made = [
                certify_sae(signer, name, public, now=now, not_after=until)
                for name, public in wanted
            ]
            names = [name for name, _ in wanted]
            records = self._enter(index, "sae", names, made)
            chains = [pem([each, *vouched]) for each in made]
            return list(zip(chains, records, strict=True))

    def revoke(self, *, name: str | None = None, serial: str | None = None) -> list[Certificate]:
        """Revoke all certificates of an SAE, or the one with a serial number.

        Returns:
            Those that were not revoked before.

        Raises:
            AuthorityMissing: there is no authority.
            CertificateUnknown: there is none of that name or number.
        """
        with self._kept.locked() as index:
            if serial is not None:
                number = serial.lower().replace(":", "").lstrip("0")
                found = [each for each in [index.find(number)] if each is not None]
            else:
                found = [each for each in index.certificates.values() if _is_sae(each, name)]
            if not found:
                raise CertificateUnknown(
                    f"expected the id of an SAE with a certificate of site {self._site}, or a "
                    f"serial number, got {(serial or name or '')[:80]!r}",
                    hint="bellwire keys ca list shows them all.",
                )
            return self._revoke(index, found)

    def revoke_older(self, newest: Certificate) -> list[Certificate]:
        """Revoke the other certificates of an SAE, those that were issued before `newest`."""
        with self._kept.locked() as index:
            older = []
            for each in index.certificates.values():
                if each.issued.serial == newest.issued.serial:
                    break
                older.append(each)
            mine = [each for each in older if _is_sae(each, newest.issued.name)]
            return self._revoke(index, mine)

    def rotate(self, *, overlap_days: float = OVERLAP_DAYS) -> int:
        """Let a new authority sign from now on; the others are believed for `overlap_days` more.

        Returns:
            When they end.

        Raises:
            AuthorityMissing: there is no authority.
            LifetimeUnusable: days out of range.
        """
        if not 0 <= overlap_days <= MAX_DAYS:
            raise LifetimeUnusable(f"expected 0 to {MAX_DAYS:g} days, got {overlap_days:g}")
        with self._kept.locked() as index:
            now = self._now()
            # Its last second belongs to a validity.
            ends = now + round(overlap_days * DAY_S) if overlap_days else now - 1
            self._kept.begin(index, now, ends)
            return ends

    def kme(self, name: str, hosts: Sequence[str]) -> Path:
        """The KME's certificate with its key, in one PEM file; made or renewed where needed.

        It is renewed in the last third of its life, for other hosts, and under a new authority.

        Args:
            name: The KME's id.
            hosts: Names and addresses under which it is reached.

        Raises:
            AuthorityMissing: there is no authority.
            NameUnusable: no id, no host, or too many.
        """
        check_id(name)
        names = list(dict.fromkeys(host_name(each) for each in hosts))
        if not 1 <= len(names) <= MAX_HOST_NAMES:
            raise NameUnusable(f"expected 1 to {MAX_HOST_NAMES} host names, got {len(names)}")
        path = self.folder / "kme.pem"
        with self._kept.locked() as index:
            now = self._now()
            if not self._kme_is_good(read_own_file(path, MAX_FILE), (name, names), index):
                signer, key = self._kept.signer(index, now), new_key()
                until = min(now + round(KME_DAYS * DAY_S), end_of(signer.certificate))
                made = certify_kme(
                    signer, name, key.public_key(), hosts=names, now=now, not_after=until
                )
                self._enter(index, "kme", [name], [made])
                # One file: a crash between two would leave a key and another key's certificate.
                content = key_pem(key).reveal() + pem([made, *self._kept.vouched(index, now)])
                write_whole(path, content, replace=True)
        return path

    def _now(self) -> int:
        return int(self._clock())

    def _enter(
        self, index: Index, kind: str, names: Sequence[str], made: Sequence[x509.Certificate]
    ) -> list[Certificate]:
        issued = [
            Issued(
                kind="sae" if kind == "sae" else "kme",
                name=name,
                serial=f"{each.serial_number:x}",
                fingerprint=fingerprint(each).hex(),
                generation=index.generation,
                not_before=begin_of(each),
                not_after=end_of(each),
            )
            for name, each in zip(names, made, strict=True)
        ]
        kept = self._kept.append(issued).certificates
        return [kept[fingerprint(each)] for each in made]

    def _revoke(self, index: Index, found: list[Certificate]) -> list[Certificate]:
        now = self._now()
        left = [each for each in found if each.revoked_at is None]
        revoked = [Revoked(each.issued.serial, now) for each in left]
        if revoked:
            self._kept.append(revoked)
        return [index.certificates[bytes.fromhex(each.issued.fingerprint)] for each in left]

    def _kme_is_good(
        self, content: bytes | None, wanted: tuple[str, list[x509.GeneralName]], index: Index
    ) -> bool:
        """Whether what `kme` made before serves on, under this name and for these hosts."""
        name, hosts = wanted
        now = self._now()
        try:
            leaf, *chain = x509.load_pem_x509_certificates(content or b"")
        except ValueError:
            return False
        known = index.certificates.get(fingerprint(leaf))
        if known is None or known.state(now) is not State.VALID:
            return False
        issued = known.issued
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            issued.generation == index.generation
            and issued.name == name
            and set(hosts) <= set(names)
            and chain == self._kept.vouched(index, now)
            and now < issued.not_after - (issued.not_after - issued.not_before) // 3
        )


def _is_sae(certificate: Certificate, name: str | None) -> bool:
    return certificate.issued.kind == "sae" and certificate.issued.name == name


def _until(now: int, days: float, end: int) -> int:
    if not 0 < days <= MAX_DAYS:
        raise LifetimeUnusable(f"expected more than 0 and at most {MAX_DAYS:g} days, got {days:g}")
    until = now + max(1, round(days * DAY_S))
    if until > end:
        raise LifetimeUnusable(
            f"expected at most {(end - now) / DAY_S:.0f} days, until the authority's own end, "
            f"got {days:g}",
            hint="A new authority lasts longer: bellwire keys ca rotate --authority",
        )
    return until
