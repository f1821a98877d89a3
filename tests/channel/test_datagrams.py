"""Records over datagrams: lost, doubled, reordered and made up, and the session goes on."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.pair import Pair, flip, qkd_key
from tests.channel.test_session import KEYS, Time
from tests.reference import channel_datagrams as reference

from bellwire.base.secret import Secret
from bellwire.channel.datagram_chain import DATAGRAM_OVERHEAD, DatagramChain, indices
from bellwire.channel.datagram_epochs import EPOCH_GRACE_S, MAX_EPOCHS_AHEAD
from bellwire.channel.datagrams import DatagramSession, SendAgain
from bellwire.channel.errors import ChannelMisuse, RecordDropped, SessionEnded
from bellwire.channel.messages import Direction, Kind, Policy, Suite, Transport
from bellwire.channel.options import RefreshLimits, RekeyLimits, SessionOptions
from bellwire.channel.padding import Padding
from bellwire.channel.protections import Protections
from bellwire.channel.records import MAX_EPOCH_RECORDS
from bellwire.channel.refresh import RefreshAnswered, RefreshDone, RefreshOffered
from bellwire.channel.session import Session
from bellwire.channel.symmetric import SessionSecrets
from bellwire.channel.window import WINDOW, Window

UP, DOWN = Direction.TO_RESPONDER, Direction.TO_INITIATOR
VECTORS = Path(__file__).parents[2] / "vectors" / "channel"


def ends(
    suite: Suite = Suite.AES_256_GCM, session_id: bytes = b"S" * 16, **options: Any
) -> tuple[DatagramSession, DatagramSession]:
    """Initiator's and responder's end under fixed keys."""

    def end(sending: Direction) -> DatagramSession:
        return Session(
            SessionSecrets(*(Secret(key) for key in KEYS)),
            sending=sending,
            session_id=session_id,
            peer=b"P" * 32,
            protections=Protections("simulated", suite),
            policy=Policy.PREFER,
            options=SessionOptions(transport=Transport.UDP, **options),
        ).over_datagrams()

    return end(UP), end(DOWN)


def check_dropped(receiver: DatagramSession, datagram: bytes) -> None:
    """`datagram` is dropped, and counted."""
    before = receiver.dropped.doubled + receiver.dropped.foreign
    with pytest.raises(RecordDropped):
        receiver.open(datagram)
    assert receiver.dropped.doubled + receiver.dropped.foreign == before + 1


@settings(max_examples=60, deadline=None)
@given(
    came=st.lists(st.integers(0, 3000) | st.integers(0, 20), max_size=120),
)
def test_a_window_lets_each_number_pass_once_unless_it_is_too_old(came: list[int]) -> None:
    window, seen = Window(), set[int]()
    for number in came:
        newest = max(seen, default=-1)
        fresh = number not in seen and number > newest - WINDOW
        if fresh:
            window.check(number)
            window.mark(number)
            seen.add(number)
            assert window.newest == max(seen)
        else:
            with pytest.raises(RecordDropped):
                window.check(number)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.5))
def test_each_record_opens_at_most_once_in_whatever_order_they_come(seed: int, loss: float) -> None:
    draw = random.Random(seed)
    sender, receiver = ends(rekey=RekeyLimits(records=70))
    texts = [number.to_bytes(2, "big") for number in range(200)]
    sent = [sender.seal(text) for text in texts]
    places = [(number + draw.randrange(40), record) for number, record in enumerate(sent)]
    places += [(number + draw.randrange(80), record) for number, record in enumerate(sent)]
    got = []
    for _, record in sorted(places):
        if draw.random() >= loss:
            try:
                got.append(receiver.open(record))
            except RecordDropped:
                continue
    assert len(got) == len(set(got))
    assert set(got) <= set(texts)
    if loss == 0:
        assert len(got) == 200
    assert receiver.open(sender.seal(b"goes on")) == b"goes on"


@settings(max_examples=60, deadline=None)
@given(text=st.binary(max_size=64), where=st.integers(min_value=0))
def test_a_flipped_bit_is_dropped_and_the_record_itself_still_counts(
    text: bytes, where: int
) -> None:
    sender, receiver = ends()
    record = sender.seal(text)
    check_dropped(receiver, flip(record, where % (8 * len(record))))
    assert receiver.open(record) == text
    check_dropped(receiver, record)


def test_what_is_cut_lengthened_reflected_or_of_another_session_is_dropped() -> None:
    sender, receiver = ends()
    stranger, _ = ends(session_id=b"T" * 16)
    record = sender.seal(b"text")
    for bad in (record[:-1], record + b"x", b"", record[:31], os.urandom(60)):
        check_dropped(receiver, bad)
    check_dropped(sender, record)
    check_dropped(receiver, stranger.seal(b"text"))
    renamed = record[:4] + receiver.index + record[8:]
    assert renamed == record
    assert receiver.open(record) == b"text"
    assert (receiver.dropped.foreign, receiver.dropped.doubled) == (6, 0)


def test_a_record_has_thirty_two_bytes_beside_its_text() -> None:
    sender, _ = ends()
    assert len(sender.seal(b"x" * 64)) == 64 + 32
    assert DATAGRAM_OVERHEAD == 32
    assert sender.room(1232) == 1200
    padded, _ = ends(padding=Padding.PADME)
    room = padded.room(1232)
    assert len(padded.seal(b"x" * room)) <= 1232 < len(padded.seal(b"x" * (room + 1)))


def test_a_record_that_comes_after_a_thousand_others_is_too_old() -> None:
    sender, receiver = ends()
    late, later = sender.seal(b"late"), sender.seal(b"later")
    for _ in range(WINDOW - 1):
        receiver.open(sender.seal(b""))
    check_dropped(receiver, late)
    assert receiver.open(later) == b"later"
    receiver.open(sender.seal(b""))


def test_records_of_the_epoch_before_count_for_a_while() -> None:
    time = Time()
    sender, receiver = ends(rekey=RekeyLimits(records=3), clock=time)
    first, second, third, fourth = (sender.seal(text) for text in (b"1", b"2", b"3", b"4"))
    assert receiver.open(fourth) == b"4"
    assert receiver.epochs == (0, 1)
    assert receiver.open(first) == b"1"
    assert receiver._receive.overtaken
    check_dropped(receiver, first)
    time.now = EPOCH_GRACE_S - 0.1
    assert receiver.open(second) == b"2"
    time.now = EPOCH_GRACE_S
    check_dropped(receiver, third)
    assert receiver._receive._before is None, "its keys are gone"


def test_epochs_of_which_nothing_arrives_are_skipped_up_to_a_limit() -> None:
    sender, receiver = ends(rekey=RekeyLimits(records=1))
    for _ in range(MAX_EPOCHS_AHEAD):
        sender.seal(b"lost")
    assert receiver.open(sender.seal(b"here")) == b"here"
    assert receiver.epochs[1] == MAX_EPOCHS_AHEAD
    for _ in range(MAX_EPOCHS_AHEAD):
        sender.seal(b"lost")
    check_dropped(receiver, sender.seal(b"too far"))


def test_epochs_go_on_when_their_byte_wraps() -> None:
    sender, receiver = ends(rekey=RekeyLimits(records=1))
    for number in range(520):
        assert receiver.open(sender.seal(b"%d" % number)) == b"%d" % number
    assert receiver.epochs[1] == 519


def test_a_made_up_epoch_or_number_moves_nothing() -> None:
    sender, receiver = ends()
    record = sender.seal(b"text")
    for made_up in (
        bytes([record[0], 3]) + record[2:],
        record[:8] + b"\0\0\0\0\0\1\0\0" + record[16:],
    ):
        check_dropped(receiver, made_up)
    assert receiver.epochs == (0, 0)
    assert receiver.open(record) == b"text"


def test_neither_end_goes_beyond_the_records_of_an_epoch() -> None:
    chain = DatagramChain(Suite.AES_256_GCM, Secret(KEYS[0]), b"S" * 16, UP)
    chain.number = MAX_EPOCH_RECORDS
    with pytest.raises(ChannelMisuse):
        chain.seal(Kind.DATA, b"")
    _, receiver = ends()
    record = reference.record(2, KEYS[0], b"S" * 16, 0, (0, MAX_EPOCH_RECORDS, 16, b"one more"))
    check_dropped(receiver, record)


def test_a_close_that_arrives_ends_both_directions_and_nothing_opens_after_it() -> None:
    sender, receiver = ends()
    before = sender.seal(b"before")
    assert receiver.open(sender.close()) is None
    assert receiver.ended
    check_dropped(receiver, before)
    for end in (sender, receiver):
        with pytest.raises(ChannelMisuse):
            end.seal(b"text")


def test_a_padded_text_arrives_and_one_without_a_mark_ends_the_session() -> None:
    sender, receiver = ends(padding=Padding.PADME)
    record = sender.seal(b"text")
    assert len(record) == 128 + 32
    assert receiver.open(record) == b"text"
    with pytest.raises(SessionEnded):
        receiver.open(reference.record(2, KEYS[0], b"S" * 16, 0, (0, 9, 18, b"")))
    assert receiver.ended


def test_a_fork_cannot_send_with_its_parent_s_nonces(monkeypatch: pytest.MonkeyPatch) -> None:
    sender, _ = ends()
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    with pytest.raises(ChannelMisuse, match="fork"):
        sender.seal(b"text")


def test_only_a_new_session_of_a_datagram_handshake_goes_over_datagrams() -> None:
    stream, _ = Pair(policy=Policy.OFF, drawn=None).run()
    with pytest.raises(ChannelMisuse, match="over datagrams"):
        stream.over_datagrams()
    used, _ = Pair(
        policy=Policy.OFF, drawn=None, options=SessionOptions(transport=Transport.UDP)
    ).run()
    used.seal(b"text")
    with pytest.raises(ChannelMisuse, match="over datagrams"):
        used.over_datagrams()


# Fresh keys.


def refresh(initiator: DatagramSession, responder: DatagramSession) -> bytes:
    """Up to the answer, which is returned and not delivered."""
    offered = responder.open(initiator.offer_refresh(qkd_key()))
    assert offered == RefreshOffered(qkd_key().key_id)
    return responder.answer_refresh(qkd_key())


def test_fresh_keys_come_about_although_each_of_their_records_is_lost_once() -> None:
    initiator, responder = ends(refresh=RefreshLimits(seconds=1e9, text_bytes=1))
    responder.open(initiator.seal(b"ten bytes"))
    due = [initiator.refresh_due]
    initiator.offer_refresh(qkd_key())
    assert [*due, initiator.refresh_due] == [True, False]
    offered = responder.open(initiator.offer_again())
    assert isinstance(offered, RefreshOffered)
    assert isinstance(responder.open(initiator.offer_again()), RefreshDone), "it is being fetched"
    responder.answer_refresh(qkd_key())
    again = responder.open(initiator.offer_again())
    assert isinstance(again, SendAgain)
    switched = initiator.open(again.record)
    assert isinstance(switched, RefreshAnswered)
    assert initiator.offer_again() == b""
    old_key = responder.seal(b"still under the old one")
    assert responder.open(initiator.seal(b"the switch was lost")) == b"the switch was lost"
    assert responder.epochs == (1, 1)
    assert initiator.open(old_key) == b"still under the old one"
    assert initiator.open(responder.seal(b"fresh")) == b"fresh"
    assert initiator.epochs == (1, 1)
    assert initiator.protections == responder.protections
    assert initiator.protections.refreshes == 1
    assert responder.open(switched.record) == RefreshDone()
    assert responder.open(initiator.seal(b"goes on")) == b"goes on"


def test_steps_between_epochs_and_fresh_keys_do_not_hinder_each_other() -> None:
    initiator, responder = ends(rekey=RekeyLimits(records=2))
    for round_number in range(4):
        answer = refresh(initiator, responder)
        assert responder.open(initiator.seal(b"under way")) == b"under way"
        assert initiator.open(responder.seal(b"under way")) == b"under way"
        if not isinstance(initiator.open(answer), RefreshAnswered):
            again = responder.open(initiator.offer_again())  # it was overtaken by a step
            assert isinstance(again, SendAgain)
            assert isinstance(initiator.open(again.record), RefreshAnswered)
        assert initiator.open(responder.seal(b"before the change")) == b"before the change"
        assert responder.open(initiator.seal(b"up")) == b"up"
        assert initiator.open(responder.seal(b"down")) == b"down"
        assert initiator.protections.refreshes == round_number + 1


def test_offers_and_answers_that_were_overtaken_change_nothing() -> None:
    initiator, responder = ends()
    initiator.offer_refresh(qkd_key())
    first, late_offer = initiator.offer_again(), initiator.offer_again()
    responder.open(first)
    answer = responder.answer_refresh(qkd_key())
    again = responder.open(initiator.offer_again())
    assert isinstance(again, SendAgain)
    initiator.open(answer)
    responder.open(initiator.seal(b"new epoch"))
    initiator.open(responder.seal(b"new epoch"))
    next_answer = refresh(initiator, responder)
    assert responder.open(late_offer) == RefreshDone()
    assert initiator.open(again.record) == RefreshDone()
    assert isinstance(initiator.open(next_answer), RefreshAnswered)
    assert responder.open(initiator.seal(b"second")) == b"second"
    assert initiator.open(responder.seal(b"second")) == b"second"


def test_who_knew_all_secrets_before_knows_none_of_the_fresh_ones() -> None:
    initiator, responder = ends()
    thief = DatagramChain(Suite.AES_256_GCM, Secret(KEYS[0]), b"S" * 16, UP)
    initiator.open(refresh(initiator, responder))
    record = initiator.seal(b"healed")
    _, eve = ends()
    with pytest.raises(RecordDropped):
        eve.open(record)
    assert responder.open(record) == b"healed"
    assert thief.ahead(1).epoch == initiator.epochs[0]


def test_ends_that_break_the_rules_of_fresh_keys_end_the_session() -> None:
    initiator, responder = ends()
    with pytest.raises(ChannelMisuse):
        responder.offer_refresh(None)
    bad = reference.record(2, KEYS[0], b"S" * 16, 0, (0, 5, 19, b"short"))
    with pytest.raises(SessionEnded):
        responder.open(bad)
    initiator.offer_refresh(qkd_key())
    with pytest.raises(ChannelMisuse):
        initiator.offer_refresh(qkd_key())


# Known answers.


def test_the_kept_records_are_those_of_the_reference_and_of_the_product() -> None:
    handshakes = json.loads((VECTORS / "handshakes.json").read_text())[:2]
    kept = json.loads((VECTORS / "datagrams.json").read_text())
    assert kept == [reference.play(vector) for vector in handshakes]
    for vector, datagrams in zip(handshakes, kept, strict=True):
        session_id = bytes.fromhex(vector["script"]["session_id"])
        assert [index.hex() for index in indices(session_id)] == datagrams["indices"]
        for direction, name in ((UP, "up"), (DOWN, "down")):
            secret = Secret(bytes.fromhex(vector["values"][name]))
            suite = Suite(vector["script"]["suite"])
            first = DatagramChain(suite, secret, session_id, direction)
            for place, record in zip(reference.RECORDS, datagrams[name], strict=True):
                epoch, number, kind, text = place
                chain = first.ahead(epoch) if epoch else first
                chain.number = number
                assert chain.seal(Kind(kind), text).hex() == record
