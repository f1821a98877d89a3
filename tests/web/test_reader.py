"""A head that came before is read as it was the first time, whatever comes in between."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.web.reader import Asked, RequestReader
from bellwire.web.settings import DoorLimits

BODY = b'{"number":1,"size":256}'


def post(body: bytes = BODY, *more: bytes, verb: bytes = b"POST") -> bytes:
    fields = [b"Host: kme", b"Content-Length: %d" % len(body), *more]
    head = verb + b" /api/v1/keys/bob/enc_keys HTTP/1.1\r\n" + b"\r\n".join(fields)
    return head + b"\r\n\r\n" + body


CHUNKED = b"POST / HTTP/1.1\r\nHost: kme\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
REQUESTS = [
    post(),
    post(b'{"number":2,"size":256}'),
    post(b"{}\r\n\r\n{}"),
    post(b""),
    post(BODY, b"X-Trace: 1"),
    post(BODY, b"Connection: keep-alive"),
    b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: kme\r\n\r\n",
    CHUNKED,
    b"\r\n" + post(),
]
LAST = [
    post(BODY, b"Connection: close"),
    post(BODY, b"Expect: 100-continue"),
    post(BODY, b"Content-Length: 3"),
    post().replace(b"HTTP/1.1", b"HTTP/1.0"),
    post()[:-1],
    b"nonsense\r\n\r\n",
    post().replace(b"Host: kme", b"Host: kme\r\nHost: other"),
]


def told(asked: Asked) -> tuple[object, ...]:
    return (
        asked.verb,
        asked.target,
        asked.fields,
        asked.body,
        asked.keep_alive,
        asked.upgrade,
        str(asked.refused),
    )


def read(pieces: list[bytes]) -> tuple[list[tuple[object, ...]], object]:
    reader = RequestReader(DoorLimits())
    for piece in pieces:
        reader.feed(piece)
    return [told(asked) for asked in reader.asked], (reader.part, reader.begun, reader.ended)


@given(
    st.lists(st.sampled_from(REQUESTS), max_size=12),
    st.sampled_from(REQUESTS + LAST),
    st.integers(0, 2**32),
)
def test_whole_requests_one_by_one_are_read_as_the_same_bytes_in_pieces(
    requests: list[bytes], last: bytes, seed: int
) -> None:
    stream, chance = b"".join([*requests, last]), random.Random(seed)
    cuts = sorted({0, len(stream), *(chance.randrange(len(stream)) for _ in range(20))})
    pieces = [stream[low:high] for low, high in pairwise(cuts)]
    assert read([*requests, last]) == read(pieces) == read([bytes([each]) for each in stream])


@pytest.mark.parametrize("second", [post(BODY[:-1]), post(BODY + b" ")])
def test_a_head_that_says_another_length_is_another(second: bytes) -> None:
    (first, other), _ = read([post(), second])
    assert first[3] == BODY
    assert other[3] == second.partition(b"\r\n\r\n")[2]


def test_more_than_one_request_at_once_is_parsed() -> None:
    asked, _ = read([post(), post() + post(b"{}"), post()])
    assert [each[3] for each in asked] == [BODY, BODY, b"{}", BODY]


def test_a_remembered_head_holds_no_ids_of_keys() -> None:
    reader = RequestReader(DoorLimits())
    reader.feed(post())
    reader.asked.clear()
    assert BODY not in repr(reader._known).encode()
