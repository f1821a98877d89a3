"""A model behind OpenAI's chat interface, on a free port: the protocol, and answers of the test's.

Written from the interface's public description with the standard library alone.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Say = Callable[[dict[str, Any]], tuple[int, bytes]]
"""(the numbers it was told) → status and body."""


@dataclass
class Model:
    """What it says, and what it was asked."""

    say: Say
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


def completion(content: str) -> bytes:
    """A chat completion with that content."""
    message = {"role": "assistant", "content": content}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
    ).encode()


def judged(verdict: str, risk: object, *reasons: str) -> tuple[int, bytes]:
    """An answer of the form that is asked for."""
    said = {"verdict": verdict, "risk": risk, "reasons": reasons}
    return 200, completion(json.dumps(said))


@contextmanager
def model(say: Say) -> Iterator[Model]:
    """Run one; it refuses what a real one would."""
    found = Model(say)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.asked.append(body)
            found.keys.append(self.headers.get("authorization"))
            if self.path != "/v1/chat/completions":
                status, words = 404, b"{}"
            elif [each["role"] for each in body["messages"]] != ["system", "user"]:
                status, words = 400, b"{}"
            else:
                status, words = found.say(json.loads(body["messages"][1]["content"]))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(words)))
            self.end_headers()
            self.wfile.write(words)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}/v1"
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
