"""A node that is told to stop answers what was asked, within a bound, and ends in good order."""

import json
import signal
import socket
import ssl
from typing import Any

import pytest
from tests.node.test_reload import Running, node, until
from tests.patience import PATIENCE_S

__all__ = ["node"]

BODY = b'{"number": 3, "size": 128}'
HEAD = (
    b"POST /api/v1/keys/second/enc_keys HTTP/1.1\r\nhost: kme\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY)
)


def connect(node: Running, context: ssl.SSLContext) -> ssl.SSLSocket:
    host, _, port = node.url.removeprefix("https://").rpartition(":")
    plain = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
    return context.wrap_socket(plain, server_hostname=host)


def answer(connection: ssl.SSLSocket) -> tuple[int, bytes, Any]:
    """Code, head and content of all that still comes."""
    data = b""
    while part := connection.recv(1 << 16):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower(), json.loads(body)


def refuses(node: Running) -> bool:
    host, _, port = node.url.removeprefix("https://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()
    except ConnectionError:
        return True
    return False


def test_a_request_that_has_begun_is_answered_with_keys_after_the_signal(node: Running) -> None:
    context = node.sae("first")
    node.sae("second")
    with connect(node, context) as whole, connect(node, context) as half:
        whole.sendall(HEAD + BODY)
        until(lambda: whole.recv(1 << 16).startswith(b"HTTP/1.1 200"), "no key before the signal")
        half.sendall(HEAD + BODY[:5])
        # The node has read it when it has answered what was sent behind it elsewhere.
        whole.sendall(HEAD + BODY)
        until(lambda: whole.recv(1 << 16).startswith(b"HTTP/1.1 200"), "no second key")
        node.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(node), "it still listens")
        assert node.process.poll() is None
        half.sendall(BODY[5:])
        code, head, content = answer(half)
    assert code == 200
    assert b"connection: close" in head
    assert len(content["keys"]) == 3
    assert node.process.wait(PATIENCE_S) == 0
    assert "request failed" not in node.log


def test_a_request_that_is_never_finished_holds_the_end_up_no_longer_than_its_grace(
    node: Running,
) -> None:
    context = node.sae("first")
    with connect(node, context) as half:
        half.sendall(HEAD + BODY[:5])
        node.process.send_signal(signal.SIGTERM)
        # The bound is the harness' patience here; 5 s by intention (`door.GRACE_S`).
        assert node.process.wait(PATIENCE_S) == 0
        with pytest.raises((ssl.SSLError, OSError, IndexError)):
            answer(half)
