"""Who a certificate is about: ids of SAEs and KMEs in its subject, names of hosts beside it.

ETSI GS QKD 014 V1.1.1 (5.1) has ids taken from certificates and does not say where they stand.
Everybody reads the subject's common name, so there they stand, where they fit: 64 characters
(ub-common-name, RFC 5280, appendix A). A longer id is a URI in subjectAltName, with a subject that
has no common name: one cut short could be another SAE's.
"""

import hashlib
import ipaddress
import re
import warnings
from urllib.parse import quote

from cryptography import x509
from cryptography.x509.oid import NameOID

from bellwire.pki.errors import NameUnusable

MAX_ID = 256
"""Characters of an id: as long as requests of 014 may have it."""

MAX_COMMON_NAME = 64
URI_PREFIX = "urn:bellwire:id:"
MAX_HOST_NAMES = 64

_STEM_BYTES = 160
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)


def check_id(text: str) -> str:
    """Let the id of an SAE or a KME pass.

    Raises:
        NameUnusable: empty, too long, not printable, or a step in a path.
    """
    if not 1 <= len(text) <= MAX_ID or not text.isprintable() or text in {".", ".."}:
        raise NameUnusable(
            f"id: expected 1 to {MAX_ID} printable characters other than . and .., "
            f"got {len(text)} characters: {text[:40]!r}"
        )
    return text


def subject_of(name: str) -> tuple[x509.Name, list[x509.GeneralName]]:
    """Subject and alternative names of the certificate of `name`.

    Raises:
        NameUnusable: as `check_id`.
    """
    check_id(name)
    if len(name) <= MAX_COMMON_NAME:
        return _subject(NameOID.COMMON_NAME, name), []
    uri = x509.UniformResourceIdentifier(URI_PREFIX + quote(name, safe=""))
    return _subject(NameOID.ORGANIZATION_NAME, "bellwire"), [uri]


def common_names(certificate: x509.Certificate) -> list[str]:
    """The common names in the subject of anybody's certificate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see `_subject`
        found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [each.value for each in found if isinstance(each.value, str)]


def uris(certificate: x509.Certificate) -> list[str]:
    """The URIs among the alternative names of anybody's certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def host_name(text: str) -> x509.GeneralName:
    """The alternative name for an address or a name of a host.

    Raises:
        NameUnusable: it is neither.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        plain = text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        plain = ""
    labels = plain.removeprefix("*.").split(".")
    if not 1 <= len(plain) <= 253 or not all(_LABEL.fullmatch(each) for each in labels):
        raise NameUnusable(
            f"host name: expected a name in the DNS or an IP address, got {text[:80]!r}"
        )
    return x509.DNSName(plain)


def file_stem(name: str) -> str:
    """A file name, without suffix, for any id: no slash, no hidden file, never that of `ca`."""
    stem = quote(name, safe="@+,=")
    if stem.lower() == "ca" or stem[0] in ".-":
        stem = f"%{ord(stem[0]):02X}{stem[1:]}"
    if len(stem) >= _STEM_BYTES:
        digest = hashlib.sha256(name.encode()).hexdigest()
        stem = f"{stem[: _STEM_BYTES - 17]}-{digest[:16]}"
    return stem


def _subject(oid: x509.ObjectIdentifier, value: str) -> x509.Name:
    with warnings.catch_warnings():
        # The library counts bytes of UTF-8 where RFC 5280 counts characters.
        warnings.simplefilter("ignore")
        return x509.Name([x509.NameAttribute(oid, value, _validate=False)])
