"""TLS between two contexts without a network."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from bellwire.base.secret import Secret


def shake(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost") -> bytes:
    """Shake hands; the client's certificate as the server has it. Either end's refusal is raised.

    The server is asked first: what it refuses is told by its own error, not by the alert.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=host)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    waiting: list[ssl.SSLObject] = [near, far]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    der = far.getpeercert(binary_form=True)
    assert der is not None
    return der


def client_of(folder: Path, certificate: bytes, key: Secret, trusted: bytes) -> ssl.SSLContext:
    """The context of an SAE that has these files and trusts nobody else."""
    folder.mkdir(exist_ok=True)
    (folder / "sae.crt").write_bytes(certificate)
    (folder / "sae.key").write_bytes(key.reveal())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=trusted.decode())
    context.load_cert_chain(folder / "sae.crt", folder / "sae.key")
    return context


def only(context: ssl.SSLContext, versions: Sequence[ssl.TLSVersion]) -> ssl.SSLContext:
    """The same context, of these versions of TLS."""
    context.minimum_version, context.maximum_version = versions[0], versions[-1]
    return context
