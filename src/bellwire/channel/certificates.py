"""Certificates of ends: an authority says that an X-Wing public key is a device's or a cloud's.

Nobody signs in a handshake: an end still proves itself by decapsulating. The authority signs
beforehand, with Ed25519, ML-DSA-65 or both (`bellwire.crypto.composite`).

Layouts are in spec/channel.md.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bellwire.channel.errors import CertificateRefused, ChannelMisuse
from bellwire.crypto.composite import MAX_SIGNATURE_BYTES, CompositeKey, CompositePublicKey
from bellwire.crypto.ed25519 import SIGNATURE_BYTES
from bellwire.crypto.errors import KemRefused, SignatureInvalid
from bellwire.crypto.kem import PUBLIC_BYTES, check_public
from bellwire.crypto.labels import CHANNEL_CERTIFICATE, CHANNEL_REVOKED

SERIAL_BYTES: Final = 16
MAX_NAME_BYTES: Final = 240
MAX_REVOKED: Final = 100_000

_MAGIC: Final = b"bwce\x01"
_HEAD: Final = struct.Struct(">5sB16sQQ32sB")
_LIST_MAGIC: Final = b"bwcr\x01"
_LIST: Final = struct.Struct(">5s32sQQI")
MIN_CERTIFICATE_BYTES: Final = _HEAD.size + 1 + PUBLIC_BYTES + SIGNATURE_BYTES
MAX_CERTIFICATE_BYTES: Final = _HEAD.size + MAX_NAME_BYTES + PUBLIC_BYTES + MAX_SIGNATURE_BYTES


class Role(IntEnum):
    """What an end may be; a certificate of the other role does not serve."""

    DEVICE = 1
    CLOUD = 2


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an authority says of a public key.

    Attributes:
        role: What the end may be.
        serial: 16 bytes, random, never twice.
        not_before: Seconds since the epoch.
        not_after: Seconds since the epoch; from then on it is expired.
        name: 1 to 240 bytes of UTF-8.
        public: The X-Wing public key, 1216 bytes.
    """

    role: Role
    serial: bytes
    not_before: int
    not_after: int
    name: str
    public: bytes

    def _encode(self, issuer: CompositePublicKey) -> bytes:
        name = self.name.encode()
        if not 1 <= len(name) <= MAX_NAME_BYTES or len(self.serial) != SERIAL_BYTES:
            raise ChannelMisuse(
                f"expected a name of 1 to {MAX_NAME_BYTES} bytes and a serial of {SERIAL_BYTES}"
            )
        if not 0 <= self.not_before < self.not_after < 2**63:
            raise ChannelMisuse("expected a certificate that begins before it ends")
        check_public(self.public)
        head = _HEAD.pack(
            _MAGIC,
            self.role,
            self.serial,
            self.not_before,
            self.not_after,
            issuer.fingerprint,
            len(name),
        )
        return head + name + self.public

    def sign(self, authority: CompositeKey) -> bytes:
        """The certificate, signed.

        Raises:
            ChannelMisuse: a field is out of range.
            LengthError, KemRefused: the public key is malformed.
        """
        text = self._encode(authority.public)
        return text + authority.sign(text, CHANNEL_CERTIFICATE)


@dataclass(frozen=True, slots=True)
class RevocationList:
    """The serials that an authority has taken back.

    Attributes:
        number: Higher in each list; a cloud takes no lower one than before.
        issued: Seconds since the epoch.
        serials: Of the certificates.
    """

    number: int
    issued: int
    serials: frozenset[bytes]

    def sign(self, authority: CompositeKey) -> bytes:
        """The list, signed; ChannelMisuse if it is too long."""
        if len(self.serials) > MAX_REVOKED:
            raise ChannelMisuse(f"expected at most {MAX_REVOKED} serials, got {len(self.serials)}")
        head = _LIST.pack(
            _LIST_MAGIC,
            authority.public.fingerprint,
            self.number,
            self.issued,
            len(self.serials),
        )
        text = head + b"".join(sorted(self.serials))
        return text + authority.sign(text, CHANNEL_REVOKED)


def read_certificate(data: bytes, authority: CompositePublicKey, role: Role) -> Certificate:
    """Read a certificate and check everything about it but time and revocation.

    Raises:
        CertificateRefused: it is malformed, of another authority or role, or altered.
    """
    if not MIN_CERTIFICATE_BYTES <= len(data) <= MAX_CERTIFICATE_BYTES:
        raise CertificateRefused(
            f"expected a certificate of {MIN_CERTIFICATE_BYTES} to {MAX_CERTIFICATE_BYTES} bytes, "
            f"got {len(data)}"
        )
    magic, found, serial, begin, end, issuer, name_bytes = _HEAD.unpack_from(data)
    cut = _HEAD.size + name_bytes + PUBLIC_BYTES
    if magic != _MAGIC or issuer != authority.fingerprint:
        raise CertificateRefused("expected a certificate of our authority, got another")
    _verify(authority, data, cut, CHANNEL_CERTIFICATE)
    if found != role:
        raise CertificateRefused(f"expected a certificate of a {role.name.lower()}, got another")
    try:
        name = data[_HEAD.size : cut - PUBLIC_BYTES].decode()
        public = data[cut - PUBLIC_BYTES : cut]
        check_public(public)
    except (UnicodeDecodeError, KemRefused) as error:
        raise CertificateRefused("expected a name and a public key, got malformed ones") from error
    return Certificate(role, serial, begin, end, name, public)


def read_revoked(data: bytes, authority: CompositePublicKey) -> RevocationList:
    """Read a list of revoked certificates; CertificateRefused unless it is the authority's."""
    if len(data) < _LIST.size:
        raise CertificateRefused("expected a list of revoked certificates, got less")
    magic, issuer, number, issued, count = _LIST.unpack_from(data)
    cut = _LIST.size + SERIAL_BYTES * count
    if magic != _LIST_MAGIC or issuer != authority.fingerprint or count > MAX_REVOKED:
        raise CertificateRefused("expected a list of our authority, got another")
    _verify(authority, data, cut, CHANNEL_REVOKED)
    serials = (data[at : at + SERIAL_BYTES] for at in range(_LIST.size, cut, SERIAL_BYTES))
    return RevocationList(number, issued, frozenset(serials))


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates count, and which no longer do."""

    authority: CompositePublicKey
    revoked: frozenset[bytes] = frozenset()

    def check(self, data: bytes, role: Role, now: float) -> Certificate:
        """The certificate in `data`, if it holds at `now`, in seconds since the epoch.

        Raises:
            CertificateRefused: as `read_certificate`, or it is not yet valid, expired or revoked.
        """
        certificate = read_certificate(data, self.authority, role)
        if not certificate.not_before <= now < certificate.not_after:
            raise CertificateRefused(
                "expected a certificate that is valid now, got one that is "
                + ("expired" if now >= certificate.not_after else "not yet valid")
            )
        if certificate.serial in self.revoked:
            raise CertificateRefused("expected a certificate that counts, got a revoked one")
        return certificate


def _verify(authority: CompositePublicKey, data: bytes, cut: int, label: bytes) -> None:
    """Return only if what begins at `cut` are the authority's signatures of what is before."""
    try:
        authority.verify(data[cut:], data[:cut], label)
    except SignatureInvalid as error:
        raise CertificateRefused("expected the authority's signatures, got another's") from error
