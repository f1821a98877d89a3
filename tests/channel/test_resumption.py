"""Resumption: cheap, once, with fresh keys; whatever goes wrong ends without a session."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.pair import CLOUD, DEVICE, NAME, SOURCE, STRANGER, Pair, flip, qkd_key
from tests.channel.test_session import Time
from tests.reference.channel import Script

from bellwire.base.secret import Secret
from bellwire.channel import resumption
from bellwire.channel.errors import (
    ChannelMisuse,
    HandshakeFailed,
    HandshakeRefused,
    SessionEnded,
    TicketUnknown,
)
from bellwire.channel.gate import Gate, GateLimits
from bellwire.channel.handshake import (
    Policy,
    QkdKey,
    Responder,
    Resumer,
    ResumptionResponder,
    Retry,
    Suite,
    Ticket,
    TicketBox,
    fingerprint,
)
from bellwire.channel.macs import Hello, finish_hello, mac_key
from bellwire.channel.messages import Kind
from bellwire.channel.protections import Protections
from bellwire.channel.resumption import MAX_TICKETS, TICKET_LIFE_S, make_ticket
from bellwire.channel.session import Session
from bellwire.crypto.kem import XWingPrivateKey

RESUME = 4 + 1297


def copy(ticket: Ticket, **changes: object) -> Ticket:
    """A ticket's own copy: using one wipes it."""
    fields: dict[str, Any] = {
        "handle": ticket.handle,
        "psk": Secret(ticket.psk.reveal()),
        "peer": ticket.peer,
        "protections": ticket.protections,
    }
    return Ticket(**(fields | changes))


class Again:
    """Both ends of a session, before they resume it."""

    def __init__(
        self,
        *,
        suite: Suite = Suite.AES_256_GCM,
        policy: Policy = Policy.PREFER,
        responder_policy: Policy = Policy.PREFER,
        drawn: QkdKey | None = None,
        tickets: tuple[Ticket, Ticket] | None = None,
        identity: XWingPrivateKey = DEVICE,
    ) -> None:
        at_initiator, at_responder = tickets or tuple(
            end.ticket for end in Pair(suite=suite, policy=Policy.OFF, drawn=None).run()
        )
        self.ticket = at_responder
        self.responder_policy = responder_policy
        self.gate = Gate(CLOUD.public_bytes)
        self.resumer = Resumer(
            ticket=at_initiator,
            own_public=identity.public_bytes,
            responder_name=NAME,
            responder_public=CLOUD.public_bytes,
            policy=policy,
            qkd=drawn,
        )

    def admit(self, hello: bytes) -> Hello:
        admitted = self.gate.admit(hello, SOURCE, 0.0)
        assert not isinstance(admitted, Retry)
        return admitted

    def answer(self, hello: bytes, fetched: QkdKey | None = None) -> bytes:
        self.responder = ResumptionResponder(
            self.admit(hello),
            self.ticket,
            name=NAME,
            own_public=CLOUD.public_bytes,
            policy=self.responder_policy,
        )
        key_id = self.responder.receive_hello()
        return self.responder.answer(fetched if key_id else None)

    def establish(self, answer: bytes) -> tuple[bytes, Session]:
        confirm, session = self.resumer.receive(answer)
        assert session is not None
        return confirm, session

    def run(self, fetched: QkdKey | None = None) -> tuple[Session, Session]:
        confirm, initiator = self.establish(self.answer(self.resumer.hello(), fetched))
        return initiator, self.responder.receive_confirmation(confirm)


def remade(hello: bytes) -> bytes:
    return finish_hello(hello[:-32], mac_key(CLOUD.public_bytes), None)


def check_open(initiator: Session, responder: Session) -> None:
    assert responder.open(initiator.seal(b"up")) == b"up"
    assert initiator.open(responder.seal(b"down")) == b"down"
    assert initiator.session_id == responder.session_id
    assert initiator.protections == responder.protections
    assert (initiator.peer, responder.peer) == tuple(
        fingerprint(key.public_bytes) for key in (CLOUD, DEVICE)
    )


@pytest.mark.parametrize("suite", Suite)
def test_a_session_is_resumed_and_that_one_again(suite: Suite) -> None:
    initiator, responder = Pair(suite=suite).run()
    assert initiator.ticket == responder.ticket or (
        initiator.ticket.handle == responder.ticket.handle
        and initiator.ticket.psk == responder.ticket.psk
    )
    for number in range(1, 4):
        again = Again(tickets=(initiator.ticket, responder.ticket))
        before = (initiator.session_id, initiator.ticket.handle)
        initiator, responder = again.run()
        check_open(initiator, responder)
        assert initiator.session_id != before[0]
        assert initiator.ticket.handle != before[1]
        assert initiator.protections.resumed == number
        assert initiator.protections.suite is suite
        assert initiator.protections.qkd_source == "simulated", "the first session's key counts on"


