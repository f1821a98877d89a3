import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.chat.content import (
    MAX_TEXT_BYTES,
    PART_BYTES,
    Content,
    ContentKind,
    decode,
    join,
    split,
)
from bellwire.chat.errors import ChatMisuse, ContentMalformed

ID, OTHER = bytes(range(16)), bytes(range(16, 32))
VIEW = bytes(36)


def content(kind: ContentKind, text: bytes = b"", **more: object) -> Content:
    return Content(kind, ID, 1_800_000_000_000, text, **more)  # type: ignore[arg-type]


EACH = [
    content(ContentKind.TEXT, "Grüße 🔑".encode()),
    content(ContentKind.TEXT, b"soon gone", timer_s=60),
    content(ContentKind.TEXT, b"to all", group=OTHER, view=VIEW),
    content(ContentKind.REPLY, b"yes", target=OTHER, group=ID, view=VIEW),
    content(ContentKind.ROSTER, b"who is in", group=ID),
    content(ContentKind.ROSTER_ASK, bytes(4), group=ID),
    content(ContentKind.INTRODUCTION, b"a link", group=ID),
    content(ContentKind.LEFT, bytes(4), group=ID),
    content(ContentKind.EDIT, b"", target=OTHER),
    content(ContentKind.DELETE, target=OTHER),
    content(ContentKind.TIMER, timer_s=0),
    content(ContentKind.DELIVERED, ID + OTHER),
    content(ContentKind.READ, OTHER),
    content(ContentKind.TYPING),
    content(ContentKind.TYPING, group=OTHER),
    content(ContentKind.PAD_OFFER, b"whatever"),
    content(ContentKind.REFUSED, ID),
    content(ContentKind.PAD_LOST, ID + OTHER),
    content(ContentKind.FILE, b"\x01afile", timer_s=5),
    content(ContentKind.FILE, b"\xff\xfe", part=2, parts=3),
    content(ContentKind.FILE_KEY, bytes(72) + b"name"),
    content(ContentKind.CHUNK, bytes(12_308), target=OTHER),
    content(ContentKind.ASK, b"", target=OTHER),
    content(ContentKind.STOP, target=OTHER),
    content(ContentKind.TEXT, b"\xc3", part=1, parts=3),
    content(ContentKind.RENEW, b"half of some keys", part=1, parts=2),
]


@pytest.mark.parametrize("each", EACH, ids=lambda each: each.kind.name.lower())
def test_a_content_is_read_as_it_was_written(each: Content) -> None:
    assert decode(each.encode_head(), each.text) == each


@pytest.mark.parametrize(
    ("kind", "text", "more"),
    [
        (ContentKind.TEXT, b"\xff", {}),
        (ContentKind.TEXT, b"a", {"target": OTHER}),
        (ContentKind.REPLY, b"a", {}),
        (ContentKind.DELETE, b"a", {"target": OTHER}),
        (ContentKind.DELETE, b"", {"target": OTHER[:15]}),
        (ContentKind.TIMER, b"", {}),
        (ContentKind.TIMER, b"", {"timer_s": 366 * 86_400}),
        (ContentKind.TYPING, b"", {"timer_s": 1}),
        (ContentKind.DELIVERED, b"", {}),
        (ContentKind.READ, ID[:15], {}),
        (ContentKind.PAD_LOST, ID, {}),
        (ContentKind.CHUNK, b"a", {}),
        (ContentKind.CHUNK, bytes(12_309), {"target": OTHER}),
        (ContentKind.STOP, b"a", {"target": OTHER}),
        (ContentKind.FILE_KEY, bytes(72 + 256), {}),
        (ContentKind.TYPING, b"a", {}),
        (ContentKind.TEXT, b"a", {"group": b"", "view": VIEW}),
        (ContentKind.TEXT, b"a", {"group": OTHER}),
        (ContentKind.TEXT, b"a", {"view": VIEW}),
        (ContentKind.TEXT, b"a", {"group": OTHER, "view": VIEW[1:]}),
        (ContentKind.DELIVERED, ID, {"group": OTHER}),
        (ContentKind.TYPING, b"", {"group": OTHER, "view": VIEW}),
        (ContentKind.ROSTER, b"a", {}),
        (ContentKind.ROSTER, b"a", {"group": OTHER, "view": VIEW}),
        (ContentKind.LEFT, b"a", {"group": OTHER}),
        (ContentKind.TEXT, b"a", {"part": 2, "parts": 2}),
        (ContentKind.TEXT, b"a", {"parts": 12}),
        (ContentKind.READ, ID, {"parts": 2}),
        (ContentKind.TEXT, b"a" * (PART_BYTES + 1), {"parts": 2}),
        (ContentKind.TEXT, b"a" * (MAX_TEXT_BYTES + 1), {}),
        (ContentKind.TEXT, b"a", {"sent_ms": -1}),
    ],
)
def test_what_does_not_go_together_is_no_content(
    kind: ContentKind, text: bytes, more: dict[str, object]
) -> None:
    fields: dict[str, object] = {"content_id": ID, "sent_ms": 0} | more
    with pytest.raises(ChatMisuse, match=kind.name.lower()):
        Content(kind=kind, text=text, **fields)  # type: ignore[arg-type]


