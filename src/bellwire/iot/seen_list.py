"""The number of the newest list of revoked certificates that was seen: it survives a restart.

Without it, who can put an older list in the place of a newer one, or hand one out from a backup,
would bring back what was revoked in between.
"""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.private import read_own_file, write_whole
from bellwire.channel.errors import CertificateRefused

MAX_FILE: Final = 1024


class _Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    authority: Annotated[bytes, Meta(min_length=32, max_length=32)]
    number: Annotated[int, Meta(ge=0)]


_decoder = msgspec.json.Decoder(_Seen)


class SeenList:
    """The newest number, in a file of its own.

    Args:
        path: Of the file; its folder exists.
        authority: Whose lists: the authority's fingerprint. Another one begins anew.
    """

    def __init__(self, path: Path, authority: bytes) -> None:
        self._path = path
        self._authority = authority

    def number(self) -> int:
        """The highest that was seen; 0 before the first.

        Raises:
            CertificateRefused: the file is not what we wrote.
            PathUnusable, PathExposed: it cannot be read, or others may write it.
        """
        data = read_own_file(self._path, MAX_FILE)
        if data is None:
            return 0
        try:
            seen = _decoder.decode(data)
        except UNDECODABLE as error:
            raise CertificateRefused(
                f"expected the number of the newest list of revoked certificates in {self._path}, "
                "got other data",
                hint="Remove it once you know that the list is the authority's newest.",
            ) from error
        return seen.number if seen.authority == self._authority else 0

    def keep(self, number: int) -> None:
        """Note a higher number, durably; PathUnusable if it cannot be written."""
        seen = _Seen(self._authority, number)
        write_whole(self._path, msgspec.json.encode(seen) + b"\n", replace=True)
