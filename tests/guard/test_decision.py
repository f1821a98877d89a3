"""When packets may pass: good words only, enough of them, and no longer than a lease."""

import math
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.guard.decision import APART_S, Decision, Rules, Verdict
from bellwire.guard.errors import StatusRefused
from bellwire.guard.messages import MAX_LINKS, LinkTold, Told, read_told

GREEN = LinkTold("GREEN", keys_may_flow=True, stale=False, reason="fine", qber=0.02)
YELLOW = LinkTold("YELLOW", keys_may_flow=True, stale=False, reason="noisy", qber=0.07)
RED = LinkTold("RED", keys_may_flow=False, stale=False, reason="Eve", qber=0.25)
RULES = Rules()
START = 1_000_000.0


def status(at: float, link: LinkTold = GREEN, name: str = "link") -> Told:
    return Told(START + at, {name: link})


def heartbeat(at: float) -> Told:
    return Told(START + at)


class Talk:
    """A node and a guard whose clocks agree."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.decision = Decision(rules)

    def say(self, told: Told, *, late: float = 0.0) -> Verdict:
        arrives = told.at + late
        return self.decision.told(told, wall=arrives, now=arrives - START + 50.0)

    def opened(self) -> "Talk":
        for at in range(RULES.good):
            self.say(status(float(at)))
        return self


def test_packets_pass_after_enough_good_words_and_not_before() -> None:
    talk = Talk()
    leases = [talk.say(told).lease_s for told in (status(0), heartbeat(1), heartbeat(2))]
    assert leases == [0.0, 0.0, RULES.lease_s]


def test_words_in_a_hurry_count_as_one() -> None:
    talk = Talk()
    leases = [talk.say(status(0.1 * n)).lease_s for n in range(10)]
    assert leases == [0.0] * 10
    assert talk.say(status(10 * 0.1 + APART_S)).lease_s


@pytest.mark.parametrize(
    "link",
    [
        RED,
        msgspec.structs.replace(GREEN, stale=True),
        msgspec.structs.replace(GREEN, keys_may_flow=False),
        msgspec.structs.replace(RED, keys_may_flow=True),
    ],
)
def test_one_bad_word_ends_it_at_once_and_the_count_begins_anew(link: LinkTold) -> None:
    talk = Talk().opened()
    verdict = talk.say(status(3, link))
    assert (verdict.lease_s, verdict.keep) == (0.0, False)
    assert [bool(talk.say(status(n)).lease_s) for n in (4, 5, 6)] == [False, False, True]


def test_yellow_passes() -> None:
    talk = Talk().opened()
    assert talk.say(status(3, YELLOW)) == Verdict(RULES.lease_s, "YELLOW", qber=0.07)


@pytest.mark.parametrize("late", [3.1, -3.1, 3600.0, math.inf])
def test_a_word_too_old_or_from_the_future_is_none(late: float) -> None:
    talk = Talk().opened()
    with pytest.raises(StatusRefused, match="word of the last 3 s"):
        talk.say(status(3), late=late)


def test_a_word_that_was_said_before_is_none() -> None:
    talk = Talk().opened()
    for at in (2.0, 1.0):
        with pytest.raises(StatusRefused, match="said earlier"):
            talk.decision.told(status(at), wall=START + 2, now=52.0)


def test_a_short_break_of_the_connection_costs_nothing_and_a_long_one_the_count() -> None:
    talk = Talk().opened()
    talk.decision.connected()
    assert talk.say(status(3)).lease_s
    talk.decision.connected()
    verdict = talk.say(status(3 + RULES.lease_s))
    assert (verdict.lease_s, verdict.keep) == (0.0, True)


def test_a_connection_that_begins_with_a_heartbeat_has_told_nothing() -> None:
    talk = Talk().opened()
    talk.decision.connected()
    verdict = talk.say(heartbeat(3))
    assert (verdict.lease_s, verdict.keep) == (0.0, False)


def test_a_link_that_was_asked_for_must_be_told_of() -> None:
    talk = Talk(replace(RULES, links=frozenset({"a", "b"}), good=1))
    assert talk.say(Told(START, {"a": GREEN})).reason == "the node tells nothing of b"
    assert talk.say(Told(START + 1, {"a": GREEN, "b": RED})).lease_s == 0.0
    assert talk.say(Told(START + 2, {"a": GREEN, "b": GREEN, "c": RED})).lease_s


words = st.builds(
    Told,
    st.floats(START - 10, START + 100),
    st.none() | st.dictionaries(st.sampled_from("ab"), st.sampled_from([GREEN, YELLOW, RED])),
)


@given(st.lists(st.tuples(words, st.floats(-5, 5)), max_size=60))
def test_whatever_is_said_a_lease_follows_a_good_word_of_now_alone(
    said: list[tuple[Told, float]],
) -> None:
    decision, known, now, good = Decision(RULES), dict[str, LinkTold](), 0.0, 0
    last = 0.0
    for told, late in said:
        now += 0.1
        try:
            verdict = decision.told(told, wall=told.at + late, now=now)
        except StatusRefused:
            assert told.at <= last or abs(late) > RULES.age_s - 1e-6
            continue
        last = told.at
        known = known if told.links is None else told.links
        well = bool(known) and all(link.good for link in known.values())
        good = good + 1 if well else 0
        assert well or not verdict.lease_s
        assert not verdict.lease_s or (good >= RULES.good and verdict.lease_s == RULES.lease_s)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"at": true}',
        b'{"at": "1"}',
        b'{"at": 1e999}',
        b'{"at": 1, "links": {}}',
        b'{"at": 1, "links": {"a": {"status": "BLUE"}}}',
        b'{"at": 1, "links": {"a": {"status": "GREEN", "keys_may_flow": 1, "stale": false, '
        b'"reason": ""}}}',
        msgspec.json.encode({"at": 1, "links": {str(n): GREEN for n in range(MAX_LINKS + 1)}}),
    ],
)
def test_what_is_no_status_is_refused(data: bytes) -> None:
    with pytest.raises(StatusRefused):
        read_told(data)


def test_after_what_is_no_word_of_the_node_good_words_are_counted_anew() -> None:
    talk = Talk().opened()
    assert talk.say(heartbeat(3.0)).lease_s
    talk.decision.refused()
    assert not talk.say(heartbeat(4.0)).lease_s  # nor is what was told before believed
    leases = [talk.say(status(float(at))).lease_s for at in (5, 6, 7)]
    assert leases == [0.0, 0.0, RULES.lease_s]
