"""What admission gives devices for the channel: by the authority of `bellwire device ca`."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from bellwire.admission.channel import Signed
from bellwire.channel.certificates import Role, read_certificate
from bellwire.crypto.kek.source import KekSource
from bellwire.iot import authority
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.trust_files import MAX_LIST_BYTES, MAX_PUBLIC_FILE, read_public_bytes


class DeviceCertificates:
    """An authority of devices and clouds, as admission asks for it.

    Args:
        made: Opened.
    """

    def __init__(self, made: authority.Authority) -> None:
        self._made = made

    def certify(
        self, role: Literal["device", "cloud"], name: str, public: bytes, days: float
    ) -> Signed:
        """As `ChannelAuthority.certify`.

        Raises:
            LengthError, KemRefused: the public key is malformed.
        """
        data = self._made.issue(PublicIdentity(role, name, public), days)
        found = read_certificate(data, self._made.public, Role[role.upper()])
        return Signed(found.serial, found.not_after, data)

    def authority(self) -> bytes:
        """As `ChannelAuthority.authority`; IdentityError if the file is gone."""
        return read_public_bytes(self._made.folder / authority.PUBLIC_FILE, MAX_PUBLIC_FILE)

    def revoked(self) -> bytes:
        """As `ChannelAuthority.revoked`; IdentityError if the file is gone."""
        return read_public_bytes(self._made.folder / authority.REVOKED_FILE, MAX_LIST_BYTES)

    def revoke(self, serials: Collection[bytes]) -> None:
        """As `ChannelAuthority.revoke`; as `Authority.revoke_serials`."""
        self._made.revoke_serials(serials)


def opened(folder: Path, protection: KekSource | None) -> DeviceCertificates:
    """The authority in a folder; as `iot.authority.load`."""
    return DeviceCertificates(authority.load(folder, protection))


def opened_or_made(folder: Path, protection: KekSource | None) -> DeviceCertificates:
    """The authority in a folder, made with both algorithms if there is none."""
    if authority.is_authority(folder):
        return opened(folder, protection)
    return DeviceCertificates(authority.create(folder, "both", protection))
