"""A file of history is as the known answers have it, which browsers share."""

import hashlib
import io
import json
from typing import Any

from tests.reference.chat_history import FILE, LONG, played, sealed

from bellwire.base.secret import Secret
from bellwire.chat.transfer.code import read_code, spelt
from bellwire.chat.transfer.records import decode, encode
from bellwire.chat.transfer.sealed import read_sealed

VECTORS: dict[str, Any] = json.loads(FILE.read_text())
CODE = Secret(bytes.fromhex(VECTORS["code"]))


def test_the_known_answers_follow_from_the_specification() -> None:
    assert played() == VECTORS


def test_the_code_is_spelt_and_read_as_they_have_it() -> None:
    assert spelt(CODE) == VECTORS["spelt"]
    assert read_code(VECTORS["spelt"].lower().replace("-", " ")).reveal() == CODE.reveal()


def test_the_file_is_read_as_they_have_it_and_each_record_written_so() -> None:
    records = list(read_sealed(io.BytesIO(bytes.fromhex(VECTORS["file"])), CODE))
    assert [each.hex() for each in records] == VECTORS["records"]
    assert [encode(decode(each)) for each in records] == records


def test_a_file_of_several_pieces_is_as_they_have_it() -> None:
    whole = [bytes([at]) * size for at, size in enumerate(LONG)]
    data = sealed(whole)
    assert len(data) == VECTORS["long"]["bytes"]
    assert hashlib.sha256(data).hexdigest() == VECTORS["long"]["sha256"]
    assert list(read_sealed(io.BytesIO(data), CODE)) == whole
