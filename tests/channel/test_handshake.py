import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.pair import CLOUD, DEVICE, NAME, SOURCE, STRANGER, Pair, flip, qkd_key

from bellwire.base.secret import Secret
from bellwire.channel import messages
from bellwire.channel.errors import ChannelMisuse, HandshakeFailed, HandshakeRefused, SessionEnded
from bellwire.channel.handshake import (
    Gate,
    Initiator,
    Policy,
    QkdKey,
    Responder,
    Retry,
    Suite,
    fingerprint,
)
from bellwire.channel.macs import finish_hello, mac_key
from bellwire.channel.messages import (
    ALERT_BODY,
    ANSWER_BODY,
    CONFIRM_BODY,
    HEADER_BYTES,
    HELLO_BODY,
    Kind,
    Offer,
)
from bellwire.channel.terms import INITIATOR, RESPONDER, Event, Progress, Step
from bellwire.crypto.errors import KemRefused, LengthError
from bellwire.crypto.kem import XWingPrivateKey

HELLO = HEADER_BYTES + HELLO_BODY
ANSWER = HEADER_BYTES + ANSWER_BODY
CONFIRM = HEADER_BYTES + CONFIRM_BODY
HEADER_BITS = range(8 * HEADER_BYTES)


def bits_of(message_bytes: int) -> st.SearchStrategy[int]:
    return st.integers(0, 8 * message_bytes - 1)


def check_agreement(pair: Pair, qkd_source: str | None) -> None:
    initiator, responder = pair.run()
    assert responder.open(initiator.seal(b"up")) == b"up"
    assert initiator.open(responder.seal(b"down")) == b"down"
    assert initiator.session_id == responder.session_id
    assert initiator.peer == fingerprint(CLOUD.public_bytes)
    assert responder.peer == fingerprint(DEVICE.public_bytes)
    assert initiator.protections == responder.protections
    assert initiator.protections.qkd_source == qkd_source
    assert initiator.protections.x25519
    assert initiator.protections.ml_kem_768


def refuse(pair: Pair, hello: bytes) -> HandshakeFailed:
    """The responder's error for `hello`, whether it comes at once or at the answer."""
    with pytest.raises(HandshakeFailed) as caught:
        pair.answer(hello)
    return caught.value


def offered(pair: Pair) -> None:
    """Carry `pair` to where the responder has taken the hello."""
    hello = pair.gate.admit(pair.initiator.hello(), SOURCE, 0.0)
    assert not isinstance(hello, Retry)
    pair.responder.receive_hello(hello)


@pytest.mark.parametrize("policy", [Policy.REQUIRE, Policy.PREFER])
@pytest.mark.parametrize("responder_policy", [Policy.REQUIRE, Policy.PREFER])
def test_ends_agree_with_a_qkd_key(policy: Policy, responder_policy: Policy) -> None:
    pair = Pair(policy=policy, responder_policy=responder_policy)
    check_agreement(pair, "simulated")


@pytest.mark.parametrize(
    ("policy", "responder_policy", "drawn"),
    [
        (Policy.OFF, Policy.OFF, None),
        (Policy.OFF, Policy.PREFER, None),
        (Policy.PREFER, Policy.OFF, qkd_key()),
        (Policy.PREFER, Policy.PREFER, None),
    ],
)
def test_ends_agree_without_qkd_where_both_policies_allow(
    policy: Policy, responder_policy: Policy, drawn: QkdKey | None
) -> None:
    pair = Pair(policy=policy, responder_policy=responder_policy, drawn=drawn)
    check_agreement(pair, None)


def test_unreachable_source_under_prefer_goes_without_and_says_so() -> None:
    check_agreement(Pair(policy=Policy.PREFER, fetched=None), None)


def test_sizes_are_those_of_the_specification() -> None:
    pair = Pair()
    hello = pair.initiator.hello()
    answer = pair.answer(hello)
    confirm, _ = pair.initiator.receive(answer)
    assert (len(hello), len(answer), len(confirm)) == (2445, 2293, 20)
    assert len(answer) < len(hello), "an answer never amplifies"


