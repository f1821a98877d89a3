"""The console's pages: built files inside the package, read once, served as they are.

Names with a hash never change and are kept by browsers for a year; everything else is asked after
each time. The policy lets a page run its own scripts and ask its own console, and nothing else.
Styles in elements are permitted because Mantine sets them; scripts in pages are not.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from bellwire.web.api import Answered
from bellwire.web.errors import RequestRefused
from bellwire.web.reader import Asked

MAX_FILES = 1000
MAX_BYTES = 32 << 20
SMALLEST = 512
"""Bytes below which compressing a file saves nothing worth it."""

POLICY = (
    b"x-content-type-options: nosniff\r\n"
    b"content-security-policy: default-src 'none'; script-src 'self'; "
    b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; "
    b"connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'\r\n"
    b"referrer-policy: no-referrer\r\n"
    b"cross-origin-opener-policy: same-origin\r\n"
    b"cross-origin-resource-policy: same-origin\r\n"
    b"permissions-policy: camera=(self), geolocation=(), microphone=(), payment=(), usb=()\r\n"
)

_KINDS = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff2": "font/woff2",
}
_PACKED = {"ico", "png", "webp", "woff2"}
_HASHED = re.compile(r"/assets/.+-[A-Za-z0-9_-]{8,}\.[a-z0-9]+")
_FOREVER = b"cache-control: public, max-age=31536000, immutable\r\n"
_ASKED_AFTER = b"cache-control: no-cache\r\n"

_ABSENT = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>bellwire</title>
<h1>The console runs, but its pages are not built</h1>
<p>The API is there, for programs: <a href="/openapi.json">its description</a>.</p>
<p>This is a checkout whose pages could not be built, because npm did not reach its packages, or an
installation without them. In a checkout, give the command <code>./bellwire</code> again with the
network at hand; else install the package anew.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A file as it is served.

    Attributes:
        content: Its bytes.
        packed: The same by gzip; None where that is not smaller.
        kind: Header fields that say what it is, and how long it may be kept.
        tag: Of this content (RFC 9110, 8.8.3).
    """

    content: bytes
    packed: bytes | None
    kind: bytes
    tag: bytes


def packaged() -> Traversable:
    """Where the built files are."""
    return files("bellwire.web") / "static"


def read_pages(built: Traversable) -> dict[bytes, Page]:
    """Every file of a folder by its path; a page that says so where there is no `index.html`.

    Raises:
        ValueError: it is not what the build makes.
    """
    found: dict[bytes, Page] = {}
    if not (built / "index.html").is_file():
        return {b"/": _page("/index.html", _ABSENT)}
    _read(built, "", found)
    if sum(len(each.content) for each in found.values()) > MAX_BYTES:
        raise ValueError(f"expected pages of at most {MAX_BYTES >> 20} MiB, got more")
    found[b"/"] = found.pop(b"/index.html")
    return found


def serve(pages: Mapping[bytes, Page], path: bytes, asked: Asked) -> Answered:
    """The answer to a GET or HEAD of a page.

    Raises:
        RequestRefused: 405, another verb.
    """
    page = pages[path]
    if asked.verb not in {b"GET", b"HEAD"}:
        raise RequestRefused(
            405, "this is asked for by GET or HEAD", headers=[("allow", "GET, HEAD")]
        )
    fields = dict(asked.fields)
    tags = [each.strip() for each in fields.get(b"if-none-match", b"").split(b",")]
    if page.tag in [each.removeprefix(b"W/") for each in tags]:
        return Answered(code=304, kind=page.kind, policy=POLICY)
    if page.packed is not None and _takes_gzip(fields.get(b"accept-encoding", b"")):
        kind = page.kind + b"content-encoding: gzip\r\n"
        return Answered(page.packed, kind=kind, policy=POLICY)
    return Answered(page.content, kind=page.kind, policy=POLICY)


def _read(folder: Traversable, path: str, found: dict[bytes, Page]) -> None:
    for each in folder.iterdir():
        name = f"{path}/{each.name}"
        if each.is_dir():
            _read(each, name, found)
        elif name.rpartition(".")[2] in _KINDS:
            found[name.encode()] = _page(name, each.read_bytes())
        if len(found) > MAX_FILES:
            raise ValueError(f"expected at most {MAX_FILES} pages, got more")


def _page(name: str, content: bytes) -> Page:
    suffix = name.rpartition(".")[2]
    packed = None
    if suffix not in _PACKED and len(content) >= SMALLEST:
        packed = gzip.compress(content, mtime=0)
    tag = b'"%b"' % hashlib.sha256(content).hexdigest()[:32].encode()
    kept = _FOREVER if _HASHED.fullmatch(name) else _ASKED_AFTER
    kind = b"content-type: %b\r\n%betag: %b\r\nvary: accept-encoding\r\n"
    return Page(content, packed, kind % (_KINDS[suffix].encode(), kept, tag), tag)


def _takes_gzip(accepted: bytes) -> bool:
    for each in accepted.lower().split(b","):
        coding, _, weight = each.strip().partition(b";")
        if coding.strip() == b"gzip":
            return weight.replace(b" ", b"") not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}
    return False
