"""What is kept of guards' words: the latest of each, of so many, and how long each is silent."""

import msgspec
import pytest
from tests.console.reports import REPORT

from bellwire.console.guards import MAX_GUARDS, SILENT_S, GuardReport, Guards


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def report(**more: object) -> GuardReport:
    return msgspec.convert({**REPORT, **more}, GuardReport)


def test_the_latest_word_of_each_is_shown_and_who_is_silent_is_said_to_be() -> None:
    clock = Clock()
    guards = Guards(clock)
    assert guards.tell("b", report())
    assert not guards.tell("b", report(blocked_packets=9))
    clock.now = SILENT_S
    assert guards.tell("a", report(packets="pass"))
    clock.now += 1.0
    first, second = guards.shown(lambda _: True)
    assert (first.name, first.packets, first.silent) == ("a", "pass", False)
    assert (second.name, second.blocked_packets, second.silent) == ("b", 9, True)
    assert second.silent_s == SILENT_S + 1.0


def test_more_guards_than_are_kept_push_out_who_spoke_longest_ago() -> None:
    guards = Guards(Clock())
    for number in range(MAX_GUARDS):
        guards.tell(f"{number:03}", report())
    guards.tell("000", report())
    guards.tell("new", report())
    names = [each.name for each in guards.shown(lambda _: True)]
    assert len(names) == MAX_GUARDS
    assert ("000" in names, "001" in names, "new" in names) == (True, False, True)


def test_who_is_no_guard_any_more_is_forgotten() -> None:
    guards = Guards(Clock())
    guards.tell("a", report())
    assert guards.shown(lambda name: name != "a") == []
    assert guards.shown(lambda _: True) == []


@pytest.mark.parametrize(
    "change",
    [
        {"packets": "perhaps"},
        {"reason": "x" * 601},
        {"qber": 1.5},
        {"blocked_packets": -1},
        {"lease_s": 0},
        {"ports": []},
        {"ports": [0]},
        {"ports": [1] * 65},
        {"addresses": ["x" * 50]},
        {"interfaces": ["eth0"] * 17},
        {"override": {"packets": "pass"}},
        {"since": None},
        {"firewall": "pf"},
    ],
    ids=str,
)
def test_a_word_is_bounded(change: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        report(**change)