def test_protections_are_named_for_people() -> None:
    assert Pair().run()[0].protections.names == ("x25519", "ml-kem-768", "qkd (simulated)")
    without = Pair(policy=Policy.OFF, drawn=None).run()[0]
    assert without.protections.names == ("x25519", "ml-kem-768")


def test_sessions_from_the_same_inputs_share_no_keys() -> None:
    (one, _), (_, other) = Pair().run(), Pair().run()
    assert one.session_id != other.session_id
    with pytest.raises(SessionEnded):
        other.open(one.seal(b"text"))


def check_hello_refused(hello: bytes) -> None:
    pair = Pair()
    refuse(pair, hello)
    with pytest.raises(ChannelMisuse):
        pair.responder.answer(qkd_key())


@settings(max_examples=60, deadline=None)
@given(bit=bits_of(HELLO))
def test_a_flipped_bit_of_the_hello_is_refused(bit: int) -> None:
    check_hello_refused(flip(Pair().initiator.hello(), bit))


def test_every_flipped_bit_of_the_hello_s_header_is_refused() -> None:
    hello = Pair().initiator.hello()
    for bit in HEADER_BITS:
        check_hello_refused(flip(hello, bit))


@pytest.mark.parametrize("length", [0, 1, HEADER_BYTES, 1124, 2340, HELLO - 1, HELLO + 1])
def test_a_hello_of_another_length_is_refused(length: int) -> None:
    check_hello_refused((Pair().initiator.hello() + b"\0")[:length])


def remade(hello: bytes) -> bytes:
    """The hello with its MACs made anew, as whoever knows the cloud's public key can."""
    return finish_hello(hello[:-32], mac_key(CLOUD.public_bytes), None)


@settings(max_examples=60, deadline=None)
@given(bit=bits_of(HELLO - 32))
def test_a_flipped_bit_under_a_mac_that_fits_is_refused(bit: int) -> None:
    check_hello_refused(remade(flip(Pair().initiator.hello(), bit)))


def check_answer_refused(answer: bytes, pair: Pair) -> None:
    with pytest.raises(HandshakeFailed):
        pair.initiator.receive(answer)
    with pytest.raises(ChannelMisuse):
        pair.initiator.receive(answer)


@settings(max_examples=60, deadline=None)
@given(bit=bits_of(ANSWER))
def test_a_flipped_bit_of_the_answer_is_refused(bit: int) -> None:
    pair = Pair()
    check_answer_refused(flip(pair.answer(pair.initiator.hello()), bit), pair)


@pytest.mark.parametrize("bit", HEADER_BITS)
def test_every_flipped_bit_of_the_answer_s_header_is_refused(bit: int) -> None:
    pair = Pair()
    check_answer_refused(flip(pair.answer(pair.initiator.hello()), bit), pair)


@pytest.mark.parametrize("length", [0, 1, HEADER_BYTES, 1124, 2261, ANSWER - 1, ANSWER + 1])
def test_an_answer_of_another_length_is_refused(length: int) -> None:
    pair = Pair()
    check_answer_refused((pair.answer(pair.initiator.hello()) + b"\0")[:length], pair)


@pytest.mark.parametrize("bit", range(8 * CONFIRM))
def test_every_flipped_bit_of_the_confirmation_is_refused(bit: int) -> None:
    pair = Pair()
    confirm, _ = pair.initiator.receive(pair.answer(pair.initiator.hello()))
    with pytest.raises(HandshakeFailed):
        pair.responder.receive_confirmation(flip(confirm, bit))
    with pytest.raises(ChannelMisuse):
        pair.responder.receive_confirmation(confirm)


@pytest.mark.parametrize("length", [0, 1, HEADER_BYTES, CONFIRM - 1, CONFIRM + 1])
def test_a_confirmation_of_another_length_is_refused(length: int) -> None:
    pair = Pair()
    confirm, _ = pair.initiator.receive(pair.answer(pair.initiator.hello()))
    with pytest.raises(HandshakeFailed):
        pair.responder.receive_confirmation((confirm + b"\0")[:length])


def test_messages_of_another_handshake_are_refused() -> None:
    one, other = Pair(), Pair()
    answer_one = one.answer(one.initiator.hello())
    answer_other = other.answer(other.initiator.hello())
    confirm_one, _ = one.establish(answer_one)
    with pytest.raises(HandshakeFailed):
        other.initiator.receive(answer_one)
    with pytest.raises(HandshakeFailed):
        other.responder.receive_confirmation(confirm_one)
    assert answer_one != answer_other


