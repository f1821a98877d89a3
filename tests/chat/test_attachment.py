"""Attachments: what is on the wire, which names are safe, and known answers."""

import contextlib
import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.chat.conversation import meet
from tests.reference.chat_file import chunk_of, small_text

from bellwire.chat.attachment import (
    MAX_ASKED,
    MAX_FILE_BYTES,
    MAX_RANGES,
    FileKey,
    ask_text,
    chunk_text,
    open_chunk,
    ranges_of,
    read_ask_text,
    read_chunk_text,
    read_file_key,
    read_small_file,
    safe_name,
    seal_chunk,
    small_file,
)
from bellwire.chat.content import (
    CHUNK_BYTES,
    CHUNK_TEXT_BYTES,
    MAX_PADDED_BYTES,
    Content,
    ContentKind,
    join,
    split,
)
from bellwire.chat.errors import ChatMisuse, ContentMalformed
from bellwire.chat.pads import Policy
from bellwire.chat.session import open_message, seal_message

KEY, ID = bytes(range(32)), bytes(range(16))
VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "chat" / "file.json").read_text())


def test_known_answers_of_product_and_reference_are_the_same() -> None:
    key, file_id = bytes.fromhex(VECTOR["key"]), bytes.fromhex(VECTOR["id"])
    for each in VECTOR["chunks"]:
        chunk = bytes([each["byte"]]) * each["length"]
        sealed = seal_chunk(key, file_id, VECTOR["size"], each["number"], chunk)
        assert chunk_of(key, file_id, VECTOR["size"], each["number"], chunk) == sealed
        assert sealed[-32:].hex() == each["end"]
        assert open_chunk(key, file_id, VECTOR["size"], each["number"], sealed) == chunk
    small = VECTOR["small"]
    text = small_file(small["name"], bytes.fromhex(small["data"]))
    assert text.hex() == small["text"]
    assert small_text(small["name"], bytes.fromhex(small["data"])) == text
    about = FileKey(key, bytes.fromhex(VECTOR["sha256"]), VECTOR["size"], small["name"])
    assert about.encode().hex() == VECTOR["file_key"]


def test_the_key_of_a_file_is_read_as_it_was_written_and_never_shown() -> None:
    about = FileKey(KEY, bytes(32), MAX_FILE_BYTES, "a.bin")
    assert read_file_key(about.encode()) == about
    assert KEY.hex() not in repr(about)
    assert "\\x01" not in repr(about)


@pytest.mark.parametrize("size", [0, MAX_PADDED_BYTES, MAX_FILE_BYTES + 1, (1 << 64) - 1])
def test_a_file_of_another_size_is_refused_before_anything_is_kept(size: int) -> None:
    with pytest.raises(ContentMalformed):
        read_file_key(FileKey(KEY, bytes(32), size, "a").encode())


@pytest.mark.parametrize(
    "text", [b"", b"\x00data", b"\x05abc", b"\x01\xff", b"\x01a" + bytes(MAX_PADDED_BYTES + 1)]
)
def test_what_is_no_file_is_refused(text: bytes) -> None:
    with pytest.raises(ContentMalformed):
        read_small_file(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    for read in (read_small_file, read_file_key, read_chunk_text):
        try:
            read(text)
        except ContentMalformed:
            continue
    with contextlib.suppress(ContentMalformed):
        assert max(read_ask_text(text, 1000), default=0) < 1000


def test_a_chunk_of_another_file_place_or_length_is_refused() -> None:
    size = CHUNK_BYTES * 6
    sealed = seal_chunk(KEY, ID, size, 1, bytes(CHUNK_BYTES))
    assert open_chunk(KEY, ID, size, 1, sealed) == bytes(CHUNK_BYTES)
    short = seal_chunk(KEY, ID, size, 1, b"short")
    for arguments in (
        (KEY, ID, size, 2, sealed),
        (KEY, ID, size + 1, 1, sealed),
        (KEY, ID[::-1], size, 1, sealed),
        (KEY[::-1], ID, size, 1, sealed),
        (KEY, ID, size, 1, sealed[:-1]),
        (KEY, ID, size, 1, short),
        (KEY, ID, size, 7, seal_chunk(KEY, ID, size, 7, b"")),
    ):
        with pytest.raises(ContentMalformed):
            open_chunk(*arguments)


def test_at_most_a_window_of_chunks_is_asked_for() -> None:
    asked = ranges_of([*range(5), 9, *range(20, 200)])
    assert asked[:2] == [(0, 5), (9, 1)]
    assert sum(count for _, count in asked) == MAX_ASKED
    assert len(ranges_of(list(range(0, 200, 2)))) == MAX_RANGES
    assert read_ask_text(ask_text(asked), 200) == [*range(5), 9, *range(20, 78)]
    for ranges in ([(0, MAX_ASKED + 1)], [(0, 1)] * (MAX_RANGES + 1), [(199, 2)], [(0, 1 << 31)]):
        with pytest.raises(ContentMalformed):
            read_ask_text(ask_text(ranges), 200)
    with pytest.raises(ContentMalformed):
        read_ask_text(b"abc", 200)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/", "attachment"),
        ("..", "attachment"),
        (".ssh", "ssh"),
        ("a\x00b\x1b[31m\n.txt", "ab[31m.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("Größe 👋.png", "Größe 👋.png"),
        ("שלום.txt", "שלום.txt"),
        ("-rf", "_rf"),
        (" .--checkpoint-action=exec=sh x.sh", "_-checkpoint-action=exec=sh x.sh"),
        ("\u3164\u115f\u2800", "attachment"),
        ("a\u200b\u2060b\ufeff.txt", "ab.txt"),
        ("x" * 400 + ".tar", "x" * 196 + ".tar"),
    ],
)
def test_a_name_becomes_one_that_is_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=300))
def test_no_name_is_a_path_hides_or_turns_anything(name: str) -> None:
    safe = safe_name(name)
    assert os.path.basename(safe) == safe  # noqa: PTH119 - as the system sees it
    assert safe not in {"", ".", ".."}
    assert not safe.startswith((".", " ", "-"))
    assert len(safe.encode()) <= 200
    assert not any(unicodedata.category(each).startswith("C") for each in safe)


def test_a_small_file_travels_under_pad_in_parts_and_a_chunk_fits_one_payload() -> None:
    alice, bob = meet(pad=80_000)
    data = os.urandom(MAX_PADDED_BYTES)
    content = Content(ContentKind.FILE, ID, 1, small_file("n" * 255, data))
    came = [bob.open(alice.seal(part).payload) for part in split(content)]
    assert all(each.protection.is_one_time for each in came)
    assert read_small_file(join([each.content for each in came]).text) == ("n" * 255, data)
    alice.hear(bob.say("heard"))
    text = chunk_text(0, bytes(CHUNK_TEXT_BYTES - 4))
    chunk = Content(ContentKind.CHUNK, ID, 1, text, target=ID)
    sealed = seal_message(alice.session, chunk, alice.pads, Policy.REQUIRE)
    assert len(sealed.payload) == 16_384
    opened = open_message(bob.session, sealed.payload, bob.pads)
    assert opened.content == chunk
    assert not opened.protection.is_one_time
    with pytest.raises(ChatMisuse):
        Content(ContentKind.CHUNK, ID, 1, text + b"x", target=ID)
    long = Content(ContentKind.TEXT, ID, 1, b"x" * 6145)
    with pytest.raises(ChatMisuse):
        alice.seal(long)
