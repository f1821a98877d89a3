"""Requests out of a stream of bytes: HTTP/1.1 (RFC 9112) within bounds, sans-I/O.

Whatever is wrong becomes a last request that is to be refused: those before it are answered first,
and nothing after it is read.

A client on a kept connection sends the same head again and again. One that came before, byte for
byte, would be parsed to the same again, so it is not: that is half of what a request costs here.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

import httptools

from bellwire.web.errors import RequestRefused
from bellwire.web.settings import DoorLimits

Fields = list[tuple[bytes, bytes]]

_SPECIAL = {b"transfer-encoding", b"expect", b"upgrade", b"connection"}
"""Fields that say more of what follows than how long it is."""


class Asked:
    """A request that came whole, or the refusal of one that did not.

    Attributes:
        verb: GET, POST, …
        target: As in the request line.
        fields: Header fields, names in lower case.
        body: Content; may hold key ids.
        keep_alive: Whether another may follow.
        upgrade: Whether it asks for another protocol.
        refused: Why it is refused already, or None.
    """

    __slots__ = ("body", "fields", "keep_alive", "refused", "target", "upgrade", "verb")

    def __init__(
        self,
        verb: bytes,
        target: bytes,
        fields: Fields,
        body: bytes,
        *,
        keep_alive: bool,
        upgrade: bool = False,
        refused: RequestRefused | None = None,
    ) -> None:
        self.verb = verb
        self.target = target
        self.fields = fields
        self.body = body
        self.keep_alive = keep_alive
        self.upgrade = upgrade
        self.refused = refused


@dataclass(frozen=True, slots=True)
class _Known:
    """A head that was parsed and let pass, and how long a whole request with it is.

    Attributes:
        head: Its bytes, to the empty line at its end.
        size: Bytes of the request.
        verb: As `Asked` has it; the same with what follows.
        target: From it.
        fields: In it.
    """

    head: bytes
    size: int
    verb: bytes
    target: bytes
    fields: Fields


class Part(Enum):
    """What the next byte belongs to."""

    NOTHING = "between requests"
    HEAD = "head"
    BODY = "body"


class RequestReader:
    """Feed it bytes; take requests from `asked`, oldest first.

    Args:
        limits: Bounds.

    Attributes:
        asked: Requests not yet taken.
        part: Where the stream is.
        begun: Requests begun so far.
        ended: True once nothing more is read.
        expecting: True if the client waits for 100 Continue before it sends a body.
    """

    def __init__(self, limits: DoorLimits) -> None:
        self.asked: deque[Asked] = deque()
        self.part = Part.NOTHING
        self.begun = 0
        self.ended = False
        self.expecting = False
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._known: _Known | None = None
        self._came = 0
        self._length = 0
        self._begin()

    def feed(self, data: bytes) -> None:
        """Read on."""
        if self.ended:
            return
        before = self.begun
        fresh = self.part is Part.NOTHING
        if fresh and self._is_known(data):
            return
        self._came += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.ended = True  # what follows is another protocol
        except httptools.HttpParserError:
            self.refuse(400, "the request is not HTTP/1.1")
        if fresh and self.begun == before + 1:
            self._came = len(data)  # all of it is the one request that began
            if self.part is Part.NOTHING and not self.ended:
                self._remember(data, self.asked[-1])
        # What the parser still holds back is seen here alone: a field, an extension of a chunk.
        if self.part is Part.HEAD and self._came > self._limits.head_bytes:
            self.refuse(431, "the head of the request is too long")
        elif self.part is Part.BODY and self._came > self._most():
            self.refuse(413, "the body of the request is too long")

    def _is_known(self, data: bytes) -> bool:
        """Take a whole request whose head is the last one's; the parser need not see it."""
        known = self._known
        if known is None or len(data) != known.size or not data.startswith(known.head):
            return False
        self.begun += 1
        body = data[len(known.head) :]
        self.asked.append(Asked(known.verb, known.target, known.fields, body, keep_alive=True))
        return True

    def _remember(self, data: bytes, asked: Asked) -> None:
        """A whole request came by itself: know its head, if the length of a body is all it says."""
        end = data.find(b"\r\n\r\n") + 4
        plain = asked.keep_alive and not asked.upgrade and len(data) - end == len(asked.body)
        if plain and not any(name in _SPECIAL for name, _ in asked.fields):
            self._known = _Known(data[:end], len(data), asked.verb, asked.target, asked.fields)

    def refuse(self, code: int, message: str) -> None:
        """End with a refusal of the request under way."""
        if self.ended:
            return
        self.ended = True
        self.expecting = False
        self.part = Part.NOTHING
        refused = RequestRefused(code, message)
        self.asked.append(Asked(b"", b"", [], b"", keep_alive=False, refused=refused))

    # The parser calls these.

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self.ended:
            self.begun += 1
            self.part = Part.HEAD
            self._begin()

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self._target += url
        self._length += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field, whole."""
        if self.part is not Part.HEAD:
            return  # a trailer
        self._length += len(name) + len(value) + 4
        self._fields.append((name.lower(), value))
        if len(self._fields) > self._limits.head_fields:
            self.refuse(431, "the head of the request has too many fields")

    def on_headers_complete(self) -> None:
        """The end of its head."""
        if self.ended:
            return
        if self._length > self._limits.head_bytes:
            self.refuse(431, "the head of the request is too long")
            return
        version = self._parser.get_http_version()
        hosts = 0
        for name, value in self._fields:
            if name == b"host":
                hosts += 1
            elif name == b"content-length" and int(value) > self._limits.body_bytes:
                self.refuse(413, f"the body is to have at most {self._limits.body_bytes} bytes")
                return
            elif name == b"expect" and value.lower() == b"100-continue":
                self.expecting = version == "1.1"
        if version not in {"1.0", "1.1"}:
            self.refuse(505, "the request is not HTTP/1.1")
        elif hosts > 1 or (hosts == 0 and version == "1.1"):
            self.refuse(400, "the request is to name its host once")
        else:
            self.part = Part.BODY
            self._keep_alive = version == "1.1" and self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """A piece of its content."""
        if self.ended:
            return
        self.expecting = False
        self._held += len(body)
        if self._held > self._limits.body_bytes:
            self.refuse(413, f"the body is to have at most {self._limits.body_bytes} bytes")
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Its end."""
        if self.ended:
            return
        upgrade = self._parser.should_upgrade()
        if upgrade and any(
            name == b"transfer-encoding" or (name == b"content-length" and int(value))
            for name, value in self._fields
        ):
            # The parser takes the body for the other protocol's: it would be lost.
            self.refuse(400, "a request for another protocol has no body")
            return
        self.part = Part.NOTHING
        self.expecting = False
        self.asked.append(
            Asked(
                self._parser.get_method(),
                self._target,
                self._fields,
                b"".join(self._pieces),
                keep_alive=self._keep_alive,
                upgrade=upgrade,
            )
        )

    def _begin(self) -> None:
        self._came = 0
        self._length = 0
        self._held = 0
        self._target = b""
        self._fields: Fields = []
        self._pieces: list[bytes] = []
        self._keep_alive = False

    def _most(self) -> int:
        """Bytes of a body with whatever its chunks add, which is little unless it is an attack."""
        return self._limits.head_bytes + 2 * self._limits.body_bytes
