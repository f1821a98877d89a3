"""Who we are to a key server, and whom we believe to be one (ETSI GS QKD 014, clause 5.1).

What always holds: TLS 1.2 or newer; the server's certificate is checked, with its host name,
against the authority that was named and against no other; the private key's file is open to its
owner alone.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.private import read_own_file
from bellwire.etsi014.errors import CredentialsUnusable

MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files in PEM.

    Attributes:
        certificate: Ours, and what leads from it to an authority that the server trusts.
        key: The private key of `certificate`, not encrypted, mode 0600.
        authority: Whoever signs the certificates of key servers, and nobody else.
    """

    certificate: Path
    key: Path
    authority: Path

    def context(self) -> ssl.SSLContext:
        """TLS with these.

        Raises:
            CredentialsUnusable: a file cannot be read, or is not what it should be.
            PathExposed: others may read the private key.
            PathUnusable: the private key cannot be read.
        """
        if read_own_file(self.key, MAX_FILE) is None:
            raise CredentialsUnusable(f"expected a private key at {self.key}, got no file")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cafile=self.authority)
        except (OSError, ValueError) as error:
            raise CredentialsUnusable(
                f"expected certificates of an authority, in PEM, in {self.authority}: "
                f"{_reason(error)}"
            ) from error
        try:
            context.load_cert_chain(self.certificate, self.key, _no_password)
        except (OSError, ValueError) as error:
            raise CredentialsUnusable(
                f"expected a certificate in {self.certificate} and its private key in {self.key}, "
                f"both in PEM: {_reason(error)}"
            ) from error
        return context


def _no_password() -> str:
    raise CredentialsUnusable(
        "expected a private key that is not encrypted, got one that is",
        hint="openssl pkey -in KEY -out PLAIN, and chmod 600 PLAIN",
    )


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "no such thing in it"
    return (error.strerror if isinstance(error, OSError) else None) or "unreadable"
