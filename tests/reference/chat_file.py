"""Attachments of spec/chat.md, 8, written down from it alone; makes vectors/chat/file.json."""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def chunk_of(key: bytes, file_id: bytes, size: int, number: int, chunk: bytes) -> bytes:
    """GCM(key, number, "bellwire chat file 1" ‖ id ‖ size, chunk)."""
    context = b"bellwire chat file 1" + file_id + size.to_bytes(8, "big")
    return AESGCM(key).encrypt(number.to_bytes(12, "big"), chunk, context)


def small_text(name: str, data: bytes) -> bytes:
    """length of name 1 ‖ name ‖ file."""
    return bytes([len(name.encode())]) + name.encode() + data


def made() -> dict[str, Any]:
    """The known answers."""
    key, file_id, name = bytes(range(64, 96)), bytes(range(16)), "Größe.bin"
    lengths = [12_288] * 6 + [1000]
    file = b"".join(bytes([number]) * length for number, length in enumerate(lengths))
    sha256 = hashlib.sha256(file).digest()
    return {
        "key": key.hex(),
        "id": file_id.hex(),
        "size": len(file),
        "sha256": sha256.hex(),
        "file_key": (key + sha256 + len(file).to_bytes(8, "big") + name.encode()).hex(),
        "chunks": [
            {
                "number": number,
                "byte": number,
                "length": length,
                "end": chunk_of(key, file_id, len(file), number, bytes([number]) * length)[
                    -32:
                ].hex(),
            }
            for number, length in enumerate(lengths)
        ],
        "small": {"name": name, "data": b"data".hex(), "text": small_text(name, b"data").hex()},
    }


if __name__ == "__main__":
    place = Path(__file__).parents[2] / "vectors" / "chat" / "file.json"
    place.write_text(json.dumps(made(), indent=1) + "\n")
