"""Certificates as files for an SAE: `SAE_ID.crt`, `SAE_ID.key` and `ca.crt` in a folder.

The private key is there, open to its owner alone, before its certificate is. The folder may serve
several SAEs, of several sites: `ca.crt` keeps the authorities that it has, and those of this site
are brought up to date. Whoever wants an SAE to believe its own site alone gives it a folder alone.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.errors import BellwireError
from bellwire.base.private import unusable, write_whole
from bellwire.pki.authority import Authority, Issue
from bellwire.pki.errors import AuthorityUnusable, CertificateExists, CertificateUnknown
from bellwire.pki.index import Certificate
from bellwire.pki.names import file_stem

MAX_BUNDLE = 1 << 20
PUBLIC = 0o644


@dataclass(frozen=True, slots=True)
class SaeFiles:
    """Where an SAE's files are."""

    certificate: Path
    key: Path
    authorities: Path


@dataclass(frozen=True, slots=True)
class Written:
    """A new certificate, its files, and the certificates that it put an end to."""

    files: SaeFiles
    record: Certificate
    revoked: tuple[Certificate, ...] = ()


def sae_files(folder: Path, name: str) -> SaeFiles:
    """The files of an SAE in a folder; characters that a file name cannot have are %-encoded."""
    stem = file_stem(name)
    return SaeFiles(folder / f"{stem}.crt", folder / f"{stem}.key", folder / "ca.crt")


def write_new(authority: Authority, name: str, folder: Path, *, days: float) -> Written:
    """Issue a certificate into files that are not there yet.

    Raises:
        CertificateExists: they are there; nothing was issued.
        PkiError, PathUnusable, PathExposed: as `Authority.issue`; what was issued is revoked.
    """
    files = sae_files(folder, name)
    for path in (files.certificate, files.key):
        if path.exists() or path.is_symlink():
            raise CertificateExists(
                f"expected no {path} yet",
                hint="Choose another --out, or replace it: bellwire keys ca rotate.",
            )
    return Written(files, _issue(authority, name, files, days))


def write_again(
    authority: Authority, name: str, folder: Path, *, days: float, revoke_old: bool
) -> Written:
    """Issue another certificate, with a new key, in the place of files that may be there.

    Args:
        authority: Whose SAE it is.
        name: The SAE.
        folder: Where the files go.
        days: How long the certificate is valid.
        revoke_old: Whether those issued before end now that this one is written; else they stay
            valid until their end.

    Raises:
        CertificateUnknown: the SAE has no certificate yet.
        PkiError, PathUnusable, PathExposed: as `Authority.issue`; what was issued is revoked.
    """
    issued = [each.issued for each in authority.certificates()]
    if not any(each.kind == "sae" and each.name == name for each in issued):
        raise CertificateUnknown(
            f"expected the id of an SAE that has a certificate, got {name[:80]!r}",
            hint="The first one: bellwire keys ca issue.",
        )
    files = sae_files(folder, name)
    record = _issue(authority, name, files, days)
    revoked = authority.revoke_older(record) if revoke_old else []
    return Written(files, record, tuple(revoked))


def _issue(authority: Authority, name: str, files: SaeFiles, days: float) -> Certificate:
    folder = files.key.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(folder, error) from error
    bundle = authority.bundle(_read(files.authorities))
    issue = authority.issue(name, days=days)
    try:
        _write(files, issue, bundle)
    except BaseException:
        # Nobody has it: it need not make the SAE one of the site's.
        with contextlib.suppress(BellwireError):
            authority.revoke(serial=issue.record.issued.serial)
        raise
    return issue.record


def _write(files: SaeFiles, issue: Issue, bundle: bytes) -> None:
    write_whole(files.key, issue.key.reveal(), replace=True)
    write_whole(files.certificate, issue.certificate, PUBLIC, replace=True)
    write_whole(files.authorities, bundle, PUBLIC, replace=True)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BUNDLE + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise unusable(path, error) from error
    if len(content) > MAX_BUNDLE:
        raise AuthorityUnusable(f"expected at most {MAX_BUNDLE} bytes in {path}, got more")
    return content
