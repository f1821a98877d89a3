"""An independent key server of ETSI GS QKD 014: two boxes of a vendor over real mutual TLS.

Written from the standard's text with the standard library alone; shares no code with bellwire. Each
box is a thread with a socket of its own; what is between them (the vendor's link) is a dictionary.
A test may make a box misbehave by `fault`, stop it and start it again at the same port.
"""

import base64
import contextlib
import datetime
import ipaddress
import json
import os
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Reply = tuple[int, Any]
Fault = Callable[["Handler", str, Any], "Reply | None"]
"""(handler, method of 014, request) → another answer; None if it wrote its own, or nothing."""


class Authority:
    """Signs certificates, valid now unless told otherwise, and puts them into files."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.ca.pem"
        self.file.write_bytes(_pem(self._sign(self._name, self._key, ca=True)))

    def issue(self, name: str, *, days: float = 1.0, host: str = "127.0.0.1") -> tuple[Path, Path]:
        """(certificate, key) of a server or an SAE of that name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        stem = f"{self.file.name}-{uuid.uuid4().hex[:8]}"
        certificate, secret = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        certificate.write_bytes(_pem(self._sign(subject, key, days=days, host=host)))
        secret.touch(mode=0o600)
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, secret

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        days: float = 1.0,
        host: str = "127.0.0.1",
        ca: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        end = now + datetime.timedelta(days=days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, end) - datetime.timedelta(days=1))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            address = x509.IPAddress(ipaddress.ip_address(host))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@dataclass
class VendorLink:
    """What the two boxes share: keys with their id, master, slave and bits; and what they allow."""

    stock: int = 10_000
    key_size: int = 256
    max_per_request: int = 128
    max_key_size: int = 4096
    keys: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Kme:
    """One box, serving between `start` and `stop`."""

    def __init__(
        self, name: str, peer: str, link: VendorLink, tls: tuple[Path, Path], authority: Path
    ) -> None:
        self.name, self.peer, self.link = name, peer, link
        self.fault: Fault | None = None
        self.served: list[tuple[str, str, Any]] = []
        self.connections = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*tls)
        self.context.load_verify_locations(authority)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self._port = 0
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.drop()
        self._server.server_close()  # waits for the threads of its connections
        self._server = None


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, address: tuple[str, int], kme: Kme) -> None:
        super().__init__(address, Handler)
        self.kme = kme
        self._open: set[socket.socket] = set()
        self.gone = threading.Event()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self.kme.connections += 1
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever fails to shake hands, or leaves, is no news."""

    def drop(self) -> None:
        self.gone.set()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        self.request.settimeout(10.0)
        plain = self.request
        self.request = self.server.kme.context.wrap_socket(
            plain, server_side=True, do_handshake_on_connect=False
        )
        self.server._open.add(self.request)
        try:
            self.request.do_handshake()
        except BaseException:
            self.server._open.discard(self.request)
            self.request.close()
            raise
        super().setup()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        self.server._open.discard(self.request)
        self.request.close()

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    @property
    def caller(self) -> str:
        subject = self.request.getpeercert()["subject"]
        return str(next(v for rdn in subject for k, v in rdn if k == "commonName"))

    def _serve(self, body: bytes | None) -> None:
        kme = self.server.kme
        parts = urlsplit(self.path).path.split("/")
        if len(parts) != 6 or parts[:4] != ["", "api", "v1", "keys"]:
            self.send(404, {"message": "no such path"})
            return
        other, method = unquote(parts[4]), parts[5]
        request = json.loads(body) if body else {}
        kme.served.append((self.caller, method, request))
        reply: Reply | None = self._answer(other, method, request)
        if kme.fault is not None:
            changed = kme.fault(self, method, reply)
            if changed is None:
                return
            reply = changed
        assert reply is not None
        self.send(*reply)

    def _answer(self, other: str, method: str, request: Any) -> Reply:
        kme, link = self.server.kme, self.server.kme.link
        match method:
            case "status":
                return 200, {
                    "source_KME_ID": kme.name,
                    "target_KME_ID": kme.peer,
                    "master_SAE_ID": self.caller,
                    "slave_SAE_ID": other,
                    "key_size": link.key_size,
                    "stored_key_count": link.stock,
                    "max_key_count": 100_000,
                    "max_key_per_request": link.max_per_request,
                    "max_key_size": link.max_key_size,
                    "min_key_size": 64,
                    "max_SAE_ID_count": 0,
                    "status_extension": {"vendor_of": "nothing"},
                }
            case "enc_keys":
                return self._new_keys(other, request)
            case "dec_keys":
                return self._old_keys(other, request)
            case _:
                return 404, {"message": "no such method"}

    def _new_keys(self, slave: str, request: Any) -> Reply:
        link = self.server.kme.link
        number, size = request.get("number", 1), request.get("size", link.key_size)
        if size % 8:
            return 400, {"message": "size shall be a multiple of 8"}
        if not 1 <= number <= link.max_per_request or not 64 <= size <= link.max_key_size:
            return 400, {"message": "number or size out of range"}
        with link.lock:
            if number > link.stock:
                return 503, {"message": "key data access error", "details": [{"why": "empty"}]}
            link.stock -= number
            made = [(str(uuid.uuid4()), os.urandom(size // 8)) for _ in range(number)]
            for key_id, data in made:
                link.keys[key_id] = (self.caller, slave, data)
        return 200, {"keys": [_container(*each) for each in made]}

    def _old_keys(self, master: str, request: Any) -> Reply:
        link = self.server.kme.link
        wanted = [each["key_ID"] for each in request["key_IDs"]]
        with link.lock:
            there = [link.keys[each] for each in wanted if each in link.keys]
            if any(slave != self.caller for _, slave, _ in there):
                return 401, {"message": "these keys are not yours"}
            if len(there) != len(wanted) or any(found[0] != master for found in there):
                return 400, {"message": "one or more keys specified are not found on KME"}
            return 200, {"keys": [_container(each, link.keys.pop(each)[2]) for each in wanted]}

    def send(self, code: int, content: Any, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def _container(key_id: str, data: bytes) -> dict[str, Any]:
    return {
        "key_ID": key_id,
        "key": base64.b64encode(data).decode(),
        "key_extension": {"hops": 1},
    }


@dataclass
class Vendor:
    """Two boxes, whoever signs, and the SAEs of two nodes with their certificates."""

    authority: Authority
    link: VendorLink
    alice: Kme
    bob: Kme
    sae: dict[str, tuple[Path, Path]]


@contextlib.contextmanager
def vendor(folder: Path, link: VendorLink | None = None) -> Iterator[Vendor]:
    """Two boxes that serve `sae-alice` and `sae-bob` until the end of the block."""
    folder.mkdir(exist_ok=True)
    authority = Authority(folder, "vendor")
    shared = link or VendorLink()
    boxes = alice, bob = (
        Kme("kme-a", "kme-b", shared, authority.issue("kme-a"), authority.file),
        Kme("kme-b", "kme-a", shared, authority.issue("kme-b"), authority.file),
    )
    sae = {name: authority.issue(name) for name in ("sae-alice", "sae-bob", "sae-else")}
    for each in boxes:
        each.start()
    try:
        yield Vendor(authority, shared, alice, bob, sae)
    finally:
        for each in boxes:
            each.stop()
