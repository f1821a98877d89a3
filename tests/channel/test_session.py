import os
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.pair import flip

from bellwire.base.secret import Secret
from bellwire.channel import session as session_module
from bellwire.channel.errors import ChannelMisuse, SessionEnded, Truncated
from bellwire.channel.messages import (
    HEADER_BYTES,
    MAX_PLAINTEXT_BYTES,
    MAX_RECORD_BYTES,
    Direction,
)
from bellwire.channel.session import Protections, Session
from bellwire.channel.symmetric import TrafficKeys
from bellwire.crypto import aead

KEYS = [bytes([0xA1]) * 32, bytes([0xA2]) * 12, bytes([0xA3]) * 32, bytes([0xA4]) * 12]


def ends() -> tuple[Session, Session]:
    """Initiator's and responder's end under fixed keys."""

    def end(sending: Direction) -> Session:
        keys = TrafficKeys(*(Secret(key) for key in KEYS))
        return Session(
            keys,
            sending=sending,
            session_id=b"S" * 16,
            peer=b"P" * 32,
            protections=Protections("simulated"),
        )

    return end(Direction.TO_RESPONDER), end(Direction.TO_INITIATOR)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=20))
def test_records_arrive_as_sent_in_both_directions(texts: list[tuple[bool, bytes]]) -> None:
    initiator, responder = ends()
    for up, text in texts:
        sender, receiver = (initiator, responder) if up else (responder, initiator)
        assert receiver.open(sender.seal(text)) == text
    assert responder.open(initiator.close()) is None
    assert responder.peer_closed
    responder.transport_ended()


def test_the_largest_record_fits_and_a_larger_one_is_our_own_misuse() -> None:
    initiator, responder = ends()
    record = initiator.seal(b"x" * MAX_PLAINTEXT_BYTES)
    assert len(record) == MAX_RECORD_BYTES
    assert responder.open(record) == b"x" * MAX_PLAINTEXT_BYTES
    with pytest.raises(ChannelMisuse, match="65519"):
        initiator.seal(b"x" * (MAX_PLAINTEXT_BYTES + 1))


def check_ends(receiver: Session, record: bytes) -> None:
    """`record` ends the session, for good and in both directions."""
    with pytest.raises(SessionEnded):
        receiver.open(record)
    with pytest.raises(ChannelMisuse, match="ended"):
        receiver.seal(b"more")
    with pytest.raises(ChannelMisuse, match="ended"):
        receiver.close()


@pytest.mark.parametrize("bit", range(8 * HEADER_BYTES))
def test_every_flipped_bit_of_a_record_s_header_ends_the_session(bit: int) -> None:
    initiator, responder = ends()
    check_ends(responder, flip(initiator.seal(b"text"), bit))


@settings(max_examples=80, deadline=None)
@given(text=st.binary(max_size=64), where=st.integers(min_value=0))
def test_a_flipped_bit_of_a_record_ends_the_session(text: bytes, where: int) -> None:
    initiator, responder = ends()
    record = initiator.seal(text)
    check_ends(responder, flip(record, where % (8 * len(record))))
    with pytest.raises(SessionEnded):
        responder.open(initiator.seal(b"next"))


@pytest.mark.parametrize(
    "change",
    [
        lambda record: b"",
        lambda record: record[:3],
        lambda record: record[:HEADER_BYTES],
        lambda record: record[:-1],
        lambda record: record + b"\0",
        lambda record: record[:2] + b"\x00\x00",
        lambda record: bytes([17]) + record[1:],
    ],
    ids=["empty", "half-header", "header", "shorter", "longer", "no-body", "as-close"],
)
def test_a_record_of_another_shape_ends_the_session(change: Callable[[bytes], bytes]) -> None:
    initiator, responder = ends()
    check_ends(responder, change(initiator.seal(b"text")))


def test_replayed_reordered_dropped_and_reflected_records_end_the_session() -> None:
    initiator, responder = ends()
    record = initiator.seal(b"one")
    assert responder.open(record) == b"one"
    check_ends(responder, record)

    initiator, responder = ends()
    _, second = initiator.seal(b"one"), initiator.seal(b"two")
    check_ends(responder, second)

    initiator, responder = ends()
    check_ends(initiator, initiator.seal(b"one"))


def test_a_record_of_another_session_id_ends_the_session() -> None:
    _, responder = ends()
    stranger = Session(
        TrafficKeys(*(Secret(key) for key in KEYS)),
        sending=Direction.TO_RESPONDER,
        session_id=b"T" * 16,
        peer=b"P" * 32,
        protections=Protections(None),
    )
    check_ends(responder, stranger.seal(b"one"))


def test_the_end_of_the_transport_without_a_close_is_truncation() -> None:
    initiator, responder = ends()
    assert responder.open(initiator.seal(b"one")) == b"one"
    with pytest.raises(Truncated):
        responder.transport_ended()
    with pytest.raises(ChannelMisuse):
        responder.seal(b"more")


def test_nothing_follows_a_close_and_the_other_direction_stays_open() -> None:
    initiator, responder = ends()
    record = initiator.seal(b"late")
    initiator, responder = ends()
    assert responder.open(initiator.close()) is None
    with pytest.raises(ChannelMisuse):
        initiator.close()
    with pytest.raises(ChannelMisuse):
        initiator.seal(b"more")
    assert initiator.open(responder.seal(b"answer")) == b"answer"
    with pytest.raises(SessionEnded):
        responder.open(record)


def test_no_nonce_returns_and_each_is_mask_xor_number(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bytes, bytes]] = []

    def record_nonce(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        seen.append((key, nonce))
        return aead.seal(key, nonce, plaintext, aad)

    monkeypatch.setattr(session_module, "seal", record_nonce)
    initiator, responder = ends()
    for _ in range(300):
        responder.open(initiator.seal(b"up"))
        initiator.open(responder.seal(b"down"))
    initiator.close()
    assert len(set(seen)) == len(seen) == 601
    up = [nonce for key, nonce in seen if key == KEYS[0]]
    mask = int.from_bytes(KEYS[1], "big")
    assert up == [(mask ^ number).to_bytes(12, "big") for number in range(301)]


def test_a_session_stops_at_its_record_limit_but_can_still_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_module, "MAX_RECORDS", 3)
    initiator, responder = ends()
    for _ in range(3):
        responder.open(initiator.seal(b"text"))
    with pytest.raises(ChannelMisuse, match="at most 3 records") as caught:
        initiator.seal(b"text")
    assert caught.value.hint is not None
    assert responder.open(initiator.close()) is None


def test_a_fork_cannot_send_with_its_parent_s_nonces(monkeypatch: pytest.MonkeyPatch) -> None:
    initiator, _ = ends()
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    with pytest.raises(ChannelMisuse, match="fork"):
        initiator.seal(b"text")


def test_no_repr_shows_key_bytes() -> None:
    initiator, _ = ends()
    shown = repr(initiator) + repr(TrafficKeys(*(Secret(key) for key in KEYS)))
    assert "a1a1" not in shown
    assert "\\xa1" not in shown
