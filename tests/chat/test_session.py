import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.chat.conversation import Person, meet, receipt, share_pad, words

from bellwire.base.secret import Secret
from bellwire.chat.content import PART_BYTES, Content, ContentKind
from bellwire.chat.errors import (
    ChatMisuse,
    EpochUnknown,
    MessageRefused,
    NotAuthentic,
    PadExhausted,
    PadMissing,
    PadSpent,
    PayloadMalformed,
    Replayed,
    TooManySkipped,
)
from bellwire.chat.pads import NO_PAD, OVERHEAD_BYTES, Policy, Slice
from bellwire.chat.ratchet import MAX_SKIP, MAX_SKIPPED
from bellwire.chat.session import (
    PAYLOAD_SIZES,
    STEP_EVERY,
    decode_session,
    encode_session,
    open_message,
    seal_message,
)


def talking(*, pad: int = 0, policy: Policy = Policy.PREFER) -> tuple[Person, Person]:
    """Alice and Bob; both have stepped, and know that the other has followed."""
    alice, bob = meet(pad=pad, policy=policy)
    alice.hear(bob.say("second"))
    bob.hear(alice.say("third"))
    alice.open(bob.seal(receipt()).payload)
    return alice, bob


def test_a_message_says_what_it_was_protected_by() -> None:
    alice, bob = talking(pad=4000)
    sealed = alice.seal(words("five!"))
    opened = bob.open(sealed.payload)
    assert opened.protection == sealed.protection
    assert opened.protection.pad_source == "simulated"
    assert opened.protection.pad_bytes == len("five!") + OVERHEAD_BYTES
    plain = alice.seal(receipt())
    assert not bob.open(plain.payload).protection.is_one_time


def test_pad_goes_by_text_and_sixteen_bytes_alone() -> None:
    alice, bob = talking(pad=4000)
    for text in ("", "a", "ü" * 100):
        before = alice.pads.left
        bob.hear(alice.say(text))
        assert before - alice.pads.left == len(text.encode()) + 16


def test_receipts_and_typing_take_no_pad() -> None:
    alice, bob = talking(pad=4000)
    before = alice.pads.left
    bob.open(alice.seal(receipt()).payload)
    bob.open(alice.seal(Content(ContentKind.TYPING, bytes(16), 0)).payload)
    assert alice.pads.left == before


def test_under_require_nothing_leaves_without_pad() -> None:
    alice, _ = talking(pad=200, policy=Policy.REQUIRE)
    before = alice.session
    with pytest.raises(PadExhausted) as caught:
        alice.say("x" * 200)
    assert caught.value.needed == 216
    assert alice.session is before


def test_under_prefer_a_message_without_pad_goes_and_says_so() -> None:
    alice, bob = talking(pad=200)
    sealed = alice.seal(words("x" * 200))
    assert not sealed.protection.is_one_time
    assert not bob.open(sealed.payload).protection.is_one_time


def test_under_off_pad_is_left_alone() -> None:
    alice, bob = talking(pad=4000, policy=Policy.OFF)
    before = alice.pads.left
    assert not bob.open(alice.seal(words("plain")).payload).protection.is_one_time
    assert alice.pads.left == before == 4000 - 16


def test_no_two_messages_share_a_byte_of_pad() -> None:
    alice, bob = talking(pad=4000)
    seen: set[int] = set()
    for number in range(20):
        opened = bob.open(alice.say("z" * number) if number % 3 else alice.say(""))
        for part in opened.spent:
            places = set(range(part.offset, part.offset + len(part.key)))
            assert not places & seen
            seen |= places


def test_pad_that_has_not_come_yet_is_named_and_the_message_opens_with_it() -> None:
    alice, bob = talking()
    pad_id = share_pad(alice.pads, bob.pads, 1000)
    pad = bob.pads.theirs.pop(pad_id)
    payload, before = alice.say("wait"), bob.session
    with pytest.raises(PadMissing) as caught:
        bob.open(payload)
    assert caught.value.pad_id == pad_id
    assert bob.session is before
    bob.pads.theirs[pad_id] = pad
    assert bob.hear(payload) == "wait"


