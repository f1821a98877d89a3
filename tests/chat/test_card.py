"""Cards that say where a relay has moved to."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.reference.chat_card import card as written
from tests.reference.chat_card import made

from bellwire.chat.card import MAX_CARD_BYTES, Card, is_relay, read_card
from bellwire.chat.errors import ContentMalformed

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "chat" / "card.json").read_text()
)
WORDS = ["ws://192.0.2.1:8765", "app-b", "Bob"]
HINT = "ws://192.0.2.2:24117"


def test_the_known_answers_are_read_and_written() -> None:
    assert made() == VECTORS
    for each in VECTORS:
        right, relay_id = bytes.fromhex(each["right"]), bytes.fromhex(each["relay_id"])
        relay, sae, name = each["words"]
        card = Card(right, relay, sae, name, relay_id, tuple(each["hints"]))
        assert card.encode() == bytes.fromhex(each["card"])
        assert read_card(card.encode()) == card


def test_the_largest_card_has_the_bytes_that_are_allowed() -> None:
    relay = "ws://" + "h" * 250
    hints = tuple(f"ws://{'.'.join(['a' * 63] * 3 + [letter * 56])}:1" for letter in "abcd")
    card = Card(bytes(32), relay, "s" * 255, "n" * 255, bytes(32), hints)
    assert read_card(card.encode()) == card
    assert len(card.encode()) == MAX_CARD_BYTES


@pytest.mark.parametrize(
    ("relay_id", "hints"),
    [
        (bytes(32), [HINT] * 2),
        (bytes(32), [f"ws://192.0.2.2:{port}" for port in range(1, 6)]),
        (bytes(31), [HINT]),
        (bytes(33), [HINT]),
        (bytes(32), ["http://192.0.2.2:1"]),
        (bytes(32), ["ws://192.0.2.2"]),
        (bytes(32), ["ws://192.0.2.2:1/path"]),
        (bytes(32), ["ws://someone@192.0.2.2:1"]),
        (bytes(32), ["ws://HOST:1"]),
        (bytes(32), [""]),
    ],
)
def test_tails_of_another_form_are_refused(relay_id: bytes, hints: list[str]) -> None:
    with pytest.raises(ContentMalformed):
        read_card(written(bytes(32), WORDS, relay_id, hints))


def test_a_tail_that_is_cut_or_empty_is_refused() -> None:
    whole = written(bytes(32), WORDS, bytes(range(32)), [HINT])
    bare = len(written(bytes(32), WORDS, b"", []))
    read_card(whole)
    for end in range(bare + 1, len(whole)):
        with pytest.raises(ContentMalformed):
            read_card(whole[:end])
    for more in (bytes(33), bytes(1)):
        with pytest.raises(ContentMalformed):
            read_card(whole[:bare] + more)
    with pytest.raises(ContentMalformed):
        read_card(whole + b"\0")


def test_no_address_of_a_relay_has_the_sign_before_an_id() -> None:
    assert is_relay("ws://h:1")
    assert not is_relay("ws://h:1#")
    assert not is_relay("ws://h:1#" + "0" * 64)