def test_a_replayed_hello_yields_no_session_without_the_initiator() -> None:
    one, replayed = Pair(), Pair()
    hello = one.initiator.hello()
    confirm, _ = one.establish(one.answer(hello))
    replayed.answer(hello)
    with pytest.raises(HandshakeFailed):
        replayed.responder.receive_confirmation(confirm)


def test_a_responder_without_the_pinned_key_does_nothing_and_can_say_nothing() -> None:
    pair = Pair(pinned=STRANGER.public_bytes)
    hello = pair.initiator.hello()
    assert refuse(pair, hello).alert is None
    error = refuse(Pair(), remade(hello))
    assert error.alert is not None
    with pytest.raises(HandshakeFailed) as caught:
        pair.initiator.receive(error.alert)
    assert not isinstance(caught.value, HandshakeRefused)


def test_a_responder_of_another_name_is_refused() -> None:
    pair = Pair(pinned_name="other.test")
    refuse(pair, pair.initiator.hello())


def test_an_unknown_initiator_is_refused_and_told_so_under_seal() -> None:
    pair = Pair(identity=STRANGER)
    error = refuse(pair, pair.initiator.hello())
    assert error.alert is not None
    with pytest.raises(HandshakeRefused) as caught:
        pair.initiator.receive(error.alert)
    assert caught.value.exit_code == 3
    assert caught.value.hint is not None


def test_knowing_an_initiator_s_public_key_is_not_being_it() -> None:
    pair = Pair(identity=STRANGER)
    pair.initiator._identity = _Impostor.of(STRANGER, DEVICE)  # type: ignore[assignment] # a cheat
    answer = pair.answer(pair.initiator.hello())
    with pytest.raises(HandshakeFailed):
        pair.initiator.receive(answer)


class _Impostor:
    """Says another's public key, and decapsulates with its own."""

    def __init__(self, own: XWingPrivateKey, public: bytes) -> None:
        self._own = own
        self.public_bytes = public

    @classmethod
    def of(cls, own: XWingPrivateKey, victim: XWingPrivateKey) -> "_Impostor":
        return cls(own, victim.public_bytes)

    def decapsulate(self, ciphertext: bytes) -> Secret:
        return self._own.decapsulate(ciphertext)


def test_an_impostor_that_guesses_is_refused_at_the_confirmation() -> None:
    pair = Pair()
    pair.answer(pair.initiator.hello())
    with pytest.raises(HandshakeFailed):
        pair.responder.receive_confirmation(
            messages.header(Kind.CONFIRM, Suite.AES_256_GCM, 16) + bytes(16)
        )


def test_roles_cannot_be_swapped_or_reflected() -> None:
    with pytest.raises(ChannelMisuse, match="our own"):
        Pair(identity=CLOUD)
    pair = Pair()
    hello = pair.initiator.hello()
    with pytest.raises(HandshakeFailed, match="expected answer"):
        pair.initiator.receive(hello)
    pair = Pair(pinned=STRANGER.public_bytes, identity=CLOUD)
    at_stranger = Responder(
        identity=STRANGER,
        name=NAME,
        initiators=lambda _: None,
        policy=Policy.PREFER,
        last_counter=lambda _: 0,
    )
    admitted = Gate(STRANGER.public_bytes).admit(pair.initiator.hello(), SOURCE, 0.0)
    assert not isinstance(admitted, Retry)
    with pytest.raises(HandshakeFailed, match="enrolled"):
        at_stranger.receive_hello(admitted)


def test_a_responder_does_not_admit_itself() -> None:
    pair = Pair(identity=STRANGER)
    pair.initiator._identity = _Impostor.of(STRANGER, CLOUD)  # type: ignore[assignment] # a cheat
    assert "enrolled" in str(refuse(pair, pair.initiator.hello()))


def test_a_wrong_qkd_key_is_refused_by_the_initiator() -> None:
    pair = Pair(fetched=qkd_key(0x52))
    answer = pair.answer(pair.initiator.hello())
    with pytest.raises(HandshakeFailed, match="QKD key"):
        pair.initiator.receive(answer)


