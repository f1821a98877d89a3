"""Whatever the wire or the peer does ends the block by name: no exception, no unequal keys."""

import random
from collections.abc import Callable, Iterator
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.blocks import (
    Recorder,
    clean_halves,
    opening,
    received,
    replacing,
    run,
    session,
    tags,
)
from tests.simulators.halves import halves
from tests.simulators.slots import encode_slots

from bellwire.base.detections import Protocol, Side
from bellwire.distill import messages
from bellwire.distill.conversation import FetchHalf, Send, Store
from bellwire.distill.messages import (
    Announced,
    Decided,
    Proof,
    Received,
    Stored,
    Tagged,
    decode,
    encode,
)
from bellwire.distill.session import Effect, End, Finished
from bellwire.distill.verdict import Reason
from bellwire.lab.pair import PairOutcome, Wire

FEW = settings(max_examples=120, derandomize=True, deadline=None)
SIDES = st.sampled_from(list(Side))


@cache
def honest(protocol: Protocol = Protocol.BB84, number: int = 1) -> dict[Side, list[bytes]]:
    """What both sides say in an undisturbed block."""
    said = Recorder()
    assert run(opening(protocol, number=number), seed=number, wire=said).accepted
    return said.said


def steps(protocol: Protocol = Protocol.BB84) -> int:
    return len(honest(protocol)[Side.ALICE])


def assert_rejected(outcome: PairOutcome, sender: Side, step: int, last: int) -> None:
    """After a message of `sender` was spoilt: who must notice has noticed, and nobody is fooled."""
    assert len(outcome.reports) == 2
    receiver = outcome.reports[sender.peer]
    assert not receiver.accepted
    assert receiver.reason is not None
    assert receiver.secret_bits == 0
    # After the last messages a side may have all it needs, whatever the other ends with.
    if step < last - 1:
        assert not outcome.reports[sender].accepted
    if len(outcome.secrets) == 2:
        assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    # From the proof on, a side may have what it needs to keep the block, as pending.
    if step < last - 2:
        assert not outcome.secrets


def spoilt(wire: Wire, protocol: Protocol = Protocol.BB84) -> PairOutcome:
    return run(opening(protocol), seed=1, wire=wire)


def constant(body: bytes) -> Callable[[bytes], bytes]:
    return lambda _: body


def every_message() -> Iterator[tuple[Side, int]]:
    last = steps() - 1
    few = {*range(6), *range(6, last - 3, 20), *range(last - 4, last + 1)}
    return ((side, step) for side in Side for step in sorted(few))


def test_a_dropped_message_ends_the_block_at_both_sides() -> None:
    for side, at in every_message():

        def wire(
            sender: Side, step: int, body: bytes, lost: tuple[Side, int] = (side, at)
        ) -> list[tuple[int, bytes]]:
            return [] if (sender, step) == lost else [(step, body)]

        outcome = spoilt(wire)
        assert_rejected(outcome, side, at, steps() - 1)
        assert outcome.reports[side.peer].reason in {Reason.TIMEOUT, Reason.OUT_OF_STEP}


def test_a_repeated_message_ends_the_block() -> None:
    last = steps() - 1
    for side, at in every_message():

        def wire(
            sender: Side, step: int, body: bytes, twice: tuple[Side, int] = (side, at)
        ) -> list[tuple[int, bytes]]:
            return [(step, body)] * (2 if (sender, step) == twice else 1)

        outcome = spoilt(wire)
        if at == last:  # both are done: what comes after is nobody's
            assert outcome.accepted
        else:
            assert_rejected(outcome, side, at, last)
            assert outcome.reports[side.peer].reason is Reason.OUT_OF_STEP


