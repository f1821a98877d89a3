"""A block between two honest sides: both come to the same key, or both say why not."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.simulators.blocks import Recorder, opening, reader, replacing, run, session, tags
from tests.simulators.halves import bb84, bbm92, e91, halves

from bellwire.base.bits import PackedBits, pack
from bellwire.base.detections import OF_PHOTONS, Detections, Half, Protocol, Side
from bellwire.crypto.errors import RandomnessFailed
from bellwire.crypto.one_time_mac import forgery_bound
from bellwire.distill import cascade, messages
from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.cascade import Cascade
from bellwire.distill.conversation import BlockAuthentication, FetchHalf, Send
from bellwire.distill.errors import ParameterError
from bellwire.distill.messages import Decided, Stored, decode, encode
from bellwire.distill.report import ASSUMPTIONS
from bellwire.distill.session import End, Finished, Session
from bellwire.distill.verdict import Reason
from bellwire.distill.verification import collision_bound
from bellwire.lab.pair import PairOutcome, Wire, distil, faithful


def reasons(outcome: PairOutcome) -> set[Reason | None]:
    return {report.reason for report in outcome.reports.values()}


@pytest.mark.parametrize(
    ("protocol", "least", "most"), [(Protocol.E91, 17_000, 26_000), (Protocol.BB84, 40_000, 55_000)]
)
def test_two_hundred_thousand_pulses_at_two_percent_give_one_key(
    protocol: Protocol, least: int, most: int
) -> None:
    outcome = run(opening(protocol, 200_000))
    assert outcome.accepted
    assert outcome.reports[Side.ALICE] == outcome.reports[Side.BOB]
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    report = outcome.reports[Side.ALICE]
    assert least < report.secret_bits < most
    assert report.secret_bits == report.extracted_bits - report.authentication_bits
    assert len(outcome.secrets[Side.ALICE]) == (report.extracted_bits + 7) // 8
    assert report.epsilon is not None
    assert report.epsilon_secrecy == EpsilonBudget.divide(1e-10).secrecy
    assert report.epsilon_correctness == collision_bound(report.key_bits)
    assert report.epsilon_authentication is not None
    # Four tags over this transcript, and what surrounds it.
    tags_alone = 4 * forgery_bound(report.transcript_bytes)
    assert tags_alone < report.epsilon_authentication < 2 * tags_alone
    parts = report.epsilon_secrecy, report.epsilon_correctness, report.epsilon_authentication
    assert report.epsilon == sum(parts) <= 1e-10
    assert report.qber == pytest.approx(0.02, abs=0.005)
    assert report.assumptions == ASSUMPTIONS[protocol]
    assert report.to_dict()["secret_bits"] == report.secret_bits
    if protocol is Protocol.E91:
        assert report.chsh == pytest.approx(0.96 * 2 * math.sqrt(2), abs=0.05)
        assert len(report.correlations) == 9


@pytest.mark.parametrize("side", Side)
def test_random_bytes_that_end_end_the_block_wherever_that_is(side: Side) -> None:
    def few(count: int) -> Callable[[int], bytes]:
        left = iter(range(count))
        ours = reader(0, side)

        def draw(size: int) -> bytes:
            if next(left, None) is None:
                raise RandomnessFailed("the random device is closed")
            return ours(size)

        return draw

    block = opening()
    light = halves(Protocol.BB84, block.pulses, np.random.default_rng(0))
    for count in itertools.count():
        drawn = {side: few(count), side.peer: reader(0, side.peer)}
        common: dict[Side, BlockAuthentication | None] = dict.fromkeys(Side, tags(1))
        outcome = distil(dict.fromkeys(Side, block), light, common, drawn, faithful)
        if outcome.accepted:
            break
        assert reasons(outcome) == {Reason.RANDOMNESS}
        assert outcome.reports[side].message == "the random device is closed"
        assert not outcome.secrets
    assert count >= 1


def test_a_report_says_what_is_drawn_from_where_that_says_more() -> None:
    block = opening()
    made = Session(Side.ALICE, block, tags(), reader(0, Side.ALICE), drawn_from="dice, well shaken")
    (finished,) = made.end(Reason.LOST, "enough", tell=False)
    assert isinstance(finished, Finished)
    assert finished.report.assumptions == (*ASSUMPTIONS[Protocol.BB84], "dice, well shaken")


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_random_blocks_end_equal_at_both_sides(protocol: Protocol) -> None:
    rng = np.random.default_rng(8)
    accepted = 0
    for seed in range(40):
        pulses = int(rng.integers(1, 120_000 if protocol is Protocol.E91 else 40_000))
        error, loss = rng.uniform(0, 0.06), rng.choice([0.0, 0.3])
        light = (
            bb84(pulses, error, rng, loss)
            if protocol is Protocol.BB84
            else bbm92(pulses, error, rng, loss)
            if protocol is Protocol.BBM92
            else e91(pulses, 1 - 2 * error, rng, loss=loss)
        )
        outcome = run(opening(protocol, pulses, number=seed + 1), light, seed=seed)
        assert outcome.reports[Side.ALICE] == outcome.reports[Side.BOB]
        assert outcome.accepted == (len(outcome.secrets) == 2)
        if outcome.accepted:
            accepted += 1
            assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    assert accepted >= 5


@pytest.mark.parametrize("pulses", [1, 2, 3, 50, 2_000])
@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_tiny_block_is_too_few(protocol: Protocol, pulses: int) -> None:
    outcome = run(opening(protocol, pulses))
    assert reasons(outcome) == {Reason.TOO_FEW}
    assert not outcome.secrets


def test_a_block_without_detections_is_too_few() -> None:
    nobody = np.zeros(0, np.int64)
    none = np.zeros(0, np.uint8)
    light = halves(Protocol.BB84, 500, np.random.default_rng(1))
    light[Side.BOB] = Detections(nobody, none, none)
    assert reasons(run(opening(pulses=500), light)) == {Reason.TOO_FEW}


def test_a_small_tiny_eve_is_too_few_and_never_chsh() -> None:
    light = e91(300, 1.0, np.random.default_rng(2), axis=math.pi / 4)
    assert reasons(run(opening(Protocol.E91, 300), light)) == {Reason.TOO_FEW}


def test_eve_at_three_eighths_of_pi_is_rejected_on_s_at_harmless_qber() -> None:
    light = e91(200_000, 1.0, np.random.default_rng(3), axis=3 * math.pi / 8)
    outcome = run(opening(Protocol.E91, 200_000), light)
    assert reasons(outcome) == {Reason.CHSH}
    report = outcome.reports[Side.ALICE]
    assert report == outcome.reports[Side.BOB]
    assert report.qber == pytest.approx(0.0732, abs=0.004)
    assert report.qber is not None
    assert report.qber < opening().red_qber
    assert report.chsh == pytest.approx(math.sqrt(2), abs=0.05)
    assert report.sample_bits == report.sifted_bits
    assert report.secret_bits == 0
    assert not outcome.secrets


@pytest.mark.parametrize("protocol", [Protocol.BB84, Protocol.BBM92])
def test_intercepted_conjugate_bases_are_rejected_on_qber(protocol: Protocol) -> None:
    prepared = protocol is Protocol.BB84
    light = (bb84 if prepared else bbm92)(20_000, 0.25, np.random.default_rng(4))
    outcome = run(opening(protocol), light)
    assert reasons(outcome) == {Reason.QBER}
    assert outcome.reports[Side.BOB].qber == pytest.approx(0.25, abs=0.02)


def test_e91_with_good_s_and_a_noisy_key_is_rejected_on_qber() -> None:
    rng = np.random.default_rng(5)
    light = e91(100_000, 0.98, rng)
    bob = light[Side.BOB]
    assert isinstance(bob, Detections)
    wrong = (bob.settings < 2) & (rng.random(bob.slots.size) < 0.14)
    # Only where Alice's setting is equal too: a fault that S does not see.
    alice = light[Side.ALICE].at(bob.slots)
    wrong &= alice.settings == bob.settings + 1
    light[Side.BOB] = Detections(bob.slots, bob.settings, bob.outcomes ^ wrong.astype(np.uint8))
    outcome = run(opening(Protocol.E91, 100_000), light)
    assert reasons(outcome) == {Reason.QBER}
    assert outcome.reports[Side.ALICE].chsh == pytest.approx(0.98 * 2.83, abs=0.1)


def test_key_settings_at_random_fail_reconciliation_and_not_the_process() -> None:
    rng = np.random.default_rng(5)
    light = e91(60_000, 0.98, rng)
    bob = light[Side.BOB]
    alice = light[Side.ALICE].at(bob.at(np.arange(60_000)).slots)
    ours = bob.at(np.arange(60_000))
    wrong = (alice.settings == ours.settings + 1) & (rng.random(60_000) < 0.5)
    light[Side.BOB] = Detections(ours.slots, ours.settings, ours.outcomes ^ wrong.astype(np.uint8))
    outcome = run(opening(Protocol.E91, 60_000), light)
    assert reasons(outcome) <= {Reason.RECONCILIATION, Reason.QBER}
    assert not outcome.secrets


def test_a_block_that_does_not_pay_for_its_tags_gives_none() -> None:
    outcome = run(opening(pulses=20_000), bb84(20_000, 0.05, np.random.default_rng(1)))
    assert reasons(outcome) == {Reason.NO_NET_KEY}
    assert not outcome.secrets
    report = outcome.reports[Side.ALICE]
    assert report.extracted_bits <= report.authentication_bits
    assert report.secret_bits == 0
    assert report.authentication_bits == 512


# --- probes


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_probe_opens_every_bit_and_carries_no_tags(protocol: Protocol) -> None:
    said = Recorder()
    outcome = run(opening(protocol, probe=True), wire=said)
    assert outcome.accepted
    assert not outcome.secrets
    report = outcome.reports[Side.BOB]
    assert report.sample_bits == report.sifted_bits
    assert (report.secret_bits, report.authentication_bits, report.epsilon) == (0, 0, None)
    assert report.steps == 5
    assert report.qber == pytest.approx(0.02, abs=0.01)


def test_a_probe_sees_eve() -> None:
    light = e91(60_000, 1.0, np.random.default_rng(3), axis=math.pi / 4)
    assert reasons(run(opening(Protocol.E91, probe=True), light)) == {Reason.CHSH}


# --- verification


@pytest.mark.parametrize("liar", list(Side))
def test_one_bit_of_difference_after_reconciliation_is_seen_by_both(
    liar: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slipping(Cascade):
        def __init__(self, *arguments: Any, corrects: bool, **named: Any) -> None:
            super().__init__(*arguments, corrects=corrects, **named)
            self._slips = corrects == (liar is Side.BOB)

        @property
        def corrected(self) -> PackedBits:
            bits = super().corrected
            bits.words[bits.words.size // 2] ^= np.uint64(self._slips)
            return bits

    monkeypatch.setattr(cascade, "Cascade", Slipping)
    outcome = run(opening())
    assert reasons(outcome) == {Reason.VERIFICATION}
    assert not outcome.secrets


# --- order, and misuse


def test_bases_are_not_opened_for_a_forged_list_of_slots() -> None:
    sent: list[tuple[Side, int]] = []
    forge = replacing(Side.BOB, 1, lambda body: body[:-1] + bytes([body[-1] ^ 1]))

    def wire(sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        sent.append((sender, step))
        return forge(sender, step, body)

    outcome = run(opening(), wire=wire)
    assert outcome.reports[Side.ALICE].reason is Reason.AUTHENTICATION
    assert (Side.ALICE, 2) not in sent
    assert (Side.ALICE, 1) in sent


def test_a_side_sends_a_step_only_after_the_peers_step_before_it() -> None:
    seen = dict.fromkeys(Side, -1)

    def wire(sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        assert seen[sender.peer] >= step - 1
        seen[sender] = step
        return [(step, body)]

    assert run(opening(), wire=wire).accepted


def test_the_transcript_is_step_alice_bob_each_with_its_length() -> None:
    said = Recorder()
    outcome = run(opening(), wire=said)
    expected = b"".join(
        step.to_bytes(4, "big") + b"".join(len(m).to_bytes(4, "big") + m for m in both)
        for step, both in enumerate(zip(said.said[Side.ALICE], said.said[Side.BOB], strict=True))
    )
    assert outcome.transcript == expected


def test_a_message_one_step_early_waits_for_our_half_and_two_end_the_block() -> None:
    block = opening()
    said = Recorder()
    run(block, wire=said)
    light = halves(block.protocol, block.pulses, np.random.default_rng(0))
    alice = session(Side.ALICE, block)
    alice.start()
    assert [type(e) for e in alice.receive(0, said.said[Side.BOB][0])] == [FetchHalf]
    assert alice.receive(1, said.said[Side.BOB][1]) == []
    effects = alice.provide(light[Side.ALICE])
    assert [e.step for e in effects if isinstance(e, Send)] == [1, 2]

    again = session(Side.ALICE, block)
    again.start()
    again.receive(0, said.said[Side.BOB][0])
    again.receive(1, said.said[Side.BOB][1])
    effects = again.receive(1, said.said[Side.BOB][1])
    assert effects[0] == End(Reason.OUT_OF_STEP)
    assert again.finished
    assert again.receive(1, b"") == []
    assert again.end(Reason.TIMEOUT, "late") == []


def test_a_block_can_be_ended_from_outside_once() -> None:
    alice = session(Side.ALICE, opening())
    alice.start()
    assert alice.end(Reason.TIMEOUT, "time is up")[0] == End(Reason.TIMEOUT)
    quiet = session(Side.BOB, opening())
    (finished,) = quiet.end(Reason.LOST, "gone", tell=False)
    assert isinstance(finished, Finished)
    assert finished.report.reason is Reason.LOST
    assert finished.report.message == "gone"


def test_what_was_not_asked_for_is_a_programming_error() -> None:
    alice = session(Side.ALICE, opening())
    alice.start()
    nothing = np.zeros(0, np.uint8)
    with pytest.raises(RuntimeError, match="half"):
        alice.provide(Detections(np.zeros(0, np.int64), nothing, nothing))
    with pytest.raises(RuntimeError, match="storage"):
        alice.stored()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"sample_share": 1.5},
        {"sample_share": math.nan},
        {"epsilon": math.nan},
        {"epsilon": 1e-25},
        {"red_qber": 0.0},
        {"chsh_floor": 1.0},
        {"pulses": 1 << 63},
        {"pulses": 0},
        {"ticket": b""},
    ],
)
def test_an_impossible_opening_is_refused_at_once(changes: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Session(Side.ALICE, opening(**changes), tags(), reader(0, Side.ALICE))


@pytest.mark.parametrize("probe", [True, False])
def test_tags_belong_to_key_blocks_and_to_no_probe(probe: bool) -> None:
    with pytest.raises(ParameterError, match="probe"):
        Session(Side.ALICE, opening(probe=probe), tags() if probe else None, reader(0, Side.ALICE))


@pytest.mark.parametrize(
    ("slots", "settings", "outcomes"),
    [
        ([0, 20_000], [0, 0], [0, 0]),
        ([0, 1], [0, 2], [0, 0]),
        ([0, 1], [0, 1], [0, 2]),
    ],
)
def test_a_half_that_does_not_fit_the_block_ends_it_as_the_links_fault(
    slots: list[int], settings: list[int], outcomes: list[int]
) -> None:
    light: dict[Side, Half] = halves(Protocol.BB84, 20_000, np.random.default_rng(1))
    light[Side.BOB] = Detections(
        np.array(slots, np.int64), np.array(settings, np.uint8), np.array(outcomes, np.uint8)
    )
    outcome = run(opening(), light)
    assert outcome.reports[Side.BOB].reason is Reason.LINK
    assert outcome.reports[Side.ALICE].reason is Reason.LINK


# --- the last messages


def losing(sender: Side, lost: bytes) -> Wire:
    """A wire that loses one message, known by its body."""
    return lambda who, step, body: [] if (who, body) == (sender, lost) else [(step, body)]


@pytest.mark.parametrize("lonely", list(Side))
def test_whoever_misses_the_peers_stored_keeps_the_block_pending(lonely: Side) -> None:
    outcome = run(opening(), wire=losing(lonely.peer, encode(Stored(1))))
    assert outcome.reports[lonely].reason is Reason.TIMEOUT
    assert outcome.reports[lonely].secret_bits == 0
    assert outcome.reports[lonely.peer].accepted
    # Both keep the same secret: which of them may use it is settled at the next SYNC.
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]


def test_stored_of_another_block_does_not_count() -> None:
    said = Recorder()
    run(opening(), wire=said)
    last = len(said.said[Side.BOB]) - 1
    outcome = run(opening(), wire=replacing(Side.BOB, last, lambda _: encode(Stored(2))))
    assert outcome.reports[Side.ALICE].reason is Reason.MALFORMED
    assert not outcome.reports[Side.ALICE].accepted


def test_secrets_do_not_show_in_outcomes_reports_or_the_transcript() -> None:
    outcome = run(opening())
    secret = outcome.secrets[Side.ALICE].reveal()
    assert secret not in outcome.transcript
    assert secret.hex() not in repr(outcome)
    assert repr(secret)[2:20] not in repr(outcome.secrets) + repr(outcome.reports)


def test_sides_that_are_led_to_different_verdicts_both_reject() -> None:
    def invert(body: bytes) -> bytes:
        outcomes = np.unpackbits(
            np.frombuffer(decode(body, messages.Tested).outcomes, np.uint8), bitorder="little"
        )
        return encode(
            messages.Tested(pack(outcomes ^ (np.arange(outcomes.size) < outcomes.size - 8)))
        )

    outcome = run(opening(), wire=replacing(Side.BOB, 3, invert))
    assert outcome.reports[Side.ALICE].reason in {Reason.DISAGREED, Reason.MALFORMED}
    assert not outcome.reports[Side.BOB].accepted
    assert not outcome.secrets


def test_a_peer_that_goes_on_where_we_reject_is_contradicted_and_the_other_way_round() -> None:
    go = encode(Decided(True, b""))
    noisy = bb84(20_000, 0.25, np.random.default_rng(4))
    outcome = run(opening(), noisy, wire=replacing(Side.BOB, 4, lambda _: go))
    assert outcome.reports[Side.ALICE].reason is Reason.DISAGREED
    stop = encode(Decided(False, b""))
    outcome = run(opening(), wire=replacing(Side.ALICE, 4, lambda _: stop))
    assert outcome.reports[Side.BOB].reason is Reason.DISAGREED


@pytest.mark.parametrize("probe", [False, True])
def test_a_block_that_was_judged_keeps_its_verdict_whatever_ends_it(probe: bool) -> None:
    block = opening(Protocol.E91, 40, probe=probe)
    light = halves(Protocol.E91, 40, np.random.default_rng(1))
    alice, bob = (session(side, block) for side in Side)
    to_bob = alice.start()
    to_alice = bob.start()
    for step in range(4):
        heard, said = ([e.body for e in es if isinstance(e, Send)] for es in (to_alice, to_bob))
        to_bob, to_alice = alice.receive(step, heard[-1]), bob.receive(step, said[-1])
        if step == 0:
            to_bob = alice.provide(light[Side.ALICE])
            to_alice = bob.provide(light[Side.BOB])
    (*_, finished) = alice.end(Reason.LOST, "the peer went away", tell=False)
    assert isinstance(finished, Finished)
    assert finished.report.reason is Reason.TOO_FEW
