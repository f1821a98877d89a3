"""The console's files: what they are, how long they are kept, what a page may do."""

from pathlib import Path

import pytest

from bellwire.web.api import Answered
from bellwire.web.console_pages import Page, read_pages, serve
from bellwire.web.errors import RequestRefused
from bellwire.web.reader import Asked


@pytest.fixture
def pages(tmp_path: Path) -> dict[bytes, Page]:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>" + " " * 1000)
    (tmp_path / "assets" / "index-BxY3_z-9.js").write_text("1;" * 1000)
    (tmp_path / "icon.png").write_bytes(b"\x89PNG" + b"\x00" * 1000)
    (tmp_path / "notes.exe").write_text("no kind that is served")
    return read_pages(tmp_path)


def ask(pages: dict[bytes, Page], path: bytes, verb: bytes = b"GET", **fields: str) -> Answered:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return serve(pages, path, Asked(verb, path, named, b"", keep_alive=True))


def test_hashed_names_are_kept_for_ever_and_others_asked_after(pages: dict[bytes, Page]) -> None:
    assert set(pages) == {b"/", b"/assets/index-BxY3_z-9.js", b"/icon.png"}
    script = ask(pages, b"/assets/index-BxY3_z-9.js")
    assert b"text/javascript" in script.kind
    assert b"immutable" in script.kind
    for path in (b"/", b"/icon.png"):
        assert b"cache-control: no-cache" in ask(pages, path).kind
    assert b"script-src 'self';" in script.policy
    assert b"frame-ancestors 'none'" in script.policy


def test_a_page_that_the_browser_has_is_not_sent_again(pages: dict[bytes, Page]) -> None:
    tag = pages[b"/"].tag.decode()
    for known in (tag, f'"x", W/{tag}'):
        answer = ask(pages, b"/", if_none_match=known)
        assert (answer.code, answer.body) == (304, b"")
    assert ask(pages, b"/", if_none_match='"x"').code == 200


def test_text_is_compressed_for_who_takes_it(pages: dict[bytes, Page]) -> None:
    packed = ask(pages, b"/", accept_encoding="br, gzip;q=0.8")
    assert b"content-encoding: gzip" in packed.kind
    assert len(packed.body) < len(pages[b"/"].content)
    for refuses in ("", "br", "gzip;q=0"):
        assert ask(pages, b"/", accept_encoding=refuses).body == pages[b"/"].content
    assert b"content-encoding" not in ask(pages, b"/icon.png", accept_encoding="gzip").kind


def test_without_a_build_a_page_says_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        pages = read_pages(folder)
        assert set(pages) == {b"/"}
        assert b"not built" in ask(pages, b"/", b"HEAD").body


def test_pages_are_only_read(pages: dict[bytes, Page]) -> None:
    with pytest.raises(RequestRefused) as found:
        ask(pages, b"/", b"POST")
    assert found.value.code == 405
