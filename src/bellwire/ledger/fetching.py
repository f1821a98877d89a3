"""The way to a log that is read: over HTTP, or a folder of its files; nothing in it is trusted."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from bellwire.base.errors import UsageError
from bellwire.ledger.errors import LogAbsent
from bellwire.ledger.reading import Fetch

MAX_FILE: Final = 17 << 20
"""Of an entry bundle: 256 entries of 65,535 bytes each, with their lengths."""
WITHIN_S: Final = 30.0


@contextlib.contextmanager
def fetching(place: str, ca: Path | None = None, *, within_s: float = WITHIN_S) -> Iterator[Fetch]:
    """The way to a log; it may be gone by several threads at once.

    Args:
        place: `http://…`, `https://…`, or a folder.
        ca: Authorities that may vouch for its TLS, PEM; None: those of the system.
        within_s: Seconds for each step of an answer.

    Raises:
        UsageError: the place is none.
        LogAbsent: when it is used: the log does not answer, or has not what it must have.
    """
    if not place.startswith(("http://", "https://")):
        folder = Path(place)
        if not folder.is_dir():
            raise UsageError(
                f"LOG: expected http://HOST:PORT, https://HOST:PORT or a folder, got {place[:80]!r}"
            )
        yield lambda path: _read(folder / path)
        return
    try:
        tls = ssl.create_default_context(cafile=ca)
        url = httpx.URL(place.rstrip("/") + "/")
    except (OSError, httpx.InvalidURL) as error:
        raise UsageError(
            f"LOG: expected an address and authorities in PEM, got: {error}"
        ) from error
    with httpx.Client(
        verify=tls, trust_env=False, timeout=within_s, follow_redirects=False
    ) as client:
        yield lambda path: _get(client, url.join(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise LogAbsent(f"expected {path}, got: {error.strerror}") from error
    return _bounded(data, str(path))


def _get(client: httpx.Client, url: httpx.URL) -> bytes:
    data = bytearray()
    try:
        with client.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise LogAbsent(f"expected {url}, got HTTP {answer.status_code}")
            for piece in answer.iter_raw():
                data += piece
                _bounded(data, str(url))
    except httpx.HTTPError as error:
        raise LogAbsent(
            f"expected an answer from {url}, got: {error or type(error).__name__}"
        ) from error
    return bytes(data)


def _bounded(data: bytes | bytearray, name: str) -> bytes:
    if len(data) > MAX_FILE:
        raise LogAbsent(f"{name}: expected at most {MAX_FILE} bytes, got more")
    return bytes(data)
