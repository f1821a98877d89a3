"""What services with an API over HTTP have in common.

TLS of their own, or this machine alone; a state folder that no other process of theirs uses.
"""

import contextlib
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

from bellwire.base.errors import RefusedError, UsageError
from bellwire.base.lock import held
from bellwire.base.private import read_own_file, unusable


def server_tls(certificate: Path | None, key: Path | None, setting: str) -> ssl.SSLContext | None:
    """TLS of a server that asks nobody for a certificate; None without a certificate.

    Args:
        certificate: The chain, PEM.
        key: Its private key, PEM, mode 0600, not encrypted.
        setting: What names the key, for errors.

    Raises:
        UsageError: they are not a certificate and its key.
        PathUnusable, PathExposed: the key cannot be used, or others may read it.
    """
    if certificate is None or key is None:
        return None
    if read_own_file(key, 1) is None:
        raise UsageError(f"{setting}: expected a private key at {key}, got no file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])

    def no_password() -> str:
        raise UsageError(
            f"{setting}: expected a private key that is not encrypted, got one that is"
        )

    try:
        context.load_cert_chain(certificate, key, no_password)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"expected a certificate in {certificate} and its private key in {key}, both in PEM"
        ) from error
    return context


def require_loopback(host: str, hint: str) -> None:
    """Let an address of this machine alone pass: what is secret goes over it in the clear.

    Args:
        host: Where a service shall listen.
        hint: What to do for others.

    Raises:
        RefusedError: others reach it.
    """
    if host == "localhost":
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    raise RefusedError(
        f"expected an address of this machine alone for HTTP without TLS, got {host}", hint=hint
    )


@contextlib.contextmanager
def alone_in(folder: Path, what: str) -> Iterator[None]:
    """Hold a service's folder: what it has in memory, a second one would not know of.

    Args:
        folder: The service's own.
        what: The service, for errors.

    Raises:
        UsageError: another one holds it.
        PathUnusable, PathExposed: it cannot be held.
    """
    lock = folder / "lock"
    with contextlib.ExitStack() as holding:
        try:
            holding.enter_context(held(lock))
        except BlockingIOError as error:
            raise UsageError(
                f"expected no {what} at work in {folder}, got one",
                hint="Stop the other one, or choose another state folder with --state.",
            ) from error
        except OSError as error:
            raise unusable(lock, error) from error
        yield
