import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.chat.errors import RelayMisbehaved
from bellwire.chat.relay.frames import (
    MAX_TTL_S,
    Answer,
    Challenge,
    Close,
    Deliver,
    Done,
    Drop,
    FromAccounts,
    Listen,
    Login,
    Open,
    Reason,
    Refused,
    Request,
    Safe,
    ToAccounts,
    encode,
    read_answer,
    read_request,
)

REQUESTS: list[Request] = [
    Login(1, b"p" * 1984, b"s" * 3373),
    Open(2, b"m" * 16, b"h" * 32),
    Close(3, b"m" * 16),
    Drop(4, b"r" * 32, b"t" * 16, 1, bytes(512)),
    Drop(2**32 - 1, b"r" * 32, b"t" * 16, MAX_TTL_S, b"x" * 16_384),
    Listen(5),
    Safe(2**63),
    *(ToAccounts(6, bytes(size)) for size in (0, 1120, 512, 4096, 16_384)),
]
ANSWERS: list[Answer] = [
    Challenge(b"n" * 32, b"i" * 32),
    Done(1),
    *(Refused(0, reason) for reason in Reason),
    Deliver(b"m" * 16, 7, bytes(4096)),
    *(FromAccounts(6, bytes(size)) for size in (6573, 512, 4096, 16_384, 65_536)),
]


@pytest.mark.parametrize("frame", REQUESTS, ids=lambda frame: type(frame).__name__)
def test_a_request_is_read_as_it_was_written(frame: Request) -> None:
    assert read_request(encode(frame)) == frame


@pytest.mark.parametrize("frame", ANSWERS, ids=lambda frame: type(frame).__name__)
def test_an_answer_is_read_as_it_was_written(frame: Answer) -> None:
    assert read_answer(encode(frame)) == frame


@pytest.mark.parametrize("frame", [*REQUESTS, *ANSWERS], ids=lambda frame: type(frame).__name__)
def test_a_frame_cut_or_lengthened_is_none(frame: Request | Answer) -> None:
    data = encode(frame)
    for wrong in (data[:-1], data + b"\0", b"", data[:1]):
        for read in (read_request, read_answer):
            with pytest.raises(RelayMisbehaved):
                read(wrong)


@pytest.mark.parametrize("frame", REQUESTS, ids=lambda frame: type(frame).__name__)
def test_a_client_does_not_pass_for_a_relay(frame: Request) -> None:
    with pytest.raises(RelayMisbehaved):
        read_answer(encode(frame))


@pytest.mark.parametrize("ttl_s", [0, MAX_TTL_S + 1])
def test_a_payload_is_kept_for_a_second_to_thirty_days(ttl_s: int) -> None:
    with pytest.raises(RelayMisbehaved):
        read_request(encode(Drop(4, b"r" * 32, b"t" * 16, ttl_s, bytes(512))))


def test_a_relay_of_another_version_is_told_apart() -> None:
    data = bytearray(encode(ANSWERS[0]))
    data[1] = 2
    with pytest.raises(RelayMisbehaved, match="version 1"):
        read_answer(bytes(data))


@given(st.binary(max_size=600))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    for read in (read_request, read_answer):
        try:
            frame = read(data)
        except RelayMisbehaved:
            continue
        assert encode(frame) == data