def test_it_is_half_the_size_and_no_answer_amplifies() -> None:
    again = Again()
    hello = again.resumer.hello()
    answer = again.answer(hello)
    confirm, _ = again.establish(answer)
    assert (len(hello), len(answer), len(confirm)) == (1301, 1173, 20)


def test_no_static_key_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    again = Again()
    keys: list[XWingPrivateKey] = []
    decapsulate = XWingPrivateKey.decapsulate

    def count(key: XWingPrivateKey, ciphertext: bytes) -> Secret:
        keys.append(key)
        return decapsulate(key, ciphertext)

    monkeypatch.setattr(XWingPrivateKey, "decapsulate", count)
    again.run()
    assert len(keys) == 1
    assert keys[0] not in (DEVICE, CLOUD)


def test_a_stolen_ticket_does_not_open_the_session_that_used_it() -> None:
    """Forward secrecy: the ephemeral key is fresh."""
    initiator, responder = Pair().run()
    thief = Again(tickets=(copy(initiator.ticket), copy(responder.ticket)))
    again = Again(tickets=(initiator.ticket, responder.ticket))
    hello = again.resumer.hello()
    session = again.establish(again.answer(hello))[1]
    thief.answer(hello)
    assert thief.responder._session_id != session.session_id
    secret = thief.responder._state.split().up
    assert secret.reveal() != session._send._secret.reveal()


@pytest.mark.parametrize(
    ("policy", "responder_policy", "drawn", "fetched", "keys"),
    [
        (Policy.REQUIRE, Policy.PREFER, qkd_key(), qkd_key(), 1),
        (Policy.PREFER, Policy.REQUIRE, qkd_key(), qkd_key(), 1),
        (Policy.PREFER, Policy.PREFER, qkd_key(), None, 0),
        (Policy.PREFER, Policy.OFF, qkd_key(), None, 0),
        (Policy.OFF, Policy.OFF, None, None, 0),
    ],
)
def test_policies_hold_and_fresh_qkd_keys_are_mixed_in(
    policy: Policy,
    responder_policy: Policy,
    drawn: QkdKey | None,
    fetched: QkdKey | None,
    keys: int,
) -> None:
    again = Again(policy=policy, responder_policy=responder_policy, drawn=drawn)
    initiator, responder = again.run(fetched)
    check_open(initiator, responder)
    assert initiator.protections.qkd_keys == keys


@pytest.mark.parametrize(
    ("policy", "responder_policy", "drawn"),
    [
        (Policy.REQUIRE, Policy.PREFER, qkd_key()),
        (Policy.REQUIRE, Policy.OFF, qkd_key()),
        (Policy.PREFER, Policy.REQUIRE, qkd_key()),
        (Policy.OFF, Policy.REQUIRE, None),
    ],
)
def test_a_required_key_that_is_missing_is_refused(
    policy: Policy, responder_policy: Policy, drawn: QkdKey | None
) -> None:
    again = Again(policy=policy, responder_policy=responder_policy, drawn=drawn)
    hello = again.resumer.hello()
    with pytest.raises(HandshakeFailed) as caught:
        again.answer(hello)
    assert caught.value.alert is not None
    with pytest.raises(HandshakeRefused):
        again.resumer.receive(caught.value.alert)


def test_a_wrong_qkd_key_is_refused_and_a_refused_one_is_an_alert() -> None:
    again = Again(drawn=qkd_key())
    answer = again.answer(again.resumer.hello(), qkd_key(0x52))
    with pytest.raises(HandshakeFailed, match="QKD key"):
        again.resumer.receive(answer)
    again = Again(drawn=qkd_key())
    responder = ResumptionResponder(
        again.admit(again.resumer.hello()),
        again.ticket,
        name=NAME,
        own_public=CLOUD.public_bytes,
        policy=Policy.PREFER,
    )
    assert responder.receive_hello() == qkd_key().key_id
    with pytest.raises(HandshakeRefused):
        again.resumer.receive(responder.refuse())