def test_a_sender_whose_store_was_put_back_is_caught_spending_pad_again() -> None:
    alice, bob = talking(pad=4000)
    places = dict(alice.pads.reached)
    bob.hear(alice.say("once"))
    alice.pads.reached = places
    with pytest.raises(PadSpent):
        bob.open(alice.say("twice"))


@pytest.mark.parametrize("at", [0, 16, 32], ids=["in r", "in s", "under the text"])
def test_the_text_is_under_the_pad_and_not_only_said_to_be(at: int) -> None:
    """With another pad of the same id, the one-time tag alone refuses."""
    alice, bob = talking()
    pad_id = share_pad(alice.pads, bob.pads, 1000)
    pad = bob.pads.theirs[pad_id]
    bob.pads.theirs[pad_id] = pad[:at] + bytes([pad[at] ^ 1]) + pad[at + 1 :]
    payload, before = alice.say("tagged"), bob.session
    with pytest.raises(NotAuthentic):
        bob.open(payload)
    assert bob.session is before
    bob.pads.theirs[pad_id] = pad
    assert bob.hear(payload) == "tagged"


def test_pad_mixed_into_a_step_is_needed_to_follow_it() -> None:
    alice, bob = meet(pad=1000, policy=Policy.OFF)
    bob.policy = Policy.PREFER
    sealed = bob.seal(words("mixed"))
    assert sealed.protection.mixed_source == "simulated"
    (pad_id,) = alice.pads.theirs
    pad = alice.pads.theirs[pad_id]
    alice.pads.theirs[pad_id] = pad[:16] + bytes([pad[16] ^ 1]) + pad[17:]
    with pytest.raises(NotAuthentic):
        alice.open(sealed.payload)
    del alice.pads.theirs[pad_id]
    with pytest.raises(PadMissing) as missing:
        alice.open(sealed.payload)
    alice.pads.theirs[pad_id] = pad[:20]
    with pytest.raises(PadSpent) as spent:
        alice.open(sealed.payload)
    for caught in (missing.value, spent.value):
        assert (caught.of_step, caught.content_id) == (True, None)
    alice.pads.theirs[pad_id] = pad
    assert alice.hear(sealed.payload) == "mixed"


def test_lengths_show_in_three_sizes_only() -> None:
    alice, bob = talking()
    sizes = set()
    for length in (0, 1, 100, 300, 500, 3000, PART_BYTES):
        payload = alice.say("x" * length)
        sizes.add(len(payload))
        assert bob.hear(payload) == "x" * length
    assert sizes == set(PAYLOAD_SIZES)
    assert len(alice.say("")) == len(alice.say("x" * 300))


def test_a_text_of_more_than_a_part_is_refused() -> None:
    alice, _ = talking()
    with pytest.raises(ChatMisuse, match="6144"):
        alice.say("x" * (PART_BYTES + 1))


def test_a_message_counts_once() -> None:
    alice, bob = talking(pad=1000)
    payload = alice.say("once")
    bob.hear(payload)
    before = bob.session
    with pytest.raises(Replayed):
        bob.open(payload)
    assert bob.session is before


def test_a_message_of_ones_own_does_not_come_back() -> None:
    alice, _ = talking(pad=1000)
    with pytest.raises(NotAuthentic):
        alice.open(alice.say("reflected"))


def test_messages_in_any_order_are_all_opened() -> None:
    alice, bob = talking(pad=9000)
    said = [(f"number {n}", alice.say(f"number {n}")) for n in range(40)]
    random.Random(5).shuffle(said)
    for text, payload in said:
        assert bob.hear(payload) == text


def test_messages_of_earlier_epochs_may_come_late() -> None:
    alice, bob = talking(pad=9000)
    late = []
    for turn in range(5):
        late.append(alice.say(f"late {turn}"))
        bob.hear(alice.say("now"))
        alice.hear(bob.say("answer"))
    assert [bob.hear(each) for each in late] == [f"late {turn}" for turn in range(5)]
    for each in late:
        with pytest.raises(Replayed):
            bob.open(each)


