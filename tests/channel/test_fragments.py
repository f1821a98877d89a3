"""Knocks and fragments: nothing is kept of who has not shown where it is, and little of who has."""

import hashlib
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.pair import CLOUD, SOURCE, STRANGER, Pair, flip
from tests.reference.first_contact import Ephemeral

from bellwire.channel.errors import HandshakeFailed
from bellwire.channel.fragments import (
    MAX_FRAGMENTS,
    MAX_MESSAGE,
    MIN_DATAGRAM,
    Assembly,
    cookie_for,
    cut,
    knock_of,
    make_knock,
    parse_fragment,
)
from bellwire.channel.handshake import Gate, Retry
from bellwire.channel.macs import Hello

VECTORS = Path(__file__).parents[2] / "vectors" / "channel"


def digest_of(hello: bytes) -> bytes:
    return hashlib.sha256(hello[:-32]).digest()


def test_a_knock_brings_a_retry_that_is_smaller_and_the_hello_then_passes_the_gate() -> None:
    pair, gate = Pair(), Gate(CLOUD.public_bytes)
    hello = pair.initiator.hello()
    first = make_knock(knock_of(hello), CLOUD.public_bytes)
    retry = gate.knock(first, SOURCE, 0.0)
    assert len(retry) < len(first)
    again, nothing = pair.initiator.receive(retry)
    assert nothing is None
    datagrams = cut(
        again,
        digest_of(hello),
        cookie_for(knock_of(hello), retry, CLOUD.public_bytes),
        MIN_DATAGRAM,
    )
    assert [len(each) for each in datagrams] == [1232, 1232, 143]
    assembly = Assembly()
    found = []
    for datagram in datagrams:
        fragment = parse_fragment(datagram)
        gate.recognise(fragment, SOURCE, 1.0)
        found.append(assembly.add(fragment))
    assert found == [None, None, again]
    assert isinstance(gate.admit(again, SOURCE, 1.0), Hello)
    with pytest.raises(HandshakeFailed, match="cookie"):
        gate.recognise(parse_fragment(datagrams[0]), "198.51.100.1", 1.0)
    with pytest.raises(HandshakeFailed, match="cookie"):
        gate.recognise(parse_fragment(datagrams[0]), SOURCE, 300.0)


@settings(max_examples=80, deadline=None)
@given(where=st.integers(min_value=0))
def test_a_flipped_bit_of_a_knock_gets_no_answer(where: int) -> None:
    hello = bytes.fromhex(HANDSHAKE["values"]["hello"])
    seed = bytes.fromhex(HANDSHAKE["script"]["responder_seed"])
    public = Ephemeral(seed).public
    first = make_knock(knock_of(hello), public)
    with pytest.raises(HandshakeFailed):
        Gate(public).knock(flip(first, where % (8 * len(first))), SOURCE, 0.0)
    with pytest.raises(HandshakeFailed):
        Gate(STRANGER.public_bytes).knock(first, SOURCE, 0.0)


def test_fragments_join_in_any_order_and_doubled() -> None:
    message = bytes([1, 2]) + bytes(range(256)) * 20
    datagrams = [parse_fragment(each) for each in cut(message, b"d" * 32, b"c" * 16, MIN_DATAGRAM)]
    assert len(datagrams) == 5
    for order in itertools.islice(itertools.permutations(datagrams), 0, 120, 7):
        assembly = Assembly()
        found = [assembly.add(each) for each in (*order[:2], *order)]
        assert [each for each in found if each] == [message]
    lone = cut(message[:100], b"d" * 32, b"c" * 16, MIN_DATAGRAM)
    assert Assembly().add(parse_fragment(lone[0])) == message[:100]


def test_an_assembly_keeps_no_more_than_a_message() -> None:
    assembly = Assembly()
    large = cut(bytes([1, 2]) + bytes(6000), b"d" * 32, b"c" * 16, 6000)
    first, second = (parse_fragment(each) for each in large)
    three = [type(first)(first.digest, first.cookie, index, 3, first.piece) for index in range(3)]
    assembly.add(three[0])
    with pytest.raises(HandshakeFailed, match=f"at most {MAX_MESSAGE}"):
        assembly.add(three[1])
    assert assembly.add(first) is None
    assert assembly.add(second) is not None


def test_another_piece_or_count_begins_anew() -> None:
    message = bytes([1, 2]) + bytes(2000)
    pieces = [parse_fragment(each) for each in cut(message, b"d" * 32, b"c" * 16, MIN_DATAGRAM)]
    assembly = Assembly()
    other = type(pieces[0])(b"d" * 32, b"c" * 16, 0, 2, b"x" * len(pieces[0].piece))
    assert assembly.add(other) is None
    assert assembly.add(pieces[0]) is None
    assert assembly.add(pieces[1]) == message


@pytest.mark.parametrize(
    ("index", "count"), [(0, 0), (1, 1), (3, 2), (0, MAX_FRAGMENTS + 1), (255, 255)]
)
def test_a_piece_that_cannot_be_is_refused(index: int, count: int) -> None:
    (datagram,) = cut(bytes([1, 2, 3, 4]), b"d" * 32, b"c" * 16, MIN_DATAGRAM)
    with pytest.raises(HandshakeFailed, match="pieces"):
        parse_fragment(datagram[:52] + bytes([index, count]) + datagram[54:])
    for bad in (datagram[:-1], datagram + b"x", datagram[:50], b"", b"\x0b"):
        with pytest.raises(HandshakeFailed):
            parse_fragment(bad)


HANDSHAKE = json.loads((VECTORS / "handshakes.json").read_text())[0]


def test_knock_and_fragments_are_the_kept_ones() -> None:
    handshakes = json.loads((VECTORS / "handshakes.json").read_text())
    for vector, kept in zip(
        handshakes, json.loads((VECTORS / "datagrams.json").read_text()), strict=False
    ):
        script, values = vector["script"], vector["values"]
        hello = bytes.fromhex(values["hello"])
        public = Ephemeral(bytes.fromhex(script["responder_seed"])).public
        assert make_knock(knock_of(hello), public).hex() == kept["knock"]
        again, cookie = bytes.fromhex(values["hello_again"]), bytes.fromhex(script["cookie"])
        datagrams = cut(again, digest_of(hello), cookie, MIN_DATAGRAM)
        assert [each.hex() for each in datagrams] == kept["hello_in_datagrams_of_1232"]


def test_a_gate_under_load_still_answers_knocks_and_counts_hellos() -> None:
    gate = Gate(CLOUD.public_bytes)
    hello = Pair().initiator.hello()
    first = make_knock(knock_of(hello), CLOUD.public_bytes)
    for _ in range(3000):
        gate.knock(first, SOURCE, 0.0)
    assert not isinstance(gate.admit(hello, SOURCE, 0.0), Retry), "knocks spend no budget"
