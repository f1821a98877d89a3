"""Messages between people, end to end: key agreement, ratchet, one-time pad (spec/chat.md)."""
