"""Asking a node of a chain: JSON-RPC 2.0 over HTTP, bounded, and silent about where it goes.

Addresses of nodes often carry a key of the one who rents them, so no error shows more of one than
its host.

Source: JSON-RPC 2.0, 4 and 5.
"""

import itertools
from typing import Annotated, Final

import httpx
import msgspec
from msgspec import Meta

from bellwire.base.closing import Closing
from bellwire.base.decoding import UNDECODABLE
from bellwire.ledger.anchors.errors import AnchorUnusable, ChainRefused, ChainUnreachable

MAX_ANSWER: Final = 8 << 20
"""A block of Hive has at most 2 MB, and what is asked of EVM nodes is smaller."""
WITHIN_S: Final = 20.0
MAX_SAID: Final = 200


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


class _Answer(msgspec.Struct, frozen=True):
    id: Annotated[int, Meta(ge=0)] | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None


class NodeRpc(Closing):
    """One node; use it as a context.

    Args:
        url: http or https, with a path, a name and a password where the node wants them.

    Raises:
        AnchorUnusable: it is no address.
    """

    def __init__(self, url: str) -> None:
        try:
            where = httpx.URL(url)
        except (httpx.InvalidURL, UnicodeError):
            where = httpx.URL()
        if where.scheme not in {"http", "https"} or not where.host:
            raise AnchorUnusable("expected a node's address as https://HOST[:PORT]/…, got another")
        self.where = where.host if where.port is None else f"{where.host}:{where.port}"
        self._url = where
        self._ids = itertools.count(1)
        self._http = httpx.Client(timeout=WITHIN_S, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        """Give the connection up."""
        self._http.close()

    def __repr__(self) -> str:
        return f"NodeRpc({self.where})"

    def ask(self, method: str, params: object) -> msgspec.Raw:
        """Call a method.

        Args:
            method: Its name.
            params: What msgspec can write as JSON.

        Returns:
            The result, a JSON text that is not read yet.

        Raises:
            ChainRefused: the node says that it does not do it.
            ChainUnreachable: it does not answer, or not in JSON-RPC.
        """
        number = next(self._ids)
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        data = self._post(msgspec.json.encode(body))
        try:
            answer = msgspec.json.decode(data, type=_Answer)
        except UNDECODABLE as error:
            raise ChainUnreachable(
                f"expected an answer in JSON-RPC from {self.where}, got another"
            ) from error
        if answer.error is not None:
            said = "".join(each if each.isprintable() else "?" for each in answer.error.message)
            raise ChainRefused(self.where, answer.error.code, said[:MAX_SAID])
        if answer.id != number or not bytes(answer.result):
            raise ChainUnreachable(f"expected the answer to a question from {self.where}, got none")
        return answer.result

    def _post(self, body: bytes) -> bytes:
        data = bytearray()
        headers = {"content-type": "application/json"}
        try:
            with self._http.stream("POST", self._url, content=body, headers=headers) as answer:
                for piece in answer.iter_bytes():
                    data += piece
                    if len(data) > MAX_ANSWER:
                        raise ChainUnreachable(
                            f"expected at most {MAX_ANSWER:,} bytes from {self.where}, got more"
                        )
        except (httpx.HTTPError, OSError) as error:
            # No cause, and no text of it: either may show the whole address.
            raise ChainUnreachable(
                f"expected an answer from the node at {self.where}, got {_what_came(error)}"
            ) from None
        # Nodes tell of errors in JSON-RPC under several status codes: the answer says what it is.
        if answer.status_code >= 300 and not data.lstrip().startswith(b"{"):
            raise ChainUnreachable(
                f"expected an answer from the node at {self.where}, got HTTP {answer.status_code}"
            )
        return bytes(data)


def _what_came(error: Exception) -> str:
    """What came in the place of an answer, in words that show nothing of the address."""
    if isinstance(error, httpx.TimeoutException):
        return "none in time"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return type(error).__name__
