"""What the measuring client speaks, in whole batches: frames in arrays.

Each dialect sends messages of 256 bytes from one connection to another. A client that is slow would
measure itself; here a batch costs it a few array operations, and one write.
"""

import base64
import hashlib
import json
import re
import secrets
import socket
import struct
from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np

from bellwire.base.secret import Secret
from bellwire.chat.identity import SEED_BYTES, Identity
from bellwire.chat.relay.frames import (
    BUNDLES,
    MAX_BUNDLE,
    Challenge,
    Done,
    Drop,
    DropBundle,
    Listen,
    Login,
    Op,
    Open,
    Request,
    SafeUpTo,
    encode,
    read_answer,
)
from bellwire.crypto.labels import CHAT_RELAY

MESSAGE_BYTES: Final = 256
PAYLOAD_BYTES: Final = 512
"""Of a relay of ours, whose payloads have fixed sizes."""

TTL_S: Final = 86_400
_MESSAGE: Final = bytes(65 + number % 26 for number in range(MESSAGE_BYTES))
_PAYLOAD: Final = _MESSAGE.ljust(PAYLOAD_BYTES)
_BUNDLE, _DONE = int(Op.DELIVER_BUNDLE), int(Op.DONE)
_CONNECT_S: Final = 20.0


class Dialect(Protocol):
    """One pair: who sends, who receives."""

    @property
    def sender(self) -> socket.socket:
        """On which it is sent."""

    @property
    def receiver(self) -> socket.socket | None:
        """On which it comes; None if nobody is there."""

    def batch(self, count: int) -> bytes | bytearray:
        """So many messages, as the sender writes them."""

    def received(self, data: bytes) -> tuple[int, bytes]:
        """How many came to the receiver with these bytes, and what it answers."""

    def confirmed(self, data: bytes) -> int:
        """How many the server says are done, to the sender, with these bytes."""

    @property
    def confirms(self) -> bool:
        """Whether it says so at all."""