def test_a_named_key_that_is_refused_is_an_alert_and_never_a_silent_zero() -> None:
    pair = Pair(policy=Policy.PREFER)
    offered(pair)
    alert = pair.responder.refuse()
    with pytest.raises(HandshakeRefused):
        pair.initiator.receive(alert)
    with pytest.raises(ChannelMisuse):
        pair.responder.answer(None)


@pytest.mark.parametrize(
    ("policy", "responder_policy", "drawn", "fetched"),
    [
        (Policy.REQUIRE, Policy.PREFER, qkd_key(), None),
        (Policy.REQUIRE, Policy.OFF, qkd_key(), None),
        (Policy.PREFER, Policy.REQUIRE, qkd_key(), None),
        (Policy.PREFER, Policy.REQUIRE, None, None),
        (Policy.OFF, Policy.REQUIRE, None, None),
    ],
)
def test_a_required_key_that_is_missing_is_refused_by_the_responder(
    policy: Policy, responder_policy: Policy, drawn: QkdKey | None, fetched: QkdKey | None
) -> None:
    pair = Pair(policy, responder_policy, drawn=drawn, fetched=fetched)
    error = refuse(pair, pair.initiator.hello())
    assert error.alert is not None
    with pytest.raises(HandshakeRefused):
        pair.initiator.receive(error.alert)


def test_an_initiator_that_requires_qkd_aborts_when_a_responder_leaves_it_out() -> None:
    pair = Pair(policy=Policy.REQUIRE)
    offered(pair)
    pair.responder._wanted = Policy.PREFER
    answer = pair.responder.answer(None)
    with pytest.raises(HandshakeFailed, match="require"):
        pair.initiator.receive(answer)


def test_an_initiator_that_named_no_key_aborts_when_a_responder_claims_one() -> None:
    pair = Pair(policy=Policy.PREFER, drawn=None)
    offered(pair)
    pair.responder._key_id = qkd_key().key_id
    answer = pair.responder.answer(qkd_key())
    with pytest.raises(HandshakeFailed, match="named no key"):
        pair.initiator.receive(answer)


def test_alerts_look_alike_whatever_the_reason() -> None:
    unknown = Pair(identity=STRANGER)
    policy = Pair(policy=Policy.PREFER, responder_policy=Policy.REQUIRE, drawn=None)
    replay = Pair(last=1)
    alerts = [refuse(pair, pair.initiator.hello()).alert for pair in (unknown, policy, replay)]
    wrong_key = Pair(pinned=STRANGER.public_bytes)
    alerts.append(refuse(Pair(), remade(wrong_key.initiator.hello())).alert)
    refused = Pair()
    offered(refused)
    alerts.append(refused.responder.refuse())
    hello = Pair().initiator.hello()
    low_order = hello[: HEADER_BYTES + 1088] + bytes(32) + hello[HEADER_BYTES + 1120 :]
    alerts.append(refuse(Pair(), remade(low_order)).alert)
    assert {len(alert or b"") for alert in alerts} == {HEADER_BYTES + ALERT_BODY}
    assert {(alert or b"")[:HEADER_BYTES] for alert in alerts} == {
        messages.header(Kind.ALERT, Suite.AES_256_GCM, ALERT_BODY)
    }


@pytest.mark.parametrize("bit", range(8 * (HEADER_BYTES + ALERT_BODY)))
def test_an_altered_alert_is_not_taken_for_the_responder_s_word(bit: int) -> None:
    pair = Pair()
    offered(pair)
    with pytest.raises(HandshakeFailed) as caught:
        pair.initiator.receive(flip(pair.responder.refuse(), bit))
    assert not isinstance(caught.value, HandshakeRefused)


class _BadEphemeral:
    def __init__(self, public: bytes) -> None:
        self.public_bytes = public