def test_more_missing_messages_than_are_provided_for_are_refused() -> None:
    alice, bob = talking()
    sent = [alice.seal(receipt()).payload for _ in range(MAX_SKIP + 2)]
    before = bob.session
    with pytest.raises(TooManySkipped):
        bob.open(sent[-1])
    assert bob.session is before
    bob.open(sent[-2])
    bob.open(sent[-1])
    bob.open(sent[0])
    assert len(bob.session.ratchet.skipped) == MAX_SKIP - 1


def test_keys_of_missing_messages_are_kept_in_bounded_number() -> None:
    alice, bob = talking()
    first = alice.seal(receipt()).payload
    for _ in range(3):
        for _ in range(MAX_SKIP - 1):
            alice.seal(receipt())
        bob.open(alice.seal(receipt()).payload)
    assert len(bob.session.ratchet.skipped) == MAX_SKIPPED
    with pytest.raises(Replayed):
        bob.open(first)


def test_a_step_comes_again_until_the_peer_has_shown_that_it_has_it() -> None:
    alice, bob = talking()
    alice.hear(bob.say("a turn"))
    lost, kept = alice.say("a step"), alice.say("the same step")
    assert len(lost) == len(kept) == 4096
    assert bob.hear(kept) == "the same step"
    alice.open(bob.seal(receipt()).payload)
    assert len(alice.say("known by now")) == 512
    assert bob.hear(lost) == "a step"


def test_a_talk_that_turns_steps_and_receipts_alone_seldom_do() -> None:
    alice, bob = talking()
    epoch = bob.session.ratchet.sent_epoch
    for _ in range(STEP_EVERY - 3):
        bob.open(alice.say("on and on")) if alice.session.unstepped < STEP_EVERY else None
        if bob.session.unstepped < STEP_EVERY:
            alice.open(bob.seal(receipt()).payload)
            assert bob.session.ratchet.sent_epoch == epoch
    bob.open(alice.say("more"))
    bob.seal(receipt())
    assert bob.session.ratchet.sent_epoch == epoch + 2


def test_who_stole_a_state_knows_nothing_after_both_have_stepped() -> None:
    alice, bob = talking()
    stolen = bob.session
    read = alice.say("still read by the thief")
    assert open_message(stolen, read, None).content.text == b"still read by the thief"
    bob.hear(read)
    alice.hear(bob.say("fresh"))
    safe = alice.say("healed")
    with pytest.raises(MessageRefused):
        open_message(stolen, safe, None)
    assert bob.hear(safe) == "healed"


def test_who_steals_a_state_cannot_open_what_came_before() -> None:
    alice, bob = talking()
    earlier = [alice.say("one"), alice.say("two")]
    for each in earlier:
        bob.hear(each)
    for each in earlier:
        with pytest.raises(MessageRefused):
            open_message(bob.session, each, None)
    kept = encode_session(bob.session)
    for each in earlier:
        with pytest.raises(MessageRefused):
            open_message(decode_session(kept), each, None)


def test_a_state_is_read_as_it_was_written() -> None:
    alice, bob = talking(pad=500)
    again = decode_session(encode_session(bob.session))
    assert again == bob.session
    assert open_message(again, alice.say("after a restart"), bob.pads).content.text


@pytest.mark.parametrize("data", [b"", b"\x92\x02\xc0", b"\x92\x01\x90", b"rubbish" * 40])
def test_a_state_of_another_version_is_refused(data: bytes) -> None:
    with pytest.raises(ChatMisuse):
        decode_session(data)


@pytest.mark.parametrize("size", [0, 1, 511, 513, 4095, 16_383, 16_385, 10_000_000])
def test_a_payload_of_another_size_is_refused(size: int) -> None:
    _, bob = talking()
    with pytest.raises(PayloadMalformed):
        bob.open(b"\x02" * size)


@pytest.mark.parametrize("kind", [0, 4, 255])
def test_a_payload_of_an_unknown_kind_is_refused(kind: int) -> None:
    alice, bob = talking()
    with pytest.raises(PayloadMalformed):
        bob.open(bytes([kind]) + alice.say("x")[1:])


