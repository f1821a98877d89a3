"""Fresh keys within a session: both ends come to the same, or the session ends."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.pair import DEVICE, Pair, flip, qkd_key
from tests.channel.test_session import Time

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, SessionEnded
from bellwire.channel.handshake import (
    Policy,
    QkdKey,
    RefreshLimits,
    RekeyLimits,
    SessionOptions,
    Suite,
)
from bellwire.channel.messages import Direction, Kind
from bellwire.channel.records import Chain
from bellwire.channel.refresh import RefreshAnswered, RefreshDone, RefreshOffered
from bellwire.channel.session import Session

NEW = QkdKey(bytes([8]) * 16, Secret(bytes([0x61]) * 32), "hardware")


def sessions(**options: object) -> tuple[Session, Session]:
    return Pair(**options).run()  # type: ignore[arg-type] # as Pair says


def refresh(
    initiator: Session,
    responder: Session,
    qkd: QkdKey | None = NEW,
    fetched: QkdKey | None = NEW,
) -> None:
    offered = responder.open(initiator.offer_refresh(qkd))
    assert offered == RefreshOffered(None if qkd is None else qkd.key_id)
    answered = initiator.open(responder.answer_refresh(fetched if qkd else None))
    assert isinstance(answered, RefreshAnswered)
    assert responder.open(answered.record) == RefreshDone()


def check_open(initiator: Session, responder: Session) -> None:
    assert responder.open(initiator.seal(b"up")) == b"up"
    assert initiator.open(responder.seal(b"down")) == b"down"


@pytest.mark.parametrize("suite", Suite)
def test_fresh_keys_serve_both_directions_again_and_again(suite: Suite) -> None:
    initiator, responder = sessions(suite=suite)
    for number in range(1, 4):
        before = [chain._secret.reveal() for chain in (initiator._send, responder._send)]
        refresh(initiator, responder)
        after = [chain._secret.reveal() for chain in (initiator._send, responder._send)]
        assert len({*before, *after}) == 4
        check_open(initiator, responder)
        assert initiator.epochs == responder.epochs == (number, number)
        assert initiator.protections == responder.protections
        assert initiator.protections.refreshes == number
        assert initiator.protections.qkd_keys == number + 1
        assert initiator.protections.qkd_source == "hardware"


def test_messages_go_on_at_every_moment_of_a_refresh() -> None:
    initiator, responder = sessions()
    offer = initiator.offer_refresh(NEW)
    early = initiator.seal(b"behind the offer")
    late = responder.seal(b"before it")
    assert responder.open(offer) == RefreshOffered(NEW.key_id)
    assert responder.open(early) == b"behind the offer"
    while_fetching = responder.seal(b"while the key is fetched")
    answer = responder.answer_refresh(NEW)
    behind = responder.seal(b"under fresh keys")
    crossing = initiator.seal(b"crossing the answer")
    assert initiator.open(late) == b"before it"
    assert initiator.open(while_fetching) == b"while the key is fetched"
    answered = initiator.open(answer)
    assert isinstance(answered, RefreshAnswered)
    after = initiator.seal(b"under fresh keys as well")
    assert initiator.open(behind) == b"under fresh keys"
    assert responder.open(crossing) == b"crossing the answer"
    assert responder.open(answered.record) == RefreshDone()
    assert responder.open(after) == b"under fresh keys as well"


@settings(max_examples=80, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from(["up", "down", "carry up", "carry down", "refresh"]), max_size=60
    ),
    records=st.integers(1, 4),
)
def test_no_message_is_lost_whatever_is_in_flight(steps: list[str], records: int) -> None:
    """Records in flight in both directions, steps of epochs, and refreshes, in any order."""
    initiator, responder = sessions(options=SessionOptions(rekey=RekeyLimits(records=records)))
    ends = {"up": (initiator, responder), "down": (responder, initiator)}
    wire: dict[str, list[bytes]] = {"up": [], "down": []}
    sent: dict[str, list[bytes]] = {"up": [], "down": []}
    got: dict[str, list[bytes]] = {"up": [], "down": []}

    def carry(way: str) -> None:
        if not wire[way]:
            return
        match ends[way][1].open(wire[way].pop(0)):
            case RefreshOffered():
                wire["down"].append(responder.answer_refresh(NEW))
            case RefreshAnswered(record):
                wire["up"].append(record)
            case bytes() as text:
                got[way].append(text)

    for number, step in enumerate(steps):
        if step in sent:
            sent[step].append(number.to_bytes(2, "big"))
            wire[step].append(ends[step][0].seal(sent[step][-1]))
        elif step == "refresh":
            with contextlib.suppress(ChannelMisuse):
                wire["up"].append(initiator.offer_refresh(NEW))
        else:
            carry(step.removeprefix("carry "))
    while wire["up"] or wire["down"]:
        carry("up")
        carry("down")
    assert got == sent
    assert initiator.protections == responder.protections
    check_open(initiator, responder)


def test_who_knows_every_secret_before_and_only_listens_is_shut_out() -> None:
    initiator, responder = sessions(policy=Policy.OFF, drawn=None)
    thief = sessions(policy=Policy.OFF, drawn=None)[1]
    thief.session_id = responder.session_id
    thief._receive, thief._send = (
        Chain(Suite.AES_256_GCM, Secret(chain._secret.reveal()), responder.session_id, side)
        for chain, side in (
            (responder._receive, Direction.TO_RESPONDER),
            (responder._send, Direction.TO_INITIATOR),
        )
    )
    thief._refresher._root = Secret(responder._refresher._root.reveal())
    text = initiator.seal(b"the thief reads this")
    assert thief.open(text) == responder.open(text) == b"the thief reads this"
    offer = initiator.offer_refresh(None)
    assert thief.open(offer) == responder.open(offer) == RefreshOffered(None)
    answered = initiator.open(responder.answer_refresh(None))
    assert isinstance(answered, RefreshAnswered)
    thief.answer_refresh(None)
    for end in (thief, responder):
        assert end.open(answered.record) == RefreshDone()
    fresh = initiator.seal(b"and this not")
    assert responder.open(fresh) == b"and this not"
    with pytest.raises(SessionEnded):
        thief.open(fresh)


def test_a_wrong_qkd_key_ends_the_session_at_the_next_record() -> None:
    initiator, responder = sessions()
    wrong = QkdKey(NEW.key_id, Secret(bytes([0x62]) * 32), "hardware")
    refresh(initiator, responder, fetched=wrong)
    with pytest.raises(SessionEnded):
        responder.open(initiator.seal(b"up"))
    with pytest.raises(SessionEnded):
        initiator.open(b"")


@pytest.mark.parametrize(
    ("policy", "drawn"), [(Policy.PREFER, qkd_key()), (Policy.PREFER, None), (Policy.OFF, None)]
)
def test_fresh_keys_without_qkd_keep_what_was_mixed_in_before(
    policy: Policy, drawn: QkdKey | None
) -> None:
    initiator, responder = sessions(policy=policy, drawn=drawn)
    before = initiator.protections
    refresh(initiator, responder, qkd=None)
    check_open(initiator, responder)
    assert initiator.protections.qkd_source == before.qkd_source
    assert initiator.protections.qkd_keys == before.qkd_keys
    assert initiator.protections.refreshes == 1


def test_a_source_that_cannot_be_reached_is_gone_without_only_under_prefer() -> None:
    initiator, responder = sessions(policy=Policy.PREFER)
    refresh(initiator, responder, fetched=None)
    check_open(initiator, responder)
    initiator, responder = sessions(policy=Policy.REQUIRE)
    responder.open(initiator.offer_refresh(NEW))
    with pytest.raises(SessionEnded, match="require"):
        initiator.open(responder.answer_refresh(None))
    initiator, responder = sessions(policy=Policy.PREFER, responder_policy=Policy.REQUIRE)
    responder.open(initiator.offer_refresh(NEW))
    with pytest.raises(SessionEnded, match="require"):
        responder.answer_refresh(None)


def test_policies_hold_for_fresh_keys_too() -> None:
    initiator, _ = sessions(policy=Policy.REQUIRE)
    with pytest.raises(ChannelMisuse, match="needs"):
        initiator.offer_refresh(None)
    initiator, responder = sessions(policy=Policy.OFF, drawn=None)
    with pytest.raises(ChannelMisuse, match="takes no"):
        initiator.offer_refresh(NEW)
    initiator, responder = sessions(policy=Policy.PREFER, responder_policy=Policy.REQUIRE)
    with pytest.raises(SessionEnded, match="without QKD"):
        responder.open(initiator.offer_refresh(None))
    initiator, responder = sessions(policy=Policy.PREFER, responder_policy=Policy.OFF)
    assert responder.open(initiator.offer_refresh(NEW)) == RefreshOffered(None)
    assert isinstance(initiator.open(responder.answer_refresh(None)), RefreshAnswered)


def test_steps_out_of_order_are_our_own_misuse() -> None:
    initiator, responder = sessions()
    with pytest.raises(ChannelMisuse):
        responder.offer_refresh(NEW)
    for end in (initiator, responder):
        with pytest.raises(ChannelMisuse):
            end.answer_refresh(NEW)
    responder.open(initiator.offer_refresh(NEW))
    with pytest.raises(ChannelMisuse, match="open offer"):
        initiator.offer_refresh(NEW)
    with pytest.raises(ChannelMisuse, match="names this"):
        responder.answer_refresh(qkd_key())
    check_open(initiator, responder)


Cheat = Callable[[Session], bytes]


@pytest.mark.parametrize(
    "cheat",
    [
        lambda end: end._seal(Kind.REFRESH_OFFER, bytes(1231)),
        lambda end: end._seal(Kind.REFRESH_OFFER, b""),
        lambda end: end._seal(Kind.REFRESH_ANSWER, bytes(1121)),
        lambda end: end._seal(Kind.REFRESH_SWITCH, b""),
        lambda end: end._seal(Kind.REFRESH_SWITCH, b"x"),
    ],
    ids=["short-offer", "no-offer", "answer-from-the-initiator", "switch", "long-switch"],
)
def test_a_responder_ends_the_session_of_who_breaks_the_rules(cheat: Cheat) -> None:
    initiator, responder = sessions()
    with pytest.raises(SessionEnded):
        responder.open(cheat(initiator))
    with pytest.raises(ChannelMisuse, match="ended"):
        responder.seal(b"more")


@pytest.mark.parametrize(
    "cheat",
    [
        lambda end: end._seal(Kind.REFRESH_ANSWER, bytes(1121)),
        lambda end: end._seal(Kind.REFRESH_ANSWER, bytes(1120) + b"\x02"),
        lambda end: end._seal(Kind.REFRESH_ANSWER, bytes(1120)),
        lambda end: end._seal(Kind.REFRESH_OFFER, bytes(1232)),
        lambda end: end._seal(Kind.REFRESH_SWITCH, b""),
    ],
    ids=["low-order", "used-twice", "short", "offer-from-the-responder", "switch"],
)
@pytest.mark.parametrize("offered", [False, True])
def test_an_initiator_ends_the_session_of_who_breaks_the_rules(cheat: Cheat, offered: bool) -> None:
    initiator, responder = sessions(policy=Policy.PREFER)
    if offered:
        responder.open(initiator.offer_refresh(NEW))
    with pytest.raises(SessionEnded):
        initiator.open(cheat(responder))


def test_an_offer_within_an_offer_ends_the_session() -> None:
    initiator, responder = sessions()
    offer = DEVICE.public_bytes + bytes(16)
    responder.open(initiator.offer_refresh(NEW))
    with pytest.raises(SessionEnded, match="one offer"):
        responder.open(initiator._seal(Kind.REFRESH_OFFER, offer))
    initiator, responder = sessions()
    responder.open(initiator.offer_refresh(NEW))
    responder.answer_refresh(NEW)
    with pytest.raises(SessionEnded, match="one offer"):
        responder.open(initiator._seal(Kind.REFRESH_OFFER, offer))


@pytest.mark.parametrize("public", [b"\xff" * 1216, DEVICE.public_bytes[:1184] + bytes(32)])
def test_a_malformed_key_ends_the_session(public: bytes) -> None:
    initiator, responder = sessions()
    responder.open(initiator._seal(Kind.REFRESH_OFFER, public + bytes(16)))
    with pytest.raises(SessionEnded, match="malformed"):
        responder.answer_refresh(None)
    with pytest.raises(ChannelMisuse, match="ended"):
        responder.seal(b"more")


@settings(max_examples=60, deadline=None)
@given(which=st.integers(0, 2), where=st.integers(min_value=0))
def test_a_flipped_bit_of_a_refresh_ends_the_session(which: int, where: int) -> None:
    initiator, responder = sessions()

    def carry(number: int, record: bytes) -> bytes:
        return flip(record, where % (8 * len(record))) if number == which else record

    def exchange() -> None:
        responder.open(carry(0, initiator.offer_refresh(NEW)))
        answered = initiator.open(carry(1, responder.answer_refresh(NEW)))
        assert isinstance(answered, RefreshAnswered)
        responder.open(carry(2, answered.record))

    with pytest.raises(SessionEnded):
        exchange()


def test_who_has_closed_takes_the_answer_and_sends_nothing() -> None:
    initiator, responder = sessions()
    responder.open(initiator.offer_refresh(NEW))
    assert responder.open(initiator.close()) is None
    assert initiator.open(responder.answer_refresh(NEW)) == RefreshAnswered(b"")
    assert initiator.open(responder.seal(b"last")) == b"last"


def test_fresh_keys_fall_due_by_age_and_bytes_at_the_initiator_alone() -> None:
    time = Time()
    limits = RefreshLimits(seconds=100.0, text_bytes=1000)
    initiator, responder = sessions(options=SessionOptions(refresh=limits, clock=time))
    assert not initiator.refresh_due
    initiator.seal(bytes(1000))
    due: list[bool] = [initiator.refresh_due]
    initiator, responder = sessions(options=SessionOptions(refresh=limits, clock=time))
    time.now = 100.0
    due += [initiator.refresh_due, responder.refresh_due]
    offer = initiator.offer_refresh(NEW)
    due += [initiator.refresh_due]
    responder.open(offer)
    initiator.open(responder.answer_refresh(NEW))
    due += [initiator.refresh_due]
    time.now = 200.0
    due += [initiator.refresh_due]
    initiator.close()
    due += [initiator.refresh_due]
    assert due == [True, True, False, False, False, True, False]
