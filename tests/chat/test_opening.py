import dataclasses

import pytest
from tests.chat.conversation import (
    ALICE,
    BOB,
    LATER,
    MALLORY,
    NOW,
    Person,
    PlainPads,
    make_prekeys,
    meet,
    words,
)

from bellwire.base.secret import Secret
from bellwire.chat.errors import (
    BundleRefused,
    ChatMisuse,
    MessageRefused,
    NotAuthentic,
    OpeningRefused,
)
from bellwire.chat.identity import Identity, IdentityPublic
from bellwire.chat.opening import accept, begin, opening_id
from bellwire.chat.pads import Policy
from bellwire.chat.prekeys import Bundle, PrekeyKind, make_prekey, read_bundle
from bellwire.chat.session import OPENING_BYTES, open_message, seal_message

PREKEYS = make_prekeys()
BUNDLE = PREKEYS.bundle().encode()


def first_words() -> bytes:
    return seal_message(begin(ALICE, PREKEYS.bundle()), words("hi"), None, Policy.OFF).payload


PAYLOAD = first_words()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("once", [True, False])
def test_a_bundle_is_read_as_it_was_written(once: bool) -> None:
    bundle = PREKEYS.bundle(once=once)
    assert read_bundle(bundle.encode(), BOB.public.fingerprint, NOW) == bundle


@pytest.mark.parametrize("at", range(0, len(BUNDLE), 97))
def test_a_bundle_with_any_bit_altered_is_refused(at: int) -> None:
    with pytest.raises(BundleRefused):
        read_bundle(flipped(BUNDLE, at), BOB.public.fingerprint, NOW)


@pytest.mark.parametrize("data", [b"", BUNDLE[:-1], BUNDLE + b"\0", BUNDLE[:100]])
def test_a_bundle_of_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(BundleRefused, match="bytes"):
        read_bundle(data, BOB.public.fingerprint, NOW)


def test_a_bundle_of_somebody_else_is_refused() -> None:
    with pytest.raises(BundleRefused, match="those of"):
        read_bundle(BUNDLE, MALLORY.public.fingerprint, NOW)


def test_prekeys_that_have_expired_are_refused() -> None:
    with pytest.raises(BundleRefused, match="expired"):
        read_bundle(BUNDLE, BOB.public.fingerprint, LATER)


def test_a_one_time_prekey_does_not_pass_for_a_lasting_one() -> None:
    swapped = Bundle(BOB.public, PREKEYS.one_time.prekey, PREKEYS.lasting.prekey)
    with pytest.raises(BundleRefused, match="kind"):
        read_bundle(swapped.encode(), BOB.public.fingerprint, NOW)


def test_a_prekey_that_somebody_else_signed_is_refused() -> None:
    foreign = make_prekey(MALLORY, PrekeyKind.LASTING, LATER).prekey
    with pytest.raises(BundleRefused, match="signatures"):
        read_bundle(Bundle(BOB.public, foreign, None).encode(), BOB.public.fingerprint, NOW)


@pytest.mark.parametrize("cut", [slice(0, 64), slice(64, None)], ids=["Ed25519", "ML-DSA-65"])
def test_one_signature_of_the_two_is_not_enough(cut: slice) -> None:
    foreign = MALLORY.sign(PREKEYS.lasting.prekey.signed_text(), b"bellwire chat prekey 1")
    signature = bytearray(PREKEYS.lasting.prekey.signature)
    signature[cut] = foreign[cut]
    prekey = dataclasses.replace(PREKEYS.lasting.prekey, signature=bytes(signature))
    with pytest.raises(BundleRefused):
        read_bundle(Bundle(BOB.public, prekey, None).encode(), BOB.public.fingerprint, NOW)


@pytest.mark.parametrize("once", [True, False])
def test_the_other_may_be_away_and_both_then_talk(once: bool) -> None:
    alice, bob = meet(once=once)
    assert alice.hear(bob.say("welcome")) == "welcome"
    assert bob.hear(alice.say("thanks")) == "thanks"


def test_the_responder_learns_who_it_is_and_which_prekey_to_destroy() -> None:
    accepted = accept(BOB, PAYLOAD, PREKEYS.lookup)
    assert accepted.peer == ALICE.public
    assert accepted.one_time == PREKEYS.one_time.prekey.prekey_id