def test_any_bit_altered_anywhere_is_noticed_and_changes_nothing() -> None:
    alice, bob = talking(pad=2000)
    payload = alice.say("flip me")
    assert len(payload) == 512
    before = bob.session
    for bit in range(8 * len(payload)):
        altered = bytearray(payload)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(MessageRefused):
            bob.open(bytes(altered))
        assert bob.session is before
    assert bob.hear(payload) == "flip me"


def test_a_header_and_a_body_of_two_messages_do_not_go_together() -> None:
    alice, bob = talking()
    one, other = alice.say("one"), alice.say("other")
    assert len(one) == len(other) == 512
    cut = 1 + 12 + 16 + 16
    for mixed in (one[:cut] + other[cut:], other[:cut] + one[cut:]):
        with pytest.raises(NotAuthentic):
            bob.open(mixed)


def test_a_step_that_cannot_follow_is_refused() -> None:
    alice, bob = talking()
    old = bob.session
    alice.hear(bob.say("on"))
    bob.hear(alice.say("on"))
    alice.hear(bob.say("on"))
    ahead = alice.say("on")
    with pytest.raises(EpochUnknown):
        open_message(old, ahead, None)


def test_a_pad_of_ours_does_not_open_what_the_peer_says_it_sent_under() -> None:
    """Each direction has its own pads: a peer that names ours gets nothing opened."""
    alice, bob = talking()
    share_pad(bob.pads, alice.pads, 1000)
    (pad_id,) = bob.pads.ours
    alice.pads.ours[pad_id] = bob.pads.ours[pad_id]
    with pytest.raises(PadMissing):
        bob.open(alice.say("under your pad"))


def test_a_part_of_a_pad_has_an_id_and_lies_behind_its_first_bytes() -> None:
    for pad_id, offset in ((NO_PAD, 16), (b"\1" * 15, 16), (b"\1" * 16, 15), (b"\1" * 16, 2**31)):
        with pytest.raises(ChatMisuse):
            Slice(pad_id, offset, Secret(bytes(16)), Secret(b"x"), "simulated")


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_over_a_wire_that_drops_repeats_and_reorders_each_message_shows_at_most_once(
    data: st.DataObject,
) -> None:
    alice, bob = meet(pad=3000)
    people = {"a": alice, "b": bob}
    flying: dict[str, list[tuple[str, bytes]]] = {"a": [], "b": []}
    shown: dict[str, list[str]] = {"a": [], "b": []}
    said: dict[str, list[str]] = {"a": [], "b": []}
    for number in range(30):
        who = data.draw(st.sampled_from("ab"))
        other = "b" if who == "a" else "a"
        if data.draw(st.booleans()):
            text = f"{who} {number}"
            content = words(text, content_id=number.to_bytes(16, "big"))
            said[who].append(text)
            flying[other].append((text, people[who].seal(content).payload))
        elif flying[who]:
            at = data.draw(st.integers(0, len(flying[who]) - 1))
            text, payload = flying[who][at]
            fate = data.draw(st.sampled_from(["deliver", "repeat", "drop", "spoil"]))
            if fate == "spoil":
                spot = data.draw(st.integers(0, len(payload) - 1))
                spoilt = payload[:spot] + bytes([payload[spot] ^ 4]) + payload[spot + 1 :]
                before = people[who].session
                with pytest.raises(MessageRefused):
                    people[who].open(spoilt)
                assert people[who].session is before
                continue
            if fate != "repeat":
                del flying[who][at]
            if fate != "drop":
                try:
                    shown[who].append(people[who].hear(payload))
                except Replayed:
                    assert text in shown[who]
    for who, other in (("a", "b"), ("b", "a")):
        for text, payload in flying[who]:
            if text in shown[who]:
                with pytest.raises(Replayed):
                    people[who].open(payload)
            else:
                assert people[who].hear(payload) == text
                shown[who].append(text)
        assert len(shown[who]) == len(set(shown[who]))
        assert set(shown[who]) <= set(said[other])


def test_sealing_does_not_change_the_state_it_is_given() -> None:
    alice, bob = talking()
    before = alice.session
    payload = seal_message(before, words("from a value"), None, Policy.OFF).payload
    assert alice.session is before
    assert bob.hear(payload) == "from a value"
