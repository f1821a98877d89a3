"""Certificates, made and signed: an authority's, a KME's and an SAE's (RFC 5280).

ECDSA on P-256 throughout: each handshake verifies one signature of a leaf and one of its authority,
and P-256 is the curve that OpenSSL computes fastest; everything that speaks TLS 1.2 knows it.
Whole seconds since the epoch; the ends of a validity belong to it.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bellwire.base.secret import Secret
from bellwire.pki.names import subject_of

AUTHORITY_DAYS = 20 * 365
"""An authority outlives what it signs; it is replaced by rotation long before its end."""

SKEW_S = 3600
"""Certificates begin so much before they are made: the peer's clock may be behind ours."""

DAY_S = 86_400

PrivateKey = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Signer:
    """An authority that can sign.

    Attributes:
        certificate: Its own.
        key: Secret.
    """

    certificate: x509.Certificate
    key: PrivateKey

    def __repr__(self) -> str:
        return "Signer(…)"


def new_key() -> PrivateKey:
    """A private key, from the operating system's entropy."""
    return ec.generate_private_key(ec.SECP256R1())


def new_authority(label: str, now: int) -> Signer:
    """An authority that nobody else vouches for.

    Args:
        label: Its name, at most 50 characters; a part of its key's identifier is appended, so
            that no two authorities have one name.
        now: When.
    """
    key = new_key()
    mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{label} {mark}")])
    # One authority may stand below: the next one, vouched for by this one (see `vouch`).
    return Signer(_authority(name, key.public_key(), name, key, now, path_length=1), key)


def vouch(old: Signer, new: Signer, now: int) -> x509.Certificate:
    """The certificate by which those who trust `old` alone believe what `new` signs."""
    return _authority(
        new.certificate.subject,
        new.key.public_key(),
        old.certificate.subject,
        old.key,
        now,
        path_length=0,
        not_after=min(end_of(old.certificate), end_of(new.certificate)),
    )


def certify_sae(
    signer: Signer, name: str, public: ec.EllipticCurvePublicKey, *, now: int, not_after: int
) -> x509.Certificate:
    """The certificate of an SAE: for clients of TLS, and nothing else."""
    usage = [ExtendedKeyUsageOID.CLIENT_AUTH]
    return _leaf(signer, name, public, usage, hosts=(), now=now, not_after=not_after)


def certify_kme(
    signer: Signer,
    name: str,
    public: ec.EllipticCurvePublicKey,
    *,
    hosts: Sequence[x509.GeneralName],
    now: int,
    not_after: int,
) -> x509.Certificate:
    """The certificate of a KME: a server at `hosts`, and a client of other KMEs."""
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return _leaf(signer, name, public, usage, hosts=hosts, now=now, not_after=not_after)


def begin_of(certificate: x509.Certificate) -> int:
    """First second of validity."""
    return int(certificate.not_valid_before_utc.timestamp())


def end_of(certificate: x509.Certificate) -> int:
    """Last second of validity."""
    return int(certificate.not_valid_after_utc.timestamp())


def fingerprint(certificate: x509.Certificate) -> bytes:
    """SHA-256 of the certificate in DER."""
    return certificate.fingerprint(hashes.SHA256())


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Certificates as PEM, one after the other."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def key_pem(key: PrivateKey) -> Secret:
    """A private key as PEM, PKCS#8, not encrypted."""
    return Secret(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _authority(
    name: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    key: PrivateKey,
    now: int,
    *,
    path_length: int,
    not_after: int | None = None,
) -> x509.Certificate:
    builder = _builder(name, public, issuer, key.public_key(), now - DAY_S)
    return (
        builder.not_valid_after(_time(not_after or now + AUTHORITY_DAYS * DAY_S))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    signer: Signer,
    name: str,
    public: ec.EllipticCurvePublicKey,
    usage: list[x509.ObjectIdentifier],
    *,
    hosts: Sequence[x509.GeneralName],
    now: int,
    not_after: int,
) -> x509.Certificate:
    subject, alternatives = subject_of(name)
    issuer = signer.certificate.subject
    builder = (
        _builder(subject, public, issuer, signer.key.public_key(), now - SKEW_S)
        .not_valid_after(_time(not_after))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    )
    names = [*hosts, *alternatives]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer.key, hashes.SHA256())


def _builder(
    subject: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    signed_by: ec.EllipticCurvePublicKey,
    begin: int,
) -> x509.CertificateBuilder:
    whose = x509.SubjectKeyIdentifier.from_public_key(public)
    signers = x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(begin))
        .add_extension(whose, critical=False)
        .add_extension(signers, critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _time(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
