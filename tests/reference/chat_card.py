"""Cards of spec/chat.md, 7.1, written down from it alone; makes vectors/chat/card.json."""

import json
from pathlib import Path


def word(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(1, "big") + data


def card(right: bytes, words: list[str], relay_id: bytes, hints: list[str]) -> bytes:
    whole = right
    for each in words:
        whole += word(each)
    if hints:
        whole += relay_id + len(hints).to_bytes(1, "big")
        for each in hints:
            whole += word(each)
    return whole


def made() -> list[dict[str, object]]:
    """A relay that is at home, and one that has moved."""
    right, relay_id = bytes(range(32)), bytes(range(64, 96))
    words = ["wss://relay.example:8765", "chat-a", "Zoë"]
    moved = ["wss://relay.example:24117", "ws://[2001:db8::7]:8765"]
    return [
        {
            "right": right.hex(),
            "words": words,
            "relay_id": relay_id.hex() if hints else "",
            "hints": hints,
            "card": card(right, words, relay_id, hints).hex(),
        }
        for hints in ([], moved)
    ]


if __name__ == "__main__":
    place = Path(__file__).parents[2] / "vectors" / "chat" / "card.json"
    place.write_text(json.dumps(made(), indent=1, ensure_ascii=False) + "\n")