def test_whoever_carries_an_opening_sees_no_identity_in_it() -> None:
    for each in (ALICE, BOB):
        assert each.public.public_bytes[:32] not in PAYLOAD
        assert each.public.public_bytes[32:64] not in PAYLOAD
        assert each.public.fingerprint not in PAYLOAD


@pytest.mark.parametrize("at", range(1, len(PAYLOAD), 331))
def test_an_opening_with_any_bit_altered_begins_nothing(at: int) -> None:
    with pytest.raises((OpeningRefused, MessageRefused)):
        open_message(
            accept(BOB, flipped(PAYLOAD, at), PREKEYS.lookup).session, flipped(PAYLOAD, at), None
        )


@pytest.mark.parametrize("payload", [b"", PAYLOAD[:512], PAYLOAD[:OPENING_BYTES], bytes(16_384)])
def test_what_is_no_opening_is_refused(payload: bytes) -> None:
    with pytest.raises(OpeningRefused):
        accept(BOB, payload, PREKEYS.lookup)


def test_an_opening_for_a_one_time_prekey_that_is_gone_is_refused() -> None:
    left = {PREKEYS.lasting.prekey.prekey_id: PREKEYS.lasting}
    with pytest.raises(OpeningRefused, match="used before"):
        accept(BOB, PAYLOAD, left.get)


def test_an_opening_for_another_responder_is_refused() -> None:
    """Mallory got Bob's prekey secrets, and still the opening names Bob."""
    with pytest.raises(OpeningRefused, match="authentic"):
        accept(MALLORY, PAYLOAD, PREKEYS.lookup)


def test_nobody_passes_for_the_initiator_without_both_of_its_keys() -> None:
    half = Identity(Secret(ALICE.seed.reveal()[:32] + MALLORY.seed.reveal()[32:]))
    session = begin(half, PREKEYS.bundle())
    payload = seal_message(session, words("hi"), None, Policy.OFF).payload
    assert accept(BOB, payload, PREKEYS.lookup).peer != ALICE.public


def test_a_signature_of_somebody_else_under_the_initiators_name_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Identity, "sign", lambda _, text, label: MALLORY_SIGN(text, label))
        payload = first_words()
    with pytest.raises(OpeningRefused, match="authentic"):
        accept(BOB, payload, PREKEYS.lookup)


MALLORY_SIGN = MALLORY.sign


def test_nobody_begins_a_session_with_themselves() -> None:
    with pytest.raises(ChatMisuse, match="our own"):
        begin(BOB, PREKEYS.bundle())


def test_messages_carry_the_opening_until_the_other_has_been_heard() -> None:
    alice, bob = meet()
    second, third = alice.say("second"), alice.say("third")
    known = opening_id(second)
    assert known is not None
    assert known == opening_id(third) == bob.session.opening_id
    assert bob.hear(third) == "third"  # and the second may come later
    assert bob.hear(second) == "second"
    alice.hear(bob.say("answer"))
    assert opening_id(alice.say("fourth")) is None


def test_a_message_under_another_opening_is_not_of_this_session() -> None:
    alice, bob = meet()
    payload = alice.say("second")
    other = first_words()
    mixed = other[: 1 + OPENING_BYTES] + payload[1 + OPENING_BYTES :]
    with pytest.raises(NotAuthentic):
        bob.open(mixed)


def test_two_openings_with_the_same_keys_give_different_sessions() -> None:
    one, other = (begin(ALICE, PREKEYS.bundle()) for _ in range(2))
    assert one.session_id != other.session_id
    assert opening_id(PAYLOAD) != one.opening_id


def test_nothing_secret_is_in_a_repr() -> None:
    alice, _ = meet()
    shown = repr(alice.session) + repr(ALICE) + repr(PREKEYS.lasting)
    for secret in (alice.session.ratchet.root, alice.session.header_out, ALICE.seed.reveal()):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


@pytest.mark.parametrize("length", [0, 1983, 1985])
def test_an_identity_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ChatMisuse):
        IdentityPublic(bytes(length))
    with pytest.raises(ChatMisuse):
        Identity(Secret(bytes(length)))


def test_a_session_of_one_pair_does_not_open_anothers_messages() -> None:
    _, bob = meet()
    stranger = Person(begin(MALLORY, PREKEYS.bundle()), PlainPads())
    with pytest.raises(NotAuthentic):
        bob.open(stranger.say("I am Alice"))
