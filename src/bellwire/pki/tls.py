"""TLS of a site's KME: as a server of SAEs, and as a client of other KMEs (014, clause 5.1).

What always holds: TLS 1.2 or newer, both ends show a certificate, and what either shows is verified
against authorities that were named, never against those of the operating system. Whom a verified
certificate belongs to, and whether it was revoked, is the registry's to say (`registry`).
"""

import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from bellwire.pki.authority import Authority
from bellwire.pki.certificates import pem
from bellwire.pki.errors import AuthorityDamaged, NameUnusable
from bellwire.pki.names import host_name
from bellwire.pki.registry import OperatorAuthority


def server_context(identity: Path, trusted: bytes) -> ssl.SSLContext:
    """TLS of a server that serves nobody without a certificate.

    Args:
        identity: The KME's certificate, its chain and its key, in one PEM file.
        trusted: PEM of whoever may sign a client's.

    Raises:
        AuthorityDamaged: one of both is not that.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _prepared(context, identity, trusted)


def client_context(identity: Path, trusted: bytes) -> ssl.SSLContext:
    """TLS of a client that shows who it is, and checks the name of the host.

    Args and raises: as `server_context`.
    """
    return _prepared(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), identity, trusted)


class KmeTls:
    """TLS of a site's KME, renewed while it runs.

    Args:
        authority: The site's; it is made if it is missing.
        kme_id: Name of the KME: it stands in its certificate.
        hosts: Names and addresses under which it is reached, beside those of this machine.
        operators: Further authorities of clients.

    Raises:
        NameUnusable: no id, or no host's name.
        AuthorityUnusable: an operator's file cannot be used.
        PkiError, PathUnusable, PathExposed: as `Authority`.
    """

    def __init__(
        self,
        authority: Authority,
        kme_id: str,
        hosts: Sequence[str] = (),
        operators: Sequence[OperatorAuthority] = (),
    ) -> None:
        authority.create()
        self._authority = authority
        self._kme_id = kme_id
        self._hosts = [*local_names(), *hosts]
        self._operators = b"".join(pem(each.certificates()) for each in operators)
        path = authority.kme(kme_id, self._hosts)
        self._loaded = self._what(path)
        trusted = authority.trusted()
        self.server = server_context(path, trusted + self._operators)
        self.client = client_context(path, trusted)

    def renew(self) -> bool:
        """Renew what is due, in the same contexts: connections made from now on have it.

        Call it every hour, and when the command line may have changed something, in the thread that
        makes connections: contexts must not change while they are used. An authority that is not
        trusted any more leaves the contexts with the next start; the registry refuses what it
        signed at once.

        Returns:
            Whether anything changed.

        Raises:
            As the constructor.
        """
        path = self._authority.kme(self._kme_id, self._hosts)
        now = self._what(path)
        if now == self._loaded:
            return False
        trusted = self._authority.trusted()
        for context, more in ((self.server, self._operators), (self.client, b"")):
            _prepared(context, path, trusted + more)
        self._loaded = now
        return True

    def trust(self, operators: Sequence[OperatorAuthority]) -> None:
        """Let handshakes of clients of these operators' authorities succeed from now on.

        Those of others succeed until the next start; the registry decides who is believed.

        Raises:
            AuthorityUnusable: an operator's file cannot be used; nothing changed.
        """
        self._operators = b"".join(pem(each.certificates()) for each in operators)
        if self._operators:
            self.server.load_verify_locations(cadata=self._operators.decode("ascii"))

    def _what(self, path: Path) -> tuple[int, int, bytes]:
        found = path.stat()
        return found.st_ino, found.st_mtime_ns, self._authority.trusted()


def local_names() -> list[str]:
    """Names and addresses of this machine that every KME's certificate has."""
    names = ["localhost", "127.0.0.1", "::1"]
    try:
        host_name(socket.gethostname())
    except NameUnusable:
        return names  # a name that is none in the DNS cannot be asked for either
    return [*names, socket.gethostname()]


def _prepared(context: ssl.SSLContext, identity: Path, trusted: bytes) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=trusted.decode("ascii"))
        context.load_cert_chain(identity)
    except (OSError, ValueError) as error:
        raise AuthorityDamaged(
            f"expected a KME's certificate and key in {identity}, and authorities to trust"
        ) from error
    return context
