"""TLS 1.3 with both ends' certificates, on the OpenSSL that `cryptography` brings: both in memory.

The groups are OpenSSL's own choice, which is X25519MLKEM768. Certificates are signed by an
authority that is not sent along, and each end checks the other's; session tickets are off, so that
each handshake is a full one. One line of JSON: a kind of certificate after the other, each with
handshakes, seconds of both ends, bytes of both directions, and 16 KiB records. OpenSSL sends two
tickets all the same (158 bytes, at no round trip), and pyOpenSSL has no switch for that.
"""

import datetime
import json
import socket
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bellwire.bench import loopback

KINDS = (MLDSA65PrivateKey, Ed25519PrivateKey)
CHUNK = 16 * 1024 * 4

NO_AUTO_CHAIN = 8
"""SSL_MODE_NO_AUTO_CHAIN of OpenSSL's ssl.h: the authority's certificate is not sent along."""


def certify(place: Path, kind: Any) -> None:
    """An authority's certificate, and the certificate and key of each end, as PEM files."""
    now = datetime.datetime.now(datetime.UTC)
    authority = kind.generate()
    for name, key in (("ca", authority), ("server", kind.generate()), ("client", kind.generate())):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(name == "ca", None), critical=True)
            .sign(authority, None)
        )
        (place / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (place / f"{name}.key").write_bytes(private)


def context(ssl: Any, place: Path, name: str) -> Any:
    """An end that shows its certificate and wants to see the other's."""
    made = ssl.Context(ssl.TLS_METHOD)
    made.set_min_proto_version(ssl.TLS1_3_VERSION)
    made.set_options(ssl.OP_NO_TICKET)
    made.set_mode(NO_AUTO_CHAIN)
    made.set_session_cache_mode(ssl.SESS_CACHE_OFF)
    made.use_certificate_file(str(place / f"{name}.pem"))
    made.use_privatekey_file(str(place / f"{name}.key"))
    made.load_verify_locations(str(place / "ca.pem"))
    made.set_verify(ssl.VERIFY_PEER | ssl.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *a: bool(a[4]))
    return made


def carry(ssl: Any, sender: Any, receiver: Any) -> int:
    """Bytes that one end has for the other."""
    carried = 0
    while True:
        try:
            data = sender.bio_read(1 << 17)
        except ssl.WantReadError:
            return carried
        receiver.bio_write(data)
        carried += len(data)


def shake_hands(ssl: Any, client_context: Any, server_context: Any) -> tuple[Any, Any, int]:
    """Both ends of a session, and the bytes of its handshake."""
    client, server = ssl.Connection(client_context), ssl.Connection(server_context)
    client.set_connect_state()
    server.set_accept_state()
    carried, open_ends = 0, {0: client, 1: server}
    while open_ends:
        for side, end in list(open_ends.items()):
            try:
                end.do_handshake()
                del open_ends[side]
            except ssl.WantReadError:
                pass
            carried += carry(ssl, *((client, server) if side == 0 else (server, client)))
    return client, server, carried


class _Stream:
    """A session over a socket."""

    def __init__(self, connection: Any, ended: type[Exception]) -> None:
        self._connection = connection
        self._ended = ended

    def send(self, text: bytes) -> None:
        self._connection.sendall(text)

    def receive(self) -> int:
        try:
            return len(self._connection.recv(loopback.CHUNK))
        except self._ended:
            return 0


def over_tcp(kind: Any) -> loopback.Ends:
    """Both sides of a full handshake with one kind of certificate, on a socket."""
    ssl = import_module("OpenSSL.SSL")
    client_context, server_context = contexts(ssl, kind)

    def connect(sock: socket.socket) -> _Stream:
        connection = ssl.Connection(client_context, sock)
        connection.set_connect_state()
        connection.do_handshake()
        return _Stream(connection, ssl.Error)

    def accept(sock: socket.socket) -> _Stream:
        connection = ssl.Connection(server_context, sock)
        connection.set_accept_state()
        connection.do_handshake()
        return _Stream(connection, ssl.Error)

    return loopback.Ends(connect, accept, lambda: shake_hands(ssl, client_context, server_context))


def records(ssl: Any, client: Any, server: Any, seconds: float) -> float:
    """Bytes a second through both ends, 16 KiB a record."""
    text, done, began = bytes(CHUNK), 0, time.process_time()
    while time.process_time() - began < seconds:
        client.sendall(text)
        carry(ssl, client, server)
        left = CHUNK
        while left:
            left -= len(server.recv(left))
        done += CHUNK
    return done / (time.process_time() - began)


def contexts(ssl: Any, kind: Any) -> tuple[Any, Any]:
    """A client and a server that trust each other's certificates of one kind."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        certify(place, kind)
        return context(ssl, place, "client"), context(ssl, place, "server")


def measure(kind: Any, seconds: float) -> dict[str, float]:
    """One kind of certificate, in memory."""
    ssl = import_module("OpenSSL.SSL")
    client_context, server_context = contexts(ssl, kind)
    client, server, carried = shake_hands(ssl, client_context, server_context)
    best = 0.0
    for _ in range(3):
        count, began = 0, time.process_time()
        while time.process_time() - began < seconds / 3:
            client, server, carried = shake_hands(ssl, client_context, server_context)
            count += 1
        best = max(best, count / (time.process_time() - began))
    client.sendall(bytes(16384))
    wire = carry(ssl, client, server)
    server.recv(16384)
    return {
        "sent": best,
        "seconds": 1.0,
        "bytes": carried,
        "record_overhead": wire - 16384,
        "bytes_per_s": records(ssl, client, server, seconds),
        "post_quantum": client.get_group_name() == "X25519MLKEM768",
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps([measure(kind, float(sys.argv[1])) for kind in KINDS]) + "\n")