@pytest.mark.parametrize("public", [b"\xff" * 1216, DEVICE.public_bytes[:1184] + bytes(32)])
def test_a_malformed_ephemeral_key_is_refused(
    public: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair()
    monkeypatch.setattr(
        "bellwire.channel.initiating.XWingPrivateKey.generate", lambda: _BadEphemeral(public)
    )
    assert refuse(pair, pair.initiator.hello()).alert is not None


def test_a_policy_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    monkeypatch.setattr(Offer, "encode", lambda offer: offer.initiator + b"\x03" + bytes(24))
    error = refuse(pair, pair.initiator.hello())
    assert error.alert is not None
    assert "policy" in str(error)


def test_a_hello_at_or_below_the_last_confirmed_number_is_a_replay() -> None:
    for counter, last in ((1, 1), (4, 5), (1, 2**64 - 1)):
        pair = Pair(counter=counter, last=last)
        error = refuse(pair, pair.initiator.hello())
        assert "replay" in str(error)
        assert error.alert is not None
    check_agreement(Pair(counter=6, last=5), "simulated")
    check_agreement(Pair(counter=2**64 - 1), "simulated")


@pytest.mark.parametrize("counter", [0, -1, 2**64])
def test_a_number_out_of_range_is_our_own_misuse(counter: int) -> None:
    with pytest.raises(ChannelMisuse, match="counter"):
        Pair(counter=counter)


@pytest.mark.parametrize("suite", Suite)
def test_ends_agree_under_each_suite_and_say_which(suite: Suite) -> None:
    pair = Pair(suite=suite)
    check_agreement(pair, "simulated")
    assert Pair(suite=suite).run()[1].protections.suite is suite


def test_a_suite_the_responder_does_not_take_is_turned_back_at_the_gate() -> None:
    pair = Pair(suite=Suite.CHACHA20_POLY1305)
    gate = Gate(CLOUD.public_bytes, suites={Suite.AES_256_GCM})
    with pytest.raises(HandshakeFailed, match="suite 2"):
        gate.admit(pair.initiator.hello(), SOURCE, 0.0)


def test_a_suite_changed_on_the_way_is_refused_at_every_message() -> None:
    pair = Pair()
    hello = pair.initiator.hello()
    other = bytes([hello[0], Suite.CHACHA20_POLY1305]) + hello[2:]
    refuse(Pair(), remade(other))
    answer = pair.answer(hello)
    with pytest.raises(HandshakeFailed, match="suite"):
        pair.initiator.receive(bytes([answer[0], Suite.CHACHA20_POLY1305]) + answer[2:])


def test_whatever_is_not_in_a_table_is_refused_and_changes_nothing() -> None:
    for table in (INITIATOR, RESPONDER):
        for step in Step:
            for event in Event:
                progress = Progress(table)
                progress.step = step
                if (step, event) in table:
                    with progress.attempt(event):
                        assert progress.step is Step.FAILED
                    assert progress.step is table[(step, event)]
                else:
                    with pytest.raises(ChannelMisuse), progress.attempt(event):
                        pass
                    assert progress.step is step


def test_the_specification_has_the_tables() -> None:
    page = (Path(__file__).parents[2] / "spec" / "channel.md").read_text()
    rows = re.findall(r"^\| ([a-z ]+) \| ([a-z ]+) \| ([a-z ]+) \|$", page, re.MULTILINE)

    def words(member: Step | Event) -> str:
        return member.name.lower().replace("_", " ")

    told = [
        (words(step), words(event), words(after))
        for table in (INITIATOR, RESPONDER)
        for (step, event), after in table.items()
    ]
    assert [row for row in rows if not row[0].endswith(" is")] == told


def test_every_step_of_a_table_is_reached_and_none_leads_out_of_the_end() -> None:
    for table in (INITIATOR, RESPONDER):
        reached = {Step.START, *table.values()}
        assert {step for step, _ in table} <= reached
        assert not {step for step, _ in table} & {Step.ESTABLISHED, Step.FAILED}


Change = Callable[[bytes], bytes]
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.integers(0, 2**20).map(lambda at: lambda message: flip(message, at % (8 * len(message)))),
    st.integers(0, 2**20).map(lambda at: lambda message: message[: at % len(message)]),
    st.binary(min_size=1, max_size=40).map(lambda more: lambda message: message + more),
)