class Swapping:
    """Holds one message back until the next of the same sender."""

    def __init__(self, sender: Side, step: int) -> None:
        self.place = sender, step
        self.held: list[tuple[int, bytes]] = []

    def __call__(self, sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        if (sender, step) == self.place:
            self.held = [(step, body)]
            return []
        if sender is self.place[0] and self.held:
            held, self.held = self.held, []
            return [(step, body), *held]
        return [(step, body)]


def test_a_message_that_changes_places_with_the_next_ends_the_block() -> None:
    for side, at in every_message():
        assert_rejected(spoilt(Swapping(side, at)), side, at, steps() - 1)


@pytest.mark.parametrize("wrong", [-1, 1, 7, 1 << 31])
def test_a_wrong_step_number_ends_the_block(wrong: int) -> None:
    def wire(sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        return [(step + wrong if (sender, step) == (Side.BOB, 3) else step, body)]

    outcome = spoilt(wire)
    assert outcome.reports[Side.ALICE].reason is Reason.OUT_OF_STEP
    assert_rejected(outcome, Side.BOB, 3, steps() - 1)


Spoil = Callable[[bytes, random.Random], bytes]


def flip(body: bytes, rng: random.Random) -> bytes:
    spoiled = bytearray(body)
    spoiled[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def truncate(body: bytes, rng: random.Random) -> bytes:
    return body[: rng.randrange(len(body))]


def extend(body: bytes, rng: random.Random) -> bytes:
    return body + rng.randbytes(rng.randint(1, 20))


def replace(body: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([0, 1, len(body), 40]))


SPOILS: list[Spoil] = [flip, truncate, extend, replace]


@FEW
@given(
    side=SIDES,
    position=st.one_of(st.integers(0, 5), st.integers(-6, -1), st.integers(0, 1_000)),
    spoil=st.sampled_from(SPOILS),
    seed=st.integers(0, 1 << 32),
    protocol=st.sampled_from(Protocol),
)
def test_a_spoilt_message_is_never_accepted(
    side: Side, position: int, spoil: Spoil, seed: int, protocol: Protocol
) -> None:
    count = steps(protocol)
    at = position % count
    body = honest(protocol)[side][at]
    if not body:
        return
    instead = spoil(body, random.Random(seed))
    if instead == body:
        return
    outcome = spoilt(replacing(side, at, lambda _: instead), protocol)
    assert_rejected(outcome, side, at, count - 1)


def test_messages_of_another_block_do_not_pass_for_this_ones() -> None:
    other = honest(number=2)
    last = steps() - 1
    tried = 0
    for side, at in every_message():
        if at >= len(other[side]) or other[side][at] == honest()[side][at]:
            continue
        tried += 1
        outcome = spoilt(replacing(side, at, constant(other[side][at])))
        assert_rejected(outcome, side, at, last)
    assert tried >= 15


def test_a_tag_over_another_blocks_number_fails() -> None:
    mine, theirs = opening(number=1), opening(number=2)
    keys = tags(1)  # the very same pads: only the number under the tag differs
    slots = decode(honest()[Side.BOB][1], Received).slots
    good = received(mine, Side.BOB, slots, keys)
    foreign = received(theirs, Side.BOB, slots, keys)
    assert spoilt(replacing(Side.BOB, 1, lambda _: good)).accepted
    outcome = spoilt(replacing(Side.BOB, 1, lambda _: foreign))
    assert outcome.reports[Side.ALICE].reason is Reason.AUTHENTICATION


def test_a_tag_does_not_pass_in_the_other_direction_or_for_the_other_purpose() -> None:
    block = opening(Protocol.E91)
    alices = decode(honest(Protocol.E91)[Side.ALICE][1], Received)
    reflected = replacing(Side.BOB, 1, lambda _: encode(alices))
    outcome = run(block, seed=1, wire=reflected)
    assert outcome.reports[Side.ALICE].reason is Reason.AUTHENTICATION
    last = steps() - 1
    ours = honest()[Side.ALICE][last - 1]
    outcome = spoilt(replacing(Side.BOB, last - 1, lambda _: ours))
    assert outcome.reports[Side.ALICE].reason is Reason.AUTHENTICATION
    listed = decode(honest()[Side.BOB][1], Received).tag
    outcome = spoilt(replacing(Side.BOB, last - 1, lambda _: encode(Tagged(listed))))
    assert outcome.reports[Side.ALICE].reason is Reason.AUTHENTICATION


def test_pads_differ_by_direction_and_purpose() -> None:
    keys = tags(1)
    pads = [
        pad.reveal()
        for group in (keys.received_pads, keys.transcript_pads, keys.hash_keys)
        for pad in group.values()
    ]
    assert len(set(pads)) == 6


# --- a peer with valid keys that lies

PULSES = 20_000
LISTS = {
    "nothing": b"",
    "unknown form": b"\3abc",
    "short bitmap": b"\0" + bytes(17),
    "long bitmap": b"\0" + bytes(4_000),
    "half a gap": b"\2\0\0\0",
    "beyond the block": b"\4" + b"\xff" * 40,
    "more than there are": b"\1" + bytes(PULSES + 1),
}


@pytest.mark.parametrize("data", LISTS.values(), ids=LISTS.keys())
def test_a_tagged_list_that_is_none_is_malformed(data: bytes) -> None:
    block = opening(pulses=PULSES)
    lie = received(block, Side.BOB, data, tags(1))
    outcome = run(block, seed=1, wire=replacing(Side.BOB, 1, lambda _: lie))
    assert outcome.reports[Side.ALICE].reason is Reason.MALFORMED
    assert not outcome.secrets


def test_alice_registers_nothing_in_bb84() -> None:
    block = opening()
    lie = received(block, Side.ALICE, encode_slots(np.arange(5), block.pulses), tags(1))
    outcome = run(block, seed=1, wire=replacing(Side.ALICE, 1, lambda _: lie))
    assert outcome.reports[Side.BOB].reason is Reason.MALFORMED


@pytest.mark.parametrize("claimed", [0, 1, PULSES])
def test_a_false_list_of_slots_gives_no_key(claimed: int) -> None:
    block = opening(pulses=PULSES)
    slots = encode_slots(np.arange(claimed), PULSES)
    lie = received(block, Side.BOB, slots, tags(1))
    light = halves(Protocol.BB84, PULSES, np.random.default_rng(1))
    bob = light[Side.BOB].at(np.arange(0, PULSES, 2))
    outcome = run(
        block, {**light, Side.BOB: bob}, seed=1, wire=replacing(Side.BOB, 1, lambda _: lie)
    )
    assert not outcome.accepted
    assert not outcome.secrets


@pytest.mark.parametrize("length", range(16))
@pytest.mark.parametrize("step", [1, -2])
def test_a_short_tag_is_malformed(step: int, length: int) -> None:
    at = step % steps()
    slots = decode(honest()[Side.BOB][1], Received).slots
    short = Received(slots, bytes(length)) if step == 1 else Tagged(bytes(length))
    outcome = spoilt(replacing(Side.BOB, at, lambda _: encode(short)))
    assert outcome.reports[Side.ALICE].reason is Reason.MALFORMED


ALL_ONES = b"\xff" * 15_000


@pytest.mark.parametrize(
    ("protocol", "step", "lie"),
    [
        (Protocol.BB84, 2, Announced(ALL_ONES[:2_500], b"\1", bytes(32))),
        (Protocol.BB84, 2, Announced(ALL_ONES[:2_499], b"", bytes(32))),
        (Protocol.E91, 2, Announced(ALL_ONES[:7_500], ALL_ONES[:7_500], bytes(32))),
        (Protocol.E91, 2, Announced(ALL_ONES[:7_500], b"", bytes(32))),
        (Protocol.BB84, 3, messages.Tested(b"")),
        (Protocol.BB84, 3, messages.Tested(ALL_ONES)),
        (Protocol.BB84, 4, Decided(True, b"")),
        (Protocol.BB84, 4, Decided(True, ALL_ONES)),
        (Protocol.BB84, 5, messages.Tested(b"")),
        (Protocol.BB84, -3, Proof(b"", b"", b"")),
        (Protocol.BB84, -3, Proof(bytes(16), bytes(16), b"")),
        (Protocol.BB84, -1, Stored(7)),
    ],
)
def test_a_message_of_the_wrong_size_is_malformed(
    protocol: Protocol, step: int, lie: msgspec.Struct
) -> None:
    block = opening(protocol)
    at = step % steps(protocol)
    outcome = run(block, seed=1, wire=replacing(Side.ALICE, at, lambda _: encode(lie)))
    assert outcome.reports[Side.BOB].reason is Reason.MALFORMED
    assert not outcome.reports[Side.BOB].accepted


def test_a_peer_that_contradicts_its_own_parities_fails_reconciliation_or_verification() -> None:
    named = set()
    for at in (5, 7, 9, 15, 30, 60):
        body = honest()[Side.ALICE][at]
        instead = bytes([body[0] ^ 1]) + body[1:]
        outcome = spoilt(replacing(Side.ALICE, at, constant(instead)))
        assert not outcome.secrets
        named.add(outcome.reports[Side.BOB].reason)
    assert named <= {
        Reason.RECONCILIATION,
        Reason.VERIFICATION,
        Reason.MALFORMED,
        Reason.OUT_OF_STEP,
        Reason.AUTHENTICATION,
        Reason.TIMEOUT,
        Reason.QBER,
    }


def listen(effects: list[Effect], side: Side, alone: list[int]) -> None:
    for effect in effects:
        assert isinstance(effect, Send | End | FetchHalf | Store | Finished)
        if isinstance(effect, Finished):
            assert not effect.report.accepted
            alone.append(1)


def test_thousands_of_random_messages_end_sessions_and_raise_nothing() -> None:
    rng = random.Random(9)
    finished: list[int] = []
    cases = 0
    light = {
        protocol: clean_halves(protocol, opening(protocol).pulses, np.random.default_rng(1))
        for protocol in Protocol
    }
    while cases < 2_000:
        protocol, side = rng.choice(list(Protocol)), rng.choice(list(Side))
        said = honest(protocol)[side.peer]
        one = session(side, opening(protocol), seed=1)
        effects = one.start()
        # An honest peer up to some step, then nonsense until the session has had enough.
        for step in range(rng.choice([0, 1, 2, 3, 4, 5, 6, len(said) - 1])):
            effects = one.receive(step, said[step])
            if effects and isinstance(effects[-1], FetchHalf):
                effects = one.provide(light[protocol][side])
            if effects and isinstance(effects[-1], Store):
                effects = one.stored()
        for _ in range(4):
            cases += 1
            step = rng.choice([one._steps.step, one._steps.step - 1, rng.randrange(-3, 1 << 33)])
            body = rng.choice([flip, truncate, extend, replace])(
                said[min(max(step, 0), len(said) - 1)] or b"\0", rng
            )
            effects = one.receive(step, body)
            if effects and isinstance(effects[-1], FetchHalf):
                effects = one.provide(light[protocol][side])
            listen(effects, side, finished)
    assert len(finished) > 300
