"""A device's enrolment: its key pair, the cloud it trusts, its place on the cloud's list."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.private import write_whole
from bellwire.channel.certificates import MAX_CERTIFICATE_BYTES, Role
from bellwire.crypto.kek.source import KekSource
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot import cloud_certificate
from bellwire.iot.cloud_certificate import CloudCertificate
from bellwire.iot.errors import IdentityError
from bellwire.iot.identity import (
    PIN_FILE,
    PublicIdentity,
    load_or_create,
    read_public,
    write_public,
)
from bellwire.iot.trust_files import (
    MAX_PUBLIC_FILE,
    certified,
    read_authority,
    read_public_bytes,
)

PUBLIC_FILE: Final = "device.pub"
CERTIFICATE_FILE: Final = "device.cert"


def own_key(folder: Path, protection: KekSource | None = None) -> XWingPrivateKey:
    """The device's key pair, made at the first call; see `identity.load_or_create`."""
    return load_or_create(folder, protection, public_file=PUBLIC_FILE)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment came to.

    Attributes:
        device: The device's public key.
        cloud: The cloud's, pinned.
        public_key: File of the device's public key.
        admitted: Its copy in the cloud's folder, if that is on this machine.
    """

    device: PublicIdentity
    cloud: PublicIdentity
    public_key: Path
    admitted: Path | None


def enroll(
    folder: Path,
    key: XWingPrivateKey,
    cloud: PublicIdentity,
    *,
    name: str,
    allow: Path | None,
    replace: bool,
    vouched: CloudCertificate | None = None,
) -> Enrolment:
    """Pin the cloud and write the device's public key; again with the same keys is harmless.

    Args:
        folder: The device's state folder.
        key: The device's, from `own_key`.
        cloud: The cloud's public key, from its file or its certificate.
        name: What the cloud calls the device, 1 to 60 characters.
        allow: The cloud's folder of admitted devices, or None if it is elsewhere.
        replace: Whether another pinned cloud gives way.
        vouched: The certificate by which the cloud is trusted, if it is by one.

    Raises:
        IdentityError: a key file cannot be used, or another cloud is pinned.
        CertificateRefused: the certificate does not hold.
        PathExposed, PathUnusable: a folder or file cannot be used.
    """
    pin = folder / PIN_FILE
    if pin.exists() and not replace and read_public(pin, "cloud").public != cloud.public:
        raise IdentityError(
            f"expected the cloud that {folder} trusts, got another",
            hint="If the cloud has changed its key, add --replace.",
        )
    device = PublicIdentity("device", name, key.public_bytes)
    public_key = folder / PUBLIC_FILE
    write_public(public_key, device)
    admitted = None
    if allow is not None:
        admitted = allow / f"{device.fingerprint.hex()}.pub"
        write_public(admitted, device)
    if vouched is None:
        cloud_certificate.forget(folder)
    else:
        cloud_certificate.keep(folder, vouched)
    write_public(pin, cloud)
    return Enrolment(device, cloud, public_key, admitted)


def require_authority(folder: Path, authority: Path) -> None:
    """Return only if a device's cloud was vouched for by this authority, or by none so far.

    Raises:
        IdentityError: by another.
    """
    if cloud_certificate.is_of_another(folder, read_public_bytes(authority, MAX_PUBLIC_FILE)):
        raise IdentityError(
            f"expected the authority that {folder} trusts, got another",
            hint="If the authority of your clouds is another now, add --replace.",
        )


def load(
    folder: Path, protection: KekSource | None = None
) -> tuple[XWingPrivateKey, PublicIdentity]:
    """The device's key pair and the cloud it trusts.

    Raises:
        CertificateRefused: the cloud's certificate no longer counts.
        IdentityError: it is not enrolled, or a file is malformed.
        PathExposed, PathUnusable: a folder or file cannot be used.
        KekRefused, KekUnusable, KekUnavailable: the device's key does not open.
    """
    pin = folder / PIN_FILE
    if not pin.exists():
        raise IdentityError(
            f"expected an enrolled device in {folder}, got none",
            hint="Enrol it: bellwire device enroll --code CODE --to HOST:PORT, or --cloud-key FILE",
        )
    cloud = read_public(pin, "cloud")
    cloud_certificate.check(folder, cloud)
    return own_key(folder, protection), cloud


def keep_certificate(
    folder: Path, key: XWingPrivateKey, certificate: Path, authority: Path, *, now: float
) -> Path:
    """Check a certificate for this device's key, and keep it.

    Raises:
        IdentityError: a file is missing or malformed, or the certificate is for another key.
        CertificateRefused: it is not the authority's, not a device's, or not valid now.
        PathExposed, PathUnusable: the folder cannot be used.
    """
    data, named = certified(certificate, read_authority(authority), Role.DEVICE, now=now)
    if named.public != key.public_bytes:
        raise IdentityError(f"expected a certificate for this device's key, got {named.name!r}'s")
    path = folder / CERTIFICATE_FILE
    write_whole(path, data, 0o644, replace=True)
    return path


def load_certificate(folder: Path) -> bytes:
    """The device's certificate, or nothing if it has none."""
    path = folder / CERTIFICATE_FILE
    return read_public_bytes(path, MAX_CERTIFICATE_BYTES) if path.exists() else b""
