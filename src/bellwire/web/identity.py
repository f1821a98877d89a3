"""Who a client certificate is (ETSI GS QKD 014 V1.1.1, clause 5.1).

The handshake has checked the chain. What is asked here is the name, and whether it still holds: a
certificate may be revoked, or expire, while a connection lasts or between two resumed sessions.
"""

from typing import Protocol


class Identities(Protocol):
    """Who certificates are: `pki.registry.Registry` of a site."""

    @property
    def version(self) -> int:
        """Differs whenever an answer of `identify` may, also by time; connections then ask anew."""

    def identify(self, der: bytes) -> str | None:
        """The name in a certificate whose chain holds; None if it is nobody's now."""


class Peer:
    """The certificate at the other end of a connection, and who it is now.

    Args:
        certificate: In DER; its chain held when the connection, or its session, began.
        identities: Who certificates are.
    """

    def __init__(self, certificate: bytes, identities: Identities) -> None:
        self._certificate = certificate
        self._identities = identities
        self._version = identities.version
        self._name = identities.identify(certificate)

    def name(self) -> str | None:
        """Its name; None if the certificate is nobody's, or is not valid any more."""
        version = self._identities.version
        if version != self._version:
            self._name = self._identities.identify(self._certificate)
            self._version = version
        return self._name