class WebSocket:
    """A client's line, blocking: for what comes before the measurement.

    Raises:
        ConnectionError: what answers is no WebSocket server, or does not speak `protocol`.
    """

    def __init__(self, port: int, protocol: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(bytes(16)).decode()
        asked = (
            f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            + (f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else "")
            + "\r\n"
        ).encode()
        self.socket.sendall(asked)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._exactly(1)
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError("expected a WebSocket server, got another")
        if protocol.encode() not in head:
            raise ConnectionError(f"expected a server that speaks {protocol}, got another")

    def send(self, data: bytes, *, text: bool = False) -> None:
        """One message."""
        self.socket.sendall(frame_of_client(data, text=text))

    def read(self) -> bytes:
        """The next message."""
        size = self._exactly(2)[1]
        if size == 126:
            size = int.from_bytes(self._exactly(2), "big")
        return self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("expected an answer, got the end of the line")
            data += more
        return data


_RUN: Final = secrets.token_bytes(32)
"""Of this process: what an earlier one left at the relay is not its own."""


class Owner:
    """One account with one mailbox at a relay of bellwire.

    Args:
        port: The relay's.
        number: Of the account.
        listen: Whether what comes is delivered.
        protocol: The WebSocket subprotocol.
    """

    def __init__(self, port: int, number: int, *, listen: bool, protocol: str = "") -> None:
        seed = hashlib.sha512(_RUN + number.to_bytes(8, "big")).digest()
        self.right = seed[:32]
        self.line = WebSocket(port, protocol)
        _log_in(self.line, Identity(Secret(seed[:SEED_BYTES])))
        _ask(self.line, Open(2, seed[32:48], hashlib.sha256(self.right).digest()))
        if listen:
            _ask(self.line, Listen(3))


class Ours:
    """A pair at a relay of bellwire, each message in a frame of its own.

    Args:
        port: The relay's.
        number: Of the pair.
        listen: Whether the owner of the mailbox is there.
    """

    confirms = True
    protocol = ""

    def __init__(self, port: int, number: int, *, listen: bool) -> None:
        self._number = number
        self._owner = Owner(port, number, listen=listen, protocol=self.protocol)
        self.receiver = self._owner.line.socket if listen else None
        line = WebSocket(port, self.protocol)
        line.read()
        self.sender = line.socket
        self._rest_in = self._rest_out = b""
        self._sent = self._came = 0
        example = encode(Drop(0, self._owner.right, bytes(16), TTL_S, _PAYLOAD))
        self._drop = np.frombuffer(frame_of_client(example), np.uint8)
        self._head = len(self._drop) - len(example)
        self._safe = np.frombuffer(frame_of_client(b"\x06" + bytes(8)), np.uint8)

    def close(self) -> None:
        """End both lines."""
        self.sender.close()
        self._owner.line.socket.close()

    def come_back(self, port: int) -> None:
        """The owner listens now."""
        self._owner.line.socket.close()
        self._owner = Owner(port, self._number, listen=True, protocol=self.protocol)
        self.receiver = self._owner.line.socket

    def batch(self, count: int) -> bytes | bytearray:
        """Each with its own number and token."""
        frames = np.tile(self._drop, (count, 1))
        numbers = np.arange(self._sent + 1, self._sent + count + 1).astype(">u8")
        self._sent += count
        raw = numbers.view(np.uint8).reshape(count, 8)
        at = self._head + 1
        frames[:, at : at + 4] = raw[:, 4:]
        frames[:, at + 36 : at + 44] = raw
        frames[:, -8:] = raw
        return frames.tobytes()

    def received(self, data: bytes) -> tuple[int, bytes]:
        """Each must be the next that was sent, else ConnectionError; and is said to be safe."""
        whole, self._rest_in = _whole(self._rest_in + data, 4 + 25 + PAYLOAD_BYTES)
        numbers = np.ascontiguousarray(whole[:, -8:]).view(">u8").ravel()
        if not (numbers == np.arange(self._came + 1, self._came + len(whole) + 1)).all():
            raise ConnectionError("expected each message once and in order, got another")
        self._came += len(whole)
        safes = np.tile(self._safe, (len(whole), 1))
        safes[:, 7:] = whole[:, 21:29]
        return len(whole), safes.tobytes()

    def confirmed(self, data: bytes) -> int:
        """Each must be done, else ConnectionError."""
        whole, self._rest_out = _whole(self._rest_out + data, 7)
        if not (whole[:, 2] == 0x82).all():
            raise ConnectionError(f"expected that all is done, got {bytes(data).hex()}")
        return len(whole)


class Bundled(Ours):
    """A pair at a relay of bellwire; messages that are sent at once go in one bundle."""

    protocol = BUNDLES

    def __init__(self, port: int, number: int, *, listen: bool) -> None:
        super().__init__(port, number, listen=listen)
        self._bundles: dict[int, _Template] = {}
        self._asked: dict[int, int] = {}
        self._requests = 0

    def batch(self, count: int) -> bytearray:
        """One request; each message has its own number and token."""
        template = self._bundles.get(count)
        if template is None:
            template = self._bundles[count] = _Template(self._owner.right, count)
        self._requests += 1
        self._asked[self._requests] = count
        template.set(self._requests, self._sent + 1)
        self._sent += count
        return template.frame

    def received(self, data: bytes) -> tuple[int, bytes]:
        """As `Ours.received`; the last one is said to be safe, and so are those before it."""
        if self._rest_in:
            data = self._rest_in + data
        at = count = last = 0
        for op, start, end in _frames(data):
            many = data[start + 25] if op == _BUNDLE else 1
            last = int.from_bytes(data[start + 17 : start + 25], "big") + many - 1
            numbers = _NUMBERS[many].unpack_from(data, end - many * PAYLOAD_BYTES)
            if numbers != tuple(range(self._came + 1, self._came + many + 1)):
                raise ConnectionError("expected each message once and in order, got another")
            self._came += many
            count, at = count + many, end
        self._rest_in = data[at:]
        return count, frame_of_client(encode(SafeUpTo(last))) if count else b""

    def confirmed(self, data: bytes) -> int:
        """Each request must be done, else ConnectionError."""
        data = self._rest_out + data
        end = len(data) - len(data) % 7
        self._rest_out = data[end:]
        count = 0
        for at in range(2, end, 7):
            if data[at] != _DONE:
                raise ConnectionError(f"expected that all is done, got {data.hex()}")
            count += self._asked.pop(int.from_bytes(data[at + 1 : at + 5], "big"))
        return count


_NUMBERED: Final = np.dtype([("words", f"V{PAYLOAD_BYTES - 8}"), ("number", "<u8")])
"""A payload that has its number at the end."""

_NUMBERS: Final = [
    struct.Struct("<" + f"{PAYLOAD_BYTES - 8}xQ" * many) for many in range(MAX_BUNDLE + 1)
]
"""The numbers of so many payloads behind each other."""

_COUNT: Final = np.arange(MAX_BUNDLE, dtype="<u8")


class _Template:
    """A bundle of so many messages, in which only the numbers change."""

    def __init__(self, right: bytes, count: int) -> None:
        drop = DropBundle(0, right, TTL_S, (bytes(16),) * count, (_PAYLOAD,) * count)
        self.frame = bytearray(frame_of_client(encode(drop)))
        self._request = memoryview(self.frame)[9:13]
        at = len(self.frame) - count * PAYLOAD_BYTES
        self._payloads = np.frombuffer(self.frame, _NUMBERED, count, at)["number"]
        at -= count * 16
        self._tokens = np.frombuffer(self.frame, "<u8", 2 * count, at)[::2]
        self._count = _COUNT[:count]

    def set(self, request: int, first: int) -> None:
        """The numbers of the request and of its first message."""
        self._request[:] = request.to_bytes(4, "big")
        np.add(self._count, first, out=self._tokens)
        self._payloads[:] = self._tokens


class Json:
    """A pair at a relay of JSON with base64 over WebSocket."""

    confirms = False

    def __init__(self, port: int, number: int) -> None:
        self.receiver, self.sender = (
            self._register(port, f"{side}{number:06}") for side in ("to", "by")
        )
        text = base64.b64encode(_MESSAGE).decode()
        message = f'{{"type": "message", "to": "to{number:06}", "ciphertext": "{text}"}}'
        self._message = frame_of_client(message.encode(), text=True)
        self._count = _Count(b'"ciphertext"')

    @staticmethod
    def _register(port: int, name: str) -> socket.socket:
        line = WebSocket(port)
        line.send(f'{{"type": "register", "user": "{name}"}}'.encode(), text=True)
        line.read()
        return line.socket

    def batch(self, count: int) -> bytes:
        """All alike."""
        return self._message * count

    def received(self, data: bytes) -> tuple[int, bytes]:
        """Nothing is answered."""
        return self._count.more(data), b""

    def confirmed(self, data: bytes) -> int:
        """Never."""
        return 0


class Nats:
    """A pair at a nats-server: publish and subscribe, or through a stream of JetStream.

    Args:
        port: The server's.
        number: Of the pair.
        stream: Whether a stream `bench` keeps what is published, and confirms it; receivers then
            acknowledge each message.
        listen: Whether somebody receives.
    """

    def __init__(self, port: int, number: int, *, stream: bool, listen: bool = True) -> None:
        self.confirms = stream
        self.sender = _nats(port)
        self.receiver = None
        reply = ""
        if stream:
            _provide(self.sender, number, listen=listen)
            self.sender.sendall(f"SUB ack.{number} 1\r\n".encode())
            reply = f" ack.{number}"
        subject = f"kept.{number}" if stream else f"passing.{number}"
        head = f"PUB {subject}{reply} {MESSAGE_BYTES}\r\n".encode()
        if listen:
            self.receiver = _nats(port)
            subject = f"deliver.{number}" if stream else subject
            self.receiver.sendall(f"SUB {subject} 1\r\nPING\r\n".encode())
            _until(self.receiver, b"PONG\r\n")
        self._message = head + _MESSAGE + b"\r\n"
        self._came = _Count(_MESSAGE[-8:] + b"\r\n")
        self._done = _Count(b'"seq":')
        self._rest = b""

    def batch(self, count: int) -> bytes:
        """All alike."""
        return self._message * count

    def received(self, data: bytes) -> tuple[int, bytes]:
        """With a stream, each is acknowledged."""
        if not self.confirms:
            return self._came.more(data), b""
        text = self._rest + data
        cut = text.rfind(b"\r\n") + 2 if b"\r\n" in text else 0
        text, self._rest = text[:cut], text[cut:]
        replies = re.findall(rb"(\$JS\.ACK\.\S+) \d+\r\n", text)
        return len(replies), b"".join(b"PUB %b 0\r\n\r\n" % reply for reply in replies)

    def confirmed(self, data: bytes) -> int:
        """With a stream, each is."""
        return self._done.more(data)


class _Count:
    """How often a mark comes in a stream of bytes."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._rest = b""

    def more(self, data: bytes) -> int:
        """In what comes next."""
        text = self._rest + data
        self._rest = text[-(len(self._mark) - 1) :]
        return text.count(self._mark)


def frame_of_client(data: bytes, *, text: bool = False) -> bytes:
    """One frame, masked with zeros, which leaves the bytes as they are (RFC 6455, 5.3)."""
    first = bytes([0x81 if text else 0x82])
    if len(data) < 126:
        return first + bytes([0x80 | len(data)]) + bytes(4) + data
    return first + b"\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data


def _log_in(line: WebSocket, account: Identity) -> None:
    challenge = read_answer(line.read())
    assert isinstance(challenge, Challenge)
    signature = account.sign(challenge.nonce + challenge.relay_id, CHAT_RELAY)
    _ask(line, Login(1, account.public.public_bytes, signature))


def _ask(line: WebSocket, request: Request) -> None:
    line.send(encode(request))
    answer = read_answer(line.read())
    if not isinstance(answer, Done):
        raise ConnectionError(f"expected that the relay does it, got {answer}")


def _nats(port: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_S)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.sendall(b'CONNECT {"verbose": false, "pedantic": false}\r\nPING\r\n')
    _until(line, b"PONG\r\n")
    return line


def _provide(line: socket.socket, number: int, *, listen: bool) -> None:
    """A stream on files for all pairs, and a consumer for the one who listens."""
    line.sendall(b"SUB api 9\r\n")
    wishes: list[tuple[str, dict[str, object]]] = [
        (
            "STREAM.CREATE.bench",
            {
                "name": "bench",
                "subjects": ["kept.*"],
                "storage": "file",
                "retention": "workqueue",
            },
        ),
        # What an earlier run left for somebody away is not this run's.
        ("STREAM.PURGE.bench", {"filter": f"kept.{number}"}),
    ]
    if listen:
        config = {
            "durable_name": f"c{number}",
            "filter_subject": f"kept.{number}",
            "deliver_subject": f"deliver.{number}",
            "ack_policy": "explicit",
            "max_ack_pending": 1000,
        }
        wishes.append(
            (
                f"CONSUMER.DURABLE.CREATE.bench.c{number}",
                {"stream_name": "bench", "config": config},
            )
        )
    for subject, wish in wishes:
        text = json.dumps(wish)
        line.sendall(f"PUB $JS.API.{subject} api {len(text)}\r\n{text}\r\n".encode())
        answer = _until(line, b"}\r\n")
        if b'"error"' in answer:
            raise ConnectionError(f"expected a stream, got {answer.decode()}")
    line.sendall(b"UNSUB 9\r\n")


def _until(line: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        more = line.recv(4096)
        if not more:
            raise ConnectionError("expected an answer, got the end of the line")
        data += more
    return data


def _frames(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Whole frames of a server's: the first byte of what is in them, where that begins and ends."""
    at = 0
    while len(data) - at >= 4:
        length = data[at + 1]
        start = at + 2
        if length == 126:
            length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        at = start + length
        if at > len(data):
            return
        yield data[start], start, at


def _whole(data: bytes, size: int) -> tuple[np.ndarray, bytes]:
    """Whole frames of one size as rows, and what is left over."""
    count = len(data) // size
    rows = np.frombuffer(data, np.uint8, count * size).reshape(count, size)
    return rows, data[count * size :]
