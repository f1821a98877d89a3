"""Where a relay's notices come from: a file that somebody puts there, or an address that is asked.

Neither is trusted: a notice proves itself. All that is read is bounded, in bytes and in time.
"""

import asyncio
import os
import ssl
import stat
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx

from bellwire.channel.places import MAX_NOTICE_BYTES
from bellwire.guard.errors import PlacesAbsent, PlacesUnusable

WITHIN_S: Final = 3.0
_HANDSHAKE_S: Final = 2.0  # less, so that one that hangs ends by itself and leaves nothing open
_TOO_LONG: Final = f"expected a notice of up to {MAX_NOTICE_BYTES} bytes, got more"


class Source(Protocol):
    """Where the newest notice may be.

    Attributes:
        every_s: Between two questions: so long a new place may be unguarded.
    """

    every_s: float

    async def ask(self) -> bytes | None:
        """What is there now, from anybody; None if there is nothing.

        Raises:
            PlacesAbsent: it cannot be told.
        """


class FileSource:
    """A file, which whoever moves the relay replaces.

    Args:
        path: Where.
    """

    every_s = 0.1

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self) -> bytes | None:
        """What is in the file; None if there is none.

        Raises:
            PlacesAbsent: it cannot be read, or is something else.
        """
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes | None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PlacesAbsent(f"{self._path} cannot be read: {error.strerror}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PlacesAbsent(f"expected a plain file at {self._path}, got something else")
            data = os.read(descriptor, MAX_NOTICE_BYTES + 1)
        except OSError as error:
            raise PlacesAbsent(f"{self._path} cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)
        if len(data) > MAX_NOTICE_BYTES:
            raise PlacesAbsent(_TOO_LONG)
        return data


class WebSource:
    """A server that hands the notice out, as any that serves files.

    Args:
        url: `https` or `http`: what is told is signed.
    """

    every_s = 1.0

    def __init__(self, url: str) -> None:
        self._url = url
        self._tls = ssl.create_default_context()

    async def ask(self) -> bytes | None:
        """What the server answers; None if it knows of none.

        Raises:
            PlacesAbsent: it does not answer in time, or something else.
        """
        try:
            async with (
                asyncio.timeout(WITHIN_S),
                httpx.AsyncClient(
                    verify=self._tls,
                    timeout=_HANDSHAKE_S,
                    trust_env=False,
                    follow_redirects=False,
                ) as client,
                client.stream("GET", self._url, headers={"accept-encoding": "identity"}) as answer,
            ):
                if answer.status_code in {404, 410}:
                    return None
                if answer.status_code != 200:
                    raise PlacesAbsent(f"the server of notices answers {answer.status_code}")
                data = b""
                async for piece in answer.aiter_raw():
                    data += piece
                    if len(data) > MAX_NOTICE_BYTES:
                        raise PlacesAbsent(_TOO_LONG)
                return data
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
            raise PlacesAbsent(f"the server of notices does not answer: {why}") from error


def source_of(text: str, named: str = "--places") -> Source:
    """The source that an operator names: a URL, or else a file.

    Args:
        text: It.
        named: The option, or the setting.

    Raises:
        PlacesUnusable: it is neither.
    """
    if "://" not in text:
        return FileSource(Path(text))
    if not _is_url(text):
        raise PlacesUnusable(
            f"{named}: expected a file, or a URL http://… or https://…, got {text[:200]!r}"
        )
    return WebSource(text)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        return False
    return named and parts.scheme in {"http", "https"} and text.isprintable()
