import hmac
import itertools
import os
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.pair import flip

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, SessionEnded, Truncated
from bellwire.channel.messages import (
    HEADER_BYTES,
    MAX_PLAINTEXT_BYTES,
    MAX_RECORD_BYTES,
    Direction,
    Kind,
    Policy,
    Suite,
    header,
)
from bellwire.channel.options import RekeyLimits, SessionOptions
from bellwire.channel.padding import FLOOR, Padding, pad, padded_length, unpad
from bellwire.channel.protections import Protections
from bellwire.channel.records import MAX_EPOCH_RECORDS, Chain
from bellwire.channel.session import Session
from bellwire.channel.symmetric import SessionSecrets
from bellwire.crypto.aead import AesGcm

KEYS = [bytes([byte]) * 32 for byte in (0xA1, 0xA2, 0xA3, 0xA4)]


def ends(
    options: SessionOptions | None = None, suite: Suite = Suite.AES_256_GCM
) -> tuple[Session, Session]:
    """Initiator's and responder's end under fixed keys."""

    def end(sending: Direction) -> Session:
        return Session(
            SessionSecrets(*(Secret(key) for key in KEYS)),
            sending=sending,
            session_id=b"S" * 16,
            peer=b"P" * 32,
            protections=Protections("simulated", suite),
            policy=Policy.PREFER,
            options=options,
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
    responder.transport_ended()  # or it would raise


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


def test_records_left_out_at_the_end_of_an_epoch_end_the_session() -> None:
    for lost in (1, 2):
        initiator, responder = ends(SessionOptions(rekey=RekeyLimits(records=2)))
        records = [initiator.seal(b"x") for _ in range(4)]
        for record in records[: 2 - lost]:
            responder.open(record)
        check_ends(responder, records[2])


def test_a_record_of_another_session_id_ends_the_session() -> None:
    _, responder = ends()
    stranger = Session(
        SessionSecrets(*(Secret(key) for key in KEYS)),
        sending=Direction.TO_RESPONDER,
        session_id=b"T" * 16,
        peer=b"P" * 32,
        protections=Protections(None),
        policy=Policy.PREFER,
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

    class Recorder:
        def __init__(self, key: bytes) -> None:
            self._key, self._cipher = key, AesGcm(key)

        def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
            seen.append((self._key, nonce))
            return self._cipher.seal(nonce, plaintext, aad)

        def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
            return self._cipher.open(nonce, sealed, aad)

    monkeypatch.setattr(Suite, "cipher", lambda suite, key: Recorder(key))
    initiator, responder = ends(SessionOptions(rekey=RekeyLimits(records=50)))
    for _ in range(300):
        responder.open(initiator.seal(b"up"))
        initiator.open(responder.seal(b"down"))
    initiator.close()
    assert len(set(seen)) == len(seen) == 601
    keys = list(dict.fromkeys(key for key, _ in seen))
    assert len(keys) == 13, "seven epochs up, six down"
    first = [int.from_bytes(nonce, "big") for key, nonce in seen if key == keys[0]]
    assert [nonce ^ first[0] for nonce in first] == list(range(50))


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_sender_steps_by_records_bytes_and_age_and_the_receiver_follows() -> None:
    time = Time()
    limits = RekeyLimits(records=5, text_bytes=100, seconds=60.0)
    initiator, responder = ends(SessionOptions(rekey=limits, clock=time))
    epochs = []
    for size, now in [(1, 0.0)] * 6 + [(99, 1.0), (1, 1.0), (1, 2.0), (1, 60.9), (1, 61.0)]:
        time.now = now
        assert responder.open(initiator.seal(b"x" * size)) == b"x" * size
        epochs.append(responder.epochs[1])
    assert epochs == [0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 3]
    assert initiator.epochs == (3, 0)
    time.now = 1000.0
    assert initiator.open(responder.seal(b"answer")) == b"answer"
    assert initiator.epochs == (3, 1)
    time.now = 2000.0
    assert responder.open(initiator.close()) is None


def test_epochs_go_on_when_their_byte_wraps() -> None:
    initiator, responder = ends(SessionOptions(rekey=RekeyLimits(records=1)))
    for number in range(600):
        text = number.to_bytes(2, "big")
        assert responder.open(initiator.seal(text)) == text
    assert initiator.epochs[0] == responder.epochs[1] == 599


def test_a_secret_of_an_epoch_does_not_open_the_one_before() -> None:
    chain = Chain(Suite.AES_256_GCM, Secret(KEYS[0]), b"S" * 16, Direction.TO_RESPONDER)
    secrets = [chain._secret.reveal()]
    for _ in range(3):
        old = chain._secret
        chain.step()
        assert old.reveal() == bytes(32), "the old secret is wiped"
        secrets.append(chain._secret.reveal())
    assert len(set(secrets)) == 4
    okm = b""
    for secret, following in itertools.pairwise(secrets):
        okm = hmac.digest(
            hmac.digest(bytes(32), secret, "sha256"),
            b"bellwire channel next" + bytes(8) + b"\x01",
            "sha256",
        )
        assert okm == following


@pytest.mark.parametrize("skipped", [2, 3, 255])
def test_an_epoch_that_is_not_the_next_ends_the_session(skipped: int) -> None:
    _, responder = ends()
    chain = Chain(Suite.AES_256_GCM, Secret(KEYS[0]), b"S" * 16, Direction.TO_RESPONDER)
    for _ in range(skipped):
        chain.step()
    check_ends(responder, chain.seal(Kind.DATA, b"text"))


def test_a_receiver_takes_no_more_records_of_an_epoch_than_there_may_be() -> None:
    initiator, responder = ends()
    for chain in (initiator._send, responder._receive):
        chain.number = MAX_EPOCH_RECORDS - 1
    responder.open(initiator.seal(b"the last"))
    record = initiator._send.seal(Kind.DATA, b"one more, from who does not step")
    check_ends(responder, record)
    initiator, responder = ends()
    for chain in (initiator._send, responder._receive):
        chain.number = MAX_EPOCH_RECORDS
    assert responder.open(initiator.seal(b"stepped")) == b"stepped"


def test_a_session_stops_at_its_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellwire.channel.key_age.MAX_EPOCHS", 3)
    initiator, responder = ends(SessionOptions(rekey=RekeyLimits(records=1)))
    for _ in range(3):
        responder.open(initiator.seal(b"text"))
    with pytest.raises(ChannelMisuse, match="at most 3 epochs") as caught:
        initiator.seal(b"text")
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("records", "text_bytes", "seconds"), [(0, 1, 1.0), (2**20 + 1, 1, 1.0), (1, 0, 1.0), (1, 1, 0)]
)
def test_limits_that_no_session_can_have_are_refused(
    records: int, text_bytes: int, seconds: float
) -> None:
    with pytest.raises(ChannelMisuse, match="1048576"):
        RekeyLimits(records, text_bytes, seconds)


@pytest.mark.parametrize("suite", Suite)
def test_padded_texts_arrive_and_their_records_show_few_lengths(suite: Suite) -> None:
    initiator, responder = ends(SessionOptions(padding=Padding.PADME), suite)
    lengths = set()
    for size in range(200):
        text = bytes(size)
        record = initiator.seal(text)
        assert responder.open(record) == text
        lengths.add(len(record))
    assert len(lengths) == 6
    largest = b"\0" * (MAX_PLAINTEXT_BYTES - 1)
    assert responder.open(initiator.seal(largest)) == largest
    with pytest.raises(ChannelMisuse, match="65518"):
        initiator.seal(b"x" * MAX_PLAINTEXT_BYTES)


@settings(max_examples=200, deadline=None)
@given(text=st.binary(max_size=2000) | st.integers(0, 65_518).map(bytes))
def test_padding_is_undone_and_costs_at_most_an_eighth(text: bytes) -> None:
    padded = pad(text, MAX_PLAINTEXT_BYTES)
    assert unpad(padded) == text
    assert len(padded) <= max(FLOOR, (len(text) + 1) * 1.125)


def test_padded_lengths_are_few() -> None:
    lengths = {padded_length(size) for size in range(65_519)}
    # Eight from 128, sixteen in each of the eight octaves from 256, and 65,536 itself.
    assert len(lengths) == 8 + 8 * 16 + 1
    assert min(lengths) == FLOOR


@pytest.mark.parametrize("padded", [b"", bytes(128), b"text" + bytes(124)])
def test_a_padded_record_without_its_mark_ends_the_session(padded: bytes) -> None:
    initiator, responder = ends()
    check_ends(responder, initiator._send.seal(Kind.PADDED, padded))


def test_a_close_with_a_text_ends_the_session() -> None:
    initiator, responder = ends()
    check_ends(responder, initiator._send.seal(Kind.CLOSE, b"text"))


@pytest.mark.parametrize("kind", [0, *(k for k in Kind if k < Kind.DATA), 20, 22, 255])
def test_messages_of_a_handshake_are_no_records(kind: int) -> None:
    _, responder = ends()
    check_ends(responder, bytes([kind]) + header(Kind.DATA, 0, 16)[1:] + bytes(16))


def test_a_fork_cannot_send_with_its_parent_s_nonces(monkeypatch: pytest.MonkeyPatch) -> None:
    initiator, _ = ends()
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    with pytest.raises(ChannelMisuse, match="fork"):
        initiator.seal(b"text")


def test_no_repr_shows_key_bytes() -> None:
    initiator, _ = ends()
    shown = repr(initiator) + repr(SessionSecrets(*(Secret(key) for key in KEYS)))
    assert "a1a1" not in shown
    assert "\\xa1" not in shown
