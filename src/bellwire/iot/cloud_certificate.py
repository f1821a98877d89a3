"""The certificate by which a device came to trust its cloud, checked again before each send.

It is kept beside the pin, with the authority's public key and, if one was given, the authority's
list of revoked certificates; a newer list goes in its place at the next enrolment.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.clock import Clock, system_clock
from bellwire.base.private import write_whole
from bellwire.channel.certificates import MAX_CERTIFICATE_BYTES, Role, Trust
from bellwire.iot.errors import IdentityError
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.trust_files import (
    MAX_LIST_BYTES,
    MAX_PUBLIC_FILE,
    TrustFiles,
    read_authority,
    read_public_bytes,
)

CERTIFICATE_FILE: Final = "cloud.cert"
AUTHORITY_FILE: Final = "cloud.authority"
REVOKED_FILE: Final = "cloud.revoked"
SEEN_FILE: Final = "cloud.revoked.seen"


@dataclass(frozen=True, slots=True)
class CloudCertificate:
    """Files by which a cloud is vouched for.

    Attributes:
        certificate: The cloud's.
        authority: The authority's public key.
        revoked: The authority's list of revoked certificates, or None.
    """

    certificate: Path
    authority: Path
    revoked: Path | None = None

    def cloud(self, seen: Path | None = None, *, clock: Clock = system_clock) -> PublicIdentity:
        """The cloud that it names, if it holds now.

        Args:
            seen: File of the newest list's number.
            clock: Seconds since the epoch.

        Raises:
            IdentityError: a file is missing or malformed.
            CertificateRefused: it does not hold, or the list is older than one seen before.
        """
        data = read_public_bytes(self.certificate, MAX_CERTIFICATE_BYTES)
        if self.revoked is not None:
            trust = TrustFiles(self.authority, self.revoked, seen=seen, clock=clock)
            return trust.check(data, Role.CLOUD)
        found = Trust(read_authority(self.authority)).check(data, Role.CLOUD, clock())
        return PublicIdentity("cloud", found.name, found.public)


def keep(folder: Path, given: CloudCertificate, *, clock: Clock = system_clock) -> None:
    """Keep a certificate that holds, with what it is checked against, in a device's folder.

    Raises:
        IdentityError, CertificateRefused: as `CloudCertificate.cloud`.
        PathUnusable: the folder cannot be used.
    """
    given.cloud(folder / SEEN_FILE, clock=clock)
    authority = read_public_bytes(given.authority, MAX_PUBLIC_FILE)
    certificate = read_public_bytes(given.certificate, MAX_CERTIFICATE_BYTES)
    if given.revoked is not None:
        revoked = read_public_bytes(given.revoked, MAX_LIST_BYTES)
        write_whole(folder / REVOKED_FILE, revoked, 0o644, replace=True)
    elif is_of_another(folder, authority):
        (folder / REVOKED_FILE).unlink(missing_ok=True)
        (folder / SEEN_FILE).unlink(missing_ok=True)
    write_whole(folder / AUTHORITY_FILE, authority, 0o644, replace=True)
    write_whole(folder / CERTIFICATE_FILE, certificate, 0o644, replace=True)


def forget(folder: Path) -> None:
    """Trust the pin alone: the cloud was pinned otherwise."""
    for name in (CERTIFICATE_FILE, AUTHORITY_FILE, REVOKED_FILE, SEEN_FILE):
        (folder / name).unlink(missing_ok=True)


def check(folder: Path, pin: PublicIdentity, *, clock: Clock = system_clock) -> None:
    """Return only if the certificate of the pinned cloud holds now, or it was pinned without one.

    Raises:
        CertificateRefused: it is expired or revoked, or the list is older than one seen before.
        IdentityError: a file is missing or malformed, or another cloud's.
    """
    if not (folder / CERTIFICATE_FILE).exists():
        return
    revoked = folder / REVOKED_FILE
    kept = CloudCertificate(
        folder / CERTIFICATE_FILE,
        folder / AUTHORITY_FILE,
        revoked if revoked.exists() or (folder / SEEN_FILE).exists() else None,
    )
    if kept.cloud(folder / SEEN_FILE, clock=clock).public != pin.public:
        raise IdentityError(
            "expected the certificate of the pinned cloud, got another's",
            hint="An enrolment was interrupted: enrol again.",
        )


def is_of_another(folder: Path, authority: bytes) -> bool:
    """Whether the file of the authority that is kept in a folder is another than this."""
    path = folder / AUTHORITY_FILE
    return path.exists() and read_public_bytes(path, MAX_PUBLIC_FILE) != authority
