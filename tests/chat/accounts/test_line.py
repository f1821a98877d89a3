import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.secret import Secret
from bellwire.chat.accounts.line import (
    ANSWER_SIZES,
    HELLO_BYTES,
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    OFFER_BYTES,
    REQUEST_SIZES,
    Line,
    answer_hello,
    make_offer,
    take_offer,
)
from bellwire.chat.errors import RelayMisbehaved
from bellwire.chat.identity import Identity

RELAY = Identity(Secret(b"\x31" * 64))
OFFER = make_offer(RELAY, b"i" * 32)


def lines(nonce: bytes = b"n" * 32) -> tuple[Line, Line]:
    """The client's side, and the relay's."""
    hello, client, relay = take_offer(OFFER.encoded, nonce, b"i" * 32)
    assert relay == RELAY.public
    return client, answer_hello(OFFER, hello, nonce, b"i" * 32)


@pytest.mark.parametrize("length", [0, 1, 492, 493, 4076, 4077, MAX_REQUEST_BYTES])
def test_what_is_said_comes_through_both_ways_in_fixed_sizes(length: int) -> None:
    client, relay = lines()
    text = bytes(range(256)) * (length // 256) + b"x" * (length % 256)
    for sender, receiver, sizes in (
        (client, relay, REQUEST_SIZES),
        (relay, client, ANSWER_SIZES),
    ):
        record = sender.outward.seal(text)
        assert len(record) == min(size for size in sizes if size >= length + 20)
        assert receiver.inward.open(record) == text
    assert client.binding == relay.binding


def test_an_answer_may_be_longer_than_a_request() -> None:
    client, relay = lines()
    assert client.inward.open(relay.outward.seal(b"x" * MAX_ANSWER_BYTES)) == b"x" * 65_516


def test_no_two_connections_have_the_same_keys() -> None:
    (one, _), (other, relay) = lines(b"1" * 32), lines(b"2" * 32)
    assert one.binding != other.binding
    with pytest.raises(RelayMisbehaved):
        relay.inward.open(one.outward.seal(b"text"))


def test_a_hello_that_is_repeated_on_another_connection_opens_nothing() -> None:
    hello, client, _ = take_offer(OFFER.encoded, b"1" * 32, b"i" * 32)
    record = client.outward.seal(b"log in")
    again = answer_hello(OFFER, hello, b"2" * 32, b"i" * 32)
    with pytest.raises(RelayMisbehaved):
        again.inward.open(record)


@pytest.mark.parametrize(("taken", "then"), [(1, 0), (0, 1), (1, 2), (2, 1)])
def test_records_repeated_left_out_or_reordered_do_not_open(taken: int, then: int) -> None:
    client, relay = lines()
    records = [client.outward.seal(bytes([number])) for number in range(3)]
    for number in range(taken):
        relay.inward.open(records[number])
    with pytest.raises(RelayMisbehaved):
        relay.inward.open(records[then])


def test_a_record_does_not_come_back_as_an_answer() -> None:
    client, _ = lines()
    with pytest.raises(RelayMisbehaved):
        client.inward.open(client.outward.seal(b"text"))


@given(st.integers(0, 511), st.integers(0, 7))
def test_every_flipped_bit_of_a_record_is_noticed(at: int, bit: int) -> None:
    client, relay = lines()
    record = bytearray(client.outward.seal(b"text"))
    record[at] ^= 1 << bit
    with pytest.raises(RelayMisbehaved):
        relay.inward.open(bytes(record))


@pytest.mark.parametrize("at", [0, 40, 1984, 3100, 3200, 3264, OFFER_BYTES - 1])
def test_an_altered_offer_is_not_taken(at: int) -> None:
    offer = bytearray(OFFER.encoded)
    offer[at] ^= 1
    with pytest.raises(RelayMisbehaved):
        take_offer(bytes(offer), b"n" * 32, b"i" * 32)


def test_the_offer_of_another_relay_is_not_taken_for_this_ones() -> None:
    with pytest.raises(RelayMisbehaved):
        take_offer(OFFER.encoded, b"n" * 32, b"j" * 32)


@pytest.mark.parametrize("hello", [b"", bytes(HELLO_BYTES - 1), bytes(HELLO_BYTES + 1)])
def test_a_hello_of_another_length_is_none(hello: bytes) -> None:
    with pytest.raises(RelayMisbehaved):
        answer_hello(OFFER, hello, b"n" * 32, b"i" * 32)


def test_frames_of_each_kind_have_lengths_of_their_own() -> None:
    kinds = [{0}, {HELLO_BYTES}, set(REQUEST_SIZES)]
    assert not any(one & other for one, other in itertools.combinations(kinds, 2))
    assert OFFER_BYTES not in ANSWER_SIZES
