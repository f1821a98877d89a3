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
    DeliverBundle,
    Done,
    Drop,
    DropBundle,
    FromAccounts,
    Listen,
    Login,
    Open,
    Reason,
    Refused,
    Request,
    Safe,
    SafeUpTo,
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
    SafeUpTo(2**64 - 1),
    *(
        DropBundle(7, b"r" * 32, 60, (b"t" * 16,) * count, (b"x" * size,) * count)
        for count, size in ((1, 512), (2, 512), (64, 512), (8, 4096), (1, 4096), (4, 16_384))
    ),
    *(ToAccounts(6, bytes(size)) for size in (0, 1120, 512, 4096, 16_384)),
]
ANSWERS: list[Answer] = [
    Challenge(b"n" * 32, b"i" * 32),
    Done(1),
    *(Refused(0, reason) for reason in Reason),
    Deliver(b"m" * 16, 7, bytes(4096)),
    *(
        DeliverBundle(b"m" * 16, 7, (bytes(size),) * count)
        for count, size in ((1, 512), (8, 512), (1, 4096), (64, 512), (4, 16_384))
    ),
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


@pytest.mark.parametrize("count", [0, 2, 64, 255])
def test_a_bundle_has_as_many_payloads_as_it_says(count: int) -> None:
    """Eight of 512 are as long as one of 4,096: the count tells, and must hold."""
    for frame, at, read in (
        (DropBundle(7, b"r" * 32, 60, (b"t" * 16,) * 8, (bytes(512),) * 8), 41, read_request),
        (DeliverBundle(b"m" * 16, 7, (bytes(512),) * 8), 25, read_answer),
    ):
        data = bytearray(encode(frame))
        assert data[at] == 8
        data[at] = count
        with pytest.raises(RelayMisbehaved):
            read(bytes(data))


def test_a_bundle_has_64_payloads_and_65536_bytes_at_most() -> None:
    for count, size in ((65, 512), (17, 4096), (5, 16_384)):
        payloads = (bytes(size),) * count
        with pytest.raises(RelayMisbehaved):
            read_request(encode(DropBundle(7, b"r" * 32, 60, (b"t" * 16,) * count, payloads)))
        with pytest.raises(RelayMisbehaved):
            read_answer(encode(DeliverBundle(b"m" * 16, 7, payloads)))


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