@settings(max_examples=80, deadline=None)
@given(which=st.integers(0, 2), where=st.integers(min_value=0), again=st.booleans())
def test_a_flipped_bit_ends_without_a_session(which: int, where: int, again: bool) -> None:
    both = Again()
    altered = []

    def carry(number: int, message: bytes) -> bytes:
        changed = flip(message, where % (8 * len(message))) if number == which else message
        if number == which == 0 and again:
            changed = remade(changed)
        altered.append(changed != message)
        return changed

    initiator = responder = None
    with contextlib.suppress(HandshakeFailed, ChannelMisuse):
        answer = both.answer(carry(0, both.resumer.hello()))
        confirm, initiator = both.establish(carry(1, answer))
        responder = both.responder.receive_confirmation(carry(2, confirm))
    if any(altered):
        assert responder is None
        assert initiator is None or which == 2
    else:
        assert initiator is not None
        assert responder is not None
        check_open(initiator, responder)


@pytest.mark.parametrize("length", [0, 4, 1000, RESUME - 1, RESUME + 1])
def test_another_length_is_refused(length: int) -> None:
    again = Again()
    with pytest.raises(HandshakeFailed):
        again.admit((again.resumer.hello() + b"\0")[:length])


def test_who_has_another_ticket_or_key_or_name_is_refused() -> None:
    one, other = Pair().run(), Pair().run()
    forged = copy(one[0].ticket, psk=other[0].ticket.psk)
    again = Again(tickets=(forged, one[1].ticket))
    hello = again.resumer.hello()
    with pytest.raises(HandshakeFailed, match="holder of the ticket"):
        again.answer(hello)
    again = Again(tickets=(other[0].ticket, other[1].ticket), identity=STRANGER)
    with pytest.raises(HandshakeFailed, match="holder of the ticket"):
        again.answer(again.resumer.hello())
    with pytest.raises(ChannelMisuse, match="another"):
        ResumptionResponder(
            again.admit(Again().resumer.hello()),
            Pair().run()[1].ticket,
            name=NAME,
            own_public=CLOUD.public_bytes,
            policy=Policy.OFF,
        )


def test_a_ticket_of_another_responder_and_a_malformed_one_are_our_own_misuse() -> None:
    ticket = Pair().run()[0].ticket
    with pytest.raises(ChannelMisuse, match="another's"):
        Again(tickets=(copy(ticket, peer=b"p" * 32), ticket))
    for changes in ({"handle": b"short"}, {"psk": Secret(b"short")}):
        with pytest.raises(ChannelMisuse, match="16 and 32"):
            copy(ticket, **changes)
    with pytest.raises(ChannelMisuse, match="needs"):
        Again(policy=Policy.REQUIRE)


def test_a_ticket_that_is_not_known_is_said_so_and_only_about_this_hello() -> None:
    again, other = Again(), Again()
    unknown = again.gate.unknown(again.admit(again.resumer.hello()))
    other.resumer.hello()
    with pytest.raises(HandshakeFailed, match="our hello") as caught:
        other.resumer.receive(unknown)
    assert not isinstance(caught.value, TicketUnknown)
    for bit in range(8 * len(unknown)):
        spoilt = Again(tickets=(Pair().run()[0].ticket, again.ticket)) if bit % 40 == 0 else None
        if spoilt is not None:
            hello = spoilt.admit(spoilt.resumer.hello())
            with pytest.raises(HandshakeFailed) as caught:
                spoilt.resumer.receive(flip(spoilt.gate.unknown(hello), bit))
            assert not isinstance(caught.value, TicketUnknown)
    with pytest.raises(TicketUnknown):
        again.resumer.receive(unknown)


def test_a_resumption_meets_the_gate_like_any_hello() -> None:
    again = Again()
    again.gate = Gate(CLOUD.public_bytes, limits=GateLimits(total_per_s=1e-9, total_burst=0))
    retry = again.gate.admit(again.resumer.hello(), SOURCE, 0.0)
    assert isinstance(retry, Retry)
    hello, nothing = again.resumer.receive(retry.message)
    assert nothing is None
    confirm, initiator = again.establish(again.answer(hello))
    check_open(initiator, again.responder.receive_confirmation(confirm))


def test_a_resumption_is_no_full_handshake() -> None:
    responder = Responder(
        identity=CLOUD,
        name=NAME,
        initiators=lambda _: None,
        policy=Policy.OFF,
        last_counter=lambda _: 0,
    )
    again = Again()
    with pytest.raises(ChannelMisuse, match="resumption"):
        responder.receive_hello(again.admit(again.resumer.hello()))


