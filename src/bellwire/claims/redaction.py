"""What a report may not show: secrets that were made, anything that looks like one, and who we are.

A report is words and figures. Before it is written it is searched twice:

- for each secret that a claim made, in pieces of 8 bytes, as raw bytes, hexadecimal, base64, bits
  and lists of numbers;
- for anything that has the form of key material, of whatever origin: 16 bytes or more in
  hexadecimal, base64 or bits. No sentence of ours has such a run.

Names of this machine, of its user and of folders are taken out first; messages of errors have them.
"""

import base64
import getpass
import re
import socket
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bellwire.claims.errors import ReportLeaks

PIECE: Final = 8
"""Bytes of a secret that may not be shown: by chance a report of a megabyte has one with 2^-44."""

_FORMS: Final = (
    ("hexadecimal", re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-f]{32,}|[0-9A-F]{32,})(?![0-9A-Za-z])")),
    ("grouped hexadecimal", re.compile(r"(?:[0-9a-fA-F]{2,8}[:\- ]){4,}[0-9a-fA-F]{2,12}")),
    ("base64", re.compile(r"[A-Za-z0-9+/_-]{22,}={0,2}")),
    ("bits", re.compile(r"[01]{64,}")),
)
_LIST: Final = re.compile(r"(?:\d{1,3}, ?){15,}\d{1,3}")
_ESCAPES: Final = re.compile(r"(?:\\+x[0-9a-f]{2}){4,}")


def redacted(text: str, *, folder: Path | None = None) -> str:
    """A text without names of folders, of this machine and of its user."""
    for name, instead in _private(folder):
        text = text.replace(name, instead)
    return text


def check(text: str, seen: Iterable[bytes]) -> None:
    """Return only if a report shows no secret.

    Args:
        text: All of it.
        seen: Secrets that were made.

    Raises:
        ReportLeaks: it does, or may; the message does not repeat it.
    """
    for form in _suspicious(text):
        raise ReportLeaks(
            f"expected words and figures in the report, got something that looks like {form}",
            hint="The report was not written. Run the claims one by one to see which it is.",
        )
    data = text.encode()
    for secret in seen:
        if any(piece in data for piece in _spellings(secret)):
            raise ReportLeaks(
                "expected no secret in the report, got a piece of one",
                hint="The report was not written. Run the claims one by one to see which it is.",
            )


def _suspicious(text: str) -> Iterator[str]:
    for name, form in _FORMS:
        for found in form.finditer(text):
            if name != "base64" or _is_mixed(found[0]):
                yield name
    if _LIST.search(text):
        yield "a list of bytes"
    if _ESCAPES.search(text):
        yield "escaped bytes"


def _is_mixed(run: str) -> bool:
    """Whether a run of letters and digits is no word: names of tests and files are of one case."""
    return (
        any(each.islower() for each in run)
        and any(each.isupper() for each in run)
        and any(each.isdigit() for each in run)
    )


def _spellings(secret: bytes) -> Iterator[bytes]:
    for at in range(0, len(secret) - PIECE + 1, PIECE):
        piece = secret[at : at + PIECE]
        if len(set(piece)) < 4:  # zeros and the like are no secret
            continue
        yield piece
        yield piece.hex().encode()
        yield piece.hex().upper().encode()
        yield f"{int.from_bytes(piece, 'big'):064b}".encode()
        yield ", ".join(map(str, piece)).encode()
        yield ",".join(map(str, piece)).encode()
        for start in range(at, at + 3):  # base64 takes three bytes at once, from wherever
            six = secret[start : start + 6]
            if len(six) == 6 and len(set(six)) > 3:
                yield base64.b64encode(six)
                yield base64.urlsafe_b64encode(six)


def _private(folder: Path | None) -> list[tuple[str, str]]:
    """Names that are nobody's business → words, the longest first."""
    names = {str(Path.home()): "~", tempfile.gettempdir(): "(temporary folder)"}
    if folder is not None:
        names[str(folder)] = "(folder of the claim)"
    for name, word in ((socket.gethostname(), "(this machine)"), (_user(), "(user)")):
        if len(name) > 2 and name not in {"root", "localhost"}:
            names[name] = word
    found = [(name, word) for name, word in names.items() if len(name) > 1]
    return sorted(found, key=lambda pair: -len(pair[0]))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return ""
