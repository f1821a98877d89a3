"""What can go wrong with a site's authority.

PkiError
├── NameUnusable         (UsageError) an id or a host name that no certificate can carry
├── LifetimeUnusable     (UsageError) days out of range, or past the authority's own end
├── CertificateUnknown   (UsageError) no such SAE id or serial number, or nothing left to revoke
├── CertificateExists    (UsageError) files of this SAE are there already
├── AuthorityMissing     (UsageError) the site has no authority yet
├── AuthorityUnusable    (UsageError) a file of an operator's authority is none
└── AuthorityDamaged     (RefusedError) what the authority keeps is not what it wrote

No message holds a private key.
"""

from bellwire.base.errors import BellwireError, RefusedError, UsageError


class PkiError(BellwireError):
    """A site's authority could not do what it was asked."""


class NameUnusable(PkiError, UsageError):
    """An SAE's or a KME's id, or the name of a host, that no certificate can carry."""


class LifetimeUnusable(PkiError, UsageError):
    """A certificate cannot be valid for so long."""


class CertificateUnknown(PkiError, UsageError):
    """No certificate of this SAE or serial number is there to be revoked or replaced."""


class CertificateExists(PkiError, UsageError):
    """Files of this SAE are there already; nothing was written over."""


class AuthorityMissing(PkiError, UsageError):
    """The site has no authority yet."""


class AuthorityUnusable(PkiError, UsageError):
    """The file of an operator's authority cannot be read, or has no certificate of an authority."""


class AuthorityDamaged(PkiError, RefusedError):
    """What the authority keeps is not what it wrote; nobody is believed by it."""
