"""The channel over TCP, and TLS 1.3 beside it, by `bellwire.bench.loopback`.

A process of its own. Arguments: handshakes in a run, runs, and records of 16 KiB in a run. It
prints one line of JSON: what was found of the channel, then, where pyOpenSSL is installed, of TLS
with each kind of certificate.
"""

import json
import socket
import sys
from importlib.util import find_spec

from bellwire.bench.ends import KnownEnds, key_of
from bellwire.bench.loopback import CHUNK, Ends, Work, measure
from bellwire.bench.rivals import tls13
from bellwire.channel.messages import HEADER_BYTES, body_length
from bellwire.channel.session import Session

ROOM = 2**18
"""Bytes that wait to be read, more than a record has."""


class _Wire:
    """Messages of the channel over a socket that blocks."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._come = memoryview(bytearray(ROOM))
        self._begin = self._end = 0

    def write(self, messages: list[bytes]) -> None:
        """All of them by one call of the system, if the socket takes them."""
        sent = self._sock.sendmsg(messages)
        if sent < sum(map(len, messages)):
            self._sock.sendall(b"".join(messages)[sent:])

    def read(self) -> bytes:
        """The next message; empty at the end."""
        while not (message := self._whole()):
            left = self._end - self._begin
            self._come[:left] = self._come[self._begin : self._end]
            came = self._sock.recv_into(self._come[left:])
            if not came:
                return b""
            self._begin, self._end = 0, left + came
        return message

    def _whole(self) -> bytes:
        cut = self._begin + HEADER_BYTES
        if self._end < cut:
            return b""
        end = cut + body_length(bytes(self._come[self._begin : cut]))
        if self._end < end:
            return b""
        message, self._begin = bytes(self._come[self._begin : end]), end
        return message


class _Stream:
    """A session over a socket."""

    def __init__(self, wire: _Wire, session: Session) -> None:
        self._wire = wire
        self._session = session

    def send(self, text: bytes) -> None:
        starts = range(0, len(text), CHUNK)
        self._wire.write([self._session.seal(text[at : at + CHUNK]) for at in starts])

    def receive(self) -> int:
        record = self._wire.read()
        if not record:
            return 0
        text = self._session.open(record)
        assert isinstance(text, bytes)
        return len(text)


def ends(known: KnownEnds) -> Ends:
    """Both sides of a full handshake with a QKD key that each has at hand."""

    def connect(sock: socket.socket) -> _Stream:
        wire = _Wire(sock)
        initiator = known.initiator()
        wire.write([initiator.hello()])
        confirm, session = initiator.receive(wire.read())
        assert session is not None
        wire.write([confirm])
        return _Stream(wire, session)

    def accept(sock: socket.socket) -> _Stream:
        wire = _Wire(sock)
        responder = known.responder()
        offer = responder.receive_hello(known.admit(wire.read()))
        wire.write([responder.answer(key_of(offer.key_id))])
        return _Stream(wire, responder.receive_confirmation(wire.read()))

    return Ends(connect, accept, known.shake_hands)


def main(arguments: list[str]) -> None:
    """Measure what there is."""
    protocols = [ends(KnownEnds())]
    if find_spec("OpenSSL"):
        protocols += [tls13.over_tcp(kind) for kind in tls13.KINDS]
    found = measure(protocols, Work(*map(int, arguments)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
