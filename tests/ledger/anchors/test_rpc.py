"""The way to a node: bounded, and silent about where it goes."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from bellwire.ledger.anchors.errors import AnchorUnusable, ChainRefused, ChainUnreachable
from bellwire.ledger.anchors.rpc import MAX_ANSWER, NodeRpc

SECRET = "the-key-of-who-rents-it"
BAD = {
    "html": b"<html>busy</html>",
    "array": b"[]",
    "other": b'{"jsonrpc":"2.0","id":77,"result":1}',
    "nothing": b'{"jsonrpc":"2.0","id":1}',
    "deep": b'{"id":1,"result":' + b"[" * 100_000,
    "bytes": b'{"id":"\xff","result":1}',
    "long": b" " * (MAX_ANSWER + 1),
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["content-length"]))
            kind = self.path.rpartition("/")[2]
            error = b'{"id":1,"error":{"code":-32000,"message":"no\\u001b[31m means"}}'
            data = error if kind == "error" else BAD.get(kind, asked)
            self.send_response(503 if kind in {"html", "error"} else 200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://user:{SECRET}@127.0.0.1:{server.server_port}/{SECRET}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_answer_is_told_of_without_the_address(url: str, kind: str) -> None:
    with NodeRpc(f"{url}/{kind}") as node, pytest.raises(ChainUnreachable) as caught:
        node.ask("anything", [])
    assert SECRET not in f"{caught.value}{node!r}{caught.value.__cause__}"


def test_what_a_node_refuses_is_said_in_its_words_but_not_its_escapes(url: str) -> None:
    with NodeRpc(f"{url}/error") as node, pytest.raises(ChainRefused) as caught:
        node.ask("anything", [])
    assert (caught.value.code, caught.value.said) == (-32000, "no?[31m means")


def test_a_node_that_is_not_there_is_told_of_without_its_address() -> None:
    with NodeRpc(f"http://127.0.0.1:1/{SECRET}") as node, pytest.raises(ChainUnreachable) as caught:
        node.ask("anything", [])
    assert str(caught.value).endswith("the node at 127.0.0.1:1, got no connection")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "ftp://h", "http://", "https://:80", f"h ttp://{SECRET}"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AnchorUnusable) as caught:
        NodeRpc(text)
    assert SECRET not in str(caught.value)