def test_sessions_of_one_ticket_do_not_come_about_twice() -> None:
    """The second of two that use a ticket finds it gone, and a replay gets no session."""
    initiator, responder = Pair().run()
    box = TicketBox(Time())
    box.keep(responder.ticket)
    hellos = [Again(tickets=(copy(initiator.ticket), responder.ticket)) for _ in range(2)]
    taken = [box.take(each.admit(each.resumer.hello()).opening) for each in hellos]
    assert taken[0] is not None
    assert taken[1] is None


def ticket_of(number: int) -> Ticket:
    peer = number.to_bytes(32, "big")
    return make_ticket(Secret(number.to_bytes(32, "little")), peer, Protections(None))


def test_a_box_gives_each_ticket_once_and_keeps_the_newest_of_each_initiator() -> None:
    time = Time()
    box = TicketBox(time)
    first = ticket_of(1)
    box.keep(first, b"certificate")
    assert box.take(first.handle) == (first, b"certificate")
    assert box.take(first.handle) is None
    newer = make_ticket(Secret(b"n" * 32), first.peer, Protections(None))
    box.keep(first)
    box.keep(newer)
    assert len(box) == 1
    assert box.take(first.handle) is None
    assert box.take(newer.handle) == (newer, b"")
    box.keep(newer)
    time.now = TICKET_LIFE_S
    assert box.take(newer.handle) is None, "too old"
    assert len(box) == 0


def test_a_box_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_TICKETS == 20_000
    monkeypatch.setattr(resumption, "MAX_TICKETS", 10)
    box = TicketBox(Time())
    tickets = [ticket_of(number) for number in range(25)]
    for ticket in tickets:
        box.keep(ticket)
    assert len(box) == len(box._of_peer) == 10
    assert [box.take(each.handle) is not None for each in tickets] == [False] * 15 + [True] * 10


VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "channel" / "handshakes.json").read_text()
)


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_both_ends_give_the_kept_bytes(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script.decode(vector["script"])
    values = {name: bytes.fromhex(value) for name, value in vector["values"].items()}
    device = XWingPrivateKey.from_seed(script.initiator_seed).public_bytes
    cloud = XWingPrivateKey.from_seed(script.responder_seed).public_bytes
    ephemeral = XWingPrivateKey.from_seed(script.ephemeral_seed)
    qkd = QkdKey(script.key_id, Secret(script.qkd_key), "simulated") if script.policy else None
    suite = Protections(None, Suite(script.suite))
    tickets = [
        make_ticket(Secret(values["resume"]), fingerprint(peer), suite) for peer in (cloud, device)
    ]
    assert [tickets[0].handle, tickets[0].psk.reveal()] == [values["handle"], values["psk"]]
    resumer = Resumer(
        ticket=tickets[0],
        own_public=device,
        responder_name=script.name.decode(),
        responder_public=cloud,
        policy=Policy(script.policy),
        qkd=qkd,
    )
    with monkeypatch.context() as patch:
        patch.setattr(
            "bellwire.channel.initiating.XWingPrivateKey.generate", staticmethod(lambda: ephemeral)
        )
        hello = resumer.hello()
    assert hello == values["resume_hello"]
    gate = Gate(cloud)
    admitted = gate.admit(hello, SOURCE, 0.0)
    assert not isinstance(admitted, Retry)
    assert gate.unknown(admitted) == values["resume_unknown"]
    assert admitted.kind is Kind.RESUME
    responder = ResumptionResponder(
        admitted,
        tickets[1],
        name=script.name.decode(),
        own_public=cloud,
        policy=Policy.PREFER,
    )
    key_id = responder.receive_hello()
    assert (key_id is None) == (script.policy == 0)
    module = "bellwire.channel.responding"
    monkeypatch.setattr(f"{module}.encapsulate", lambda _: (script.ct_e, Secret(values["ss_e"])))
    monkeypatch.setattr(f"{module}.os.urandom", lambda _: script.session_id)
    assert responder.answer(qkd if script.qkd_used else None) == values["resume_answer"]
    confirm, session = resumer.receive(values["resume_answer"])
    assert confirm == values["resume_confirm"]
    assert session is not None
    at_responder = responder.receive_confirmation(confirm)
    assert session._send._secret.reveal() == values["resumed_up"]
    assert at_responder._send._secret.reveal() == values["resumed_down"]


def test_a_record_of_the_session_before_is_nothing_to_the_next() -> None:
    initiator, responder = Pair().run()
    old = initiator.seal(b"old")
    again = Again(tickets=(initiator.ticket, responder.ticket))
    _, resumed = again.run()
    with pytest.raises(SessionEnded):
        resumed.open(old)