@given(st.binary(max_size=70), st.binary(max_size=40))
def test_any_bytes_are_a_content_or_refused(head: bytes, text: bytes) -> None:
    try:
        found = decode(head, text)
    except ContentMalformed:
        return
    assert found.encode_head() == head


@given(st.sampled_from(EACH), st.integers(0, 40), st.integers(1, 255))
def test_a_changed_head_is_another_content_or_refused(each: Content, at: int, by: int) -> None:
    head = bytearray(each.encode_head())
    head[at % len(head)] ^= by
    try:
        assert decode(bytes(head), each.text) != each
    except ContentMalformed:
        return


@pytest.mark.parametrize("length", [0, 1, PART_BYTES, PART_BYTES + 1, MAX_TEXT_BYTES])
def test_a_long_text_comes_together_from_its_parts_in_any_order(length: int) -> None:
    whole = content(ContentKind.TEXT, b"x" * length)
    parts = split(whole)
    assert all(len(each.text) <= PART_BYTES for each in parts)
    random.Random(3).shuffle(parts)
    assert join(parts) == whole


def test_a_character_may_lie_across_two_parts() -> None:
    whole = content(ContentKind.TEXT, b"x" + "ß".encode() * (PART_BYTES // 2))
    assert join(split(whole)) == whole


def test_parts_that_are_not_all_of_one_text_do_not_come_together() -> None:
    parts = split(content(ContentKind.TEXT, b"x" * (2 * PART_BYTES)))
    others = split(content(ContentKind.TEXT, b"x" * (2 * PART_BYTES), group=OTHER, view=VIEW))
    for wrong in ([parts[0]], [parts[0], parts[0]], [parts[0], others[1]]):
        with pytest.raises(ContentMalformed):
            join(wrong)


def test_parts_that_are_no_words_together_are_refused() -> None:
    parts = [content(ContentKind.TEXT, b"\xff", part=n, parts=2) for n in range(2)]
    with pytest.raises(ContentMalformed, match="UTF-8"):
        join(parts)


def test_words_and_what_changes_them_are_for_pad_and_the_rest_is_not() -> None:
    padded = {kind for kind in ContentKind if kind.is_padded}
    assert padded == {
        ContentKind.TEXT,
        ContentKind.REPLY,
        ContentKind.EDIT,
        ContentKind.DELETE,
        ContentKind.TIMER,
        ContentKind.FILE,
        ContentKind.FILE_KEY,
    }


def test_a_repr_has_no_words() -> None:
    assert "secret" not in repr(content(ContentKind.TEXT, b"secret"))