@settings(max_examples=60, deadline=None)
@given(change=CHANGES, which=st.integers(0, 2), again=st.booleans())
def test_both_ends_agree_or_neither_has_a_session_that_works(
    change: Change, which: int, again: bool
) -> None:
    """Whatever one message becomes on its way; `again` makes the MACs of a hello anew."""
    pair = Pair(policy=Policy.PREFER)
    altered = []

    def carry(number: int, message: bytes) -> bytes:
        changed = change(message) if number == which else message
        if number == which == 0 and again:
            # What was changed in the MACs alone is as it was before.
            changed = remade(changed)
        altered.append(changed != message)
        return changed

    initiator = responder = None
    with contextlib.suppress(HandshakeFailed):
        answer = pair.answer(carry(0, pair.initiator.hello()))
        confirm, initiator = pair.establish(carry(1, answer))
        responder = pair.responder.receive_confirmation(carry(2, confirm))
    if any(altered):
        assert responder is None, "a changed message has ended in a session"
        assert initiator is None or which == 2
    else:
        assert initiator is not None
        assert responder is not None
        assert responder.open(initiator.seal(b"up")) == b"up"
        assert initiator.open(responder.seal(b"down")) == b"down"


def test_steps_out_of_order_are_our_own_misuse() -> None:
    pair = Pair()
    steps: list[Callable[[], object]] = [
        lambda: pair.initiator.receive(b""),
        lambda: pair.responder.answer(None),
        pair.responder.refuse,
        lambda: pair.responder.receive_confirmation(b""),
    ]
    for step in steps:
        with pytest.raises(ChannelMisuse):
            step()
    hello = pair.gate.admit(pair.initiator.hello(), SOURCE, 0.0)
    assert not isinstance(hello, Retry)
    pair.responder.receive_hello(hello)
    pair.responder.answer(qkd_key())
    repeated: list[Callable[[], object]] = [
        pair.initiator.hello,
        lambda: pair.responder.receive_hello(hello),
    ]
    for step in repeated:
        with pytest.raises(ChannelMisuse):
            step()


def test_policies_and_keys_must_fit_before_a_byte_is_sent() -> None:
    for policy, drawn in ((Policy.REQUIRE, None), (Policy.OFF, qkd_key())):
        with pytest.raises(ChannelMisuse, match="QKD key"):
            Pair(policy=policy, drawn=drawn)
    other = QkdKey(bytes([8]) * 16, Secret(bytes(32)), "simulated")
    pair = Pair()
    offered(pair)
    with pytest.raises(ChannelMisuse, match="names"):
        pair.responder.answer(other)


def test_malformed_keys_and_names_are_refused_before_a_byte_is_sent() -> None:
    for key_id, key in ((bytes(16), bytes(32)), (b"i" * 15, bytes(32)), (b"i" * 16, bytes(31))):
        with pytest.raises(ChannelMisuse):
            QkdKey(key_id, Secret(key), "simulated")
    for name in ("", "n" * 256):
        with pytest.raises(ChannelMisuse, match="name"):
            Pair(pinned_name=name)
    with pytest.raises(LengthError):
        Pair(pinned=b"short")
    with pytest.raises(KemRefused):
        Pair(pinned=b"\xff" * 1216)


def test_no_repr_and_no_error_shows_key_bytes() -> None:
    key = QkdKey(b"i" * 16, Secret(b"K" * 32), "simulated")
    pair = Pair(drawn=key, fetched=key)
    failing = Pair(fetched=qkd_key(0x52))
    answer = failing.answer(failing.initiator.hello())
    with pytest.raises(HandshakeFailed) as caught:
        failing.initiator.receive(answer)
    sessions = pair.run()
    things = [key, pair.initiator, pair.responder, *sessions, caught.value]
    shown = " ".join(f"{thing!r} {thing!s}" for thing in things)
    assert "KKKK" not in shown
    assert (b"K" * 4).hex() not in shown
    assert DEVICE.seed.reveal().hex()[:8] not in shown
    assert sessions[0].session_id.hex() not in shown


def test_the_initiator_needs_its_pin_only() -> None:
    """A device knows nothing of the cloud but its name and public key."""
    initiator = Initiator(
        identity=DEVICE,
        responder_name=NAME,
        responder_public=CLOUD.public_bytes,
        policy=Policy.OFF,
        qkd=None,
        counter=1,
    )
    assert len(initiator.hello()) == HELLO
