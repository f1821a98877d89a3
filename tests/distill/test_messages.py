"""Bodies decode to what was encoded; anything else is malformed, and cheap to find so."""

import contextlib
import math
import random
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.blocks import opening

from bellwire.base.detections import Protocol, Side
from bellwire.distill import messages  # pytest would collect a bare `Tested`
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.messages import (
    NONCE_BYTES,
    Announced,
    Decided,
    Fresh,
    Open,
    Proof,
    Received,
    Stored,
    Tagged,
    decode,
    encode,
)

SESSION = Fresh(
    *msgspec.structs.astuple(opening(Protocol.E91)),
    session=bytes(16),
    pad_bits=8192,
    master=Side.BOB,
    grant=7,
)
EXAMPLES: list[msgspec.Struct] = [
    opening(),
    SESSION,
    Received(b"\1abc", bytes(16)),
    Announced(b"\1", b"", bytes(NONCE_BYTES)),
    opening(Protocol.DECOY),
    Announced(b"\1", b"", bytes(NONCE_BYTES), b"\2", b"\3"),
    messages.Tested(b"xyz"),
    Decided(True, b"\7"),
    Proof(bytes(16), bytes(16), b"seed"),
    Tagged(bytes(16)),
    Stored(9),
]
KINDS: list[type[msgspec.Struct]] = [type(example) for example in EXAMPLES]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_a_message_decodes_to_itself_and_encodes_one_way(message: msgspec.Struct) -> None:
    body = encode(message)
    assert decode(body, type(message)) == message
    assert encode(decode(body, type(message))) == body


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_a_later_versions_further_elements_are_ignored(message: msgspec.Struct) -> None:
    elements = msgspec.msgpack.decode(encode(message))
    assert decode(msgspec.msgpack.encode([*elements, "more"]), type(message)) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_a_cut_or_lengthened_body_is_malformed(message: msgspec.Struct) -> None:
    body = encode(message)
    for wrong in (b"", body[:-1], body + b"\0", body * 2):
        with pytest.raises(MalformedMessage, match=type(message).__name__):
            decode(wrong, type(message))


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (0, 0),
        (1, 0),
        (1, 1 << 63),
        (3, "b92"),
        (4, 0),
        (4, 1 << 63),
        (5, bytes(15)),
        (6, 0.0),
        (6, 1.0),
        (6, math.nan),
        (7, math.nan),
        (7, math.inf),
        (7, -1e-10),
        (8, math.nan),
        (8, 1.5),
        (9, math.nan),
        (9, 1.9),
        (9, -math.inf),
    ],
)
def test_an_opening_out_of_range_is_malformed(element: int, value: object) -> None:
    elements = msgspec.msgpack.decode(encode(opening()))
    elements[element] = value
    with pytest.raises(MalformedMessage, match="Open"):
        decode(msgspec.msgpack.encode(elements), Open)


def test_a_length_that_lies_costs_no_memory() -> None:
    # Arrays and byte strings that claim four gigabytes in a body of a few bytes.
    for lie in (b"\xdd" + struct.pack(">I", 2**32 - 1), b"\x91\xc6" + struct.pack(">I", 2**32 - 1)):
        for kind in KINDS:
            with pytest.raises(MalformedMessage):
                decode(lie, kind)


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        decode(b"\x91" * 100_000, messages.Tested)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(body=st.binary(max_size=200), kind=st.sampled_from(KINDS))
def test_any_bytes_decode_or_are_malformed(body: bytes, kind: type[msgspec.Struct]) -> None:
    with contextlib.suppress(MalformedMessage):
        assert isinstance(decode(body, kind), kind)


def test_thousands_of_spoilt_messages_decode_or_are_malformed() -> None:
    rng = random.Random(5)
    malformed = 0
    for _ in range(4_000):
        message = rng.choice(EXAMPLES)
        body = bytearray(encode(message))
        for _ in range(rng.randint(1, 3)):
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        try:
            decode(bytes(body), type(message))
        except MalformedMessage:
            malformed += 1
    assert 0 < malformed < 4_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("session", bytes(15)),
        ("session", bytes(17)),
        ("pad_bits", 0),
        ("pad_bits", 12),
        ("pad_bits", messages.MAX_PAD_BITS + 8),
        ("master", "eve"),
        ("grant", 0),
        ("grant", 1 << 18),
    ],
)
def test_what_no_session_can_be_is_malformed(name: str, value: object) -> None:
    elements = msgspec.msgpack.decode(encode(SESSION))
    at = 1 + list(Fresh.__struct_fields__).index(name)
    elements[at] = value
    with pytest.raises(MalformedMessage, match="Fresh"):
        decode(msgspec.msgpack.encode(elements), Fresh)


def test_a_session_of_another_protocol_is_not_sound() -> None:
    assert SESSION.sound
    assert not msgspec.structs.replace(SESSION, protocol=Protocol.BB84).sound
