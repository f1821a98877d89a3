"""A guard's figures: what a Prometheus reads is how the guard is."""

from collections import Counter

from tests.web.scraping import scraped

from bellwire.guard.enforcer import Blocked
from bellwire.guard.figures import GuardFigures
from bellwire.guard.following import Followed
from bellwire.guard.journal import What
from bellwire.guard.override import Override
from bellwire.guard.state import State
from bellwire.web.loopback import shown


def test_figures_are_how_the_guard_is_when_it_is_asked() -> None:
    states = [State("stop", "the node was not heard yet", 5.0)]
    done: Counter[What] = Counter({"begin": 1})
    with shown(GuardFigures(lambda: states[-1], done), 0) as port:
        assert port
        before = scraped(port)
        states.append(
            State(
                "pass",
                "GREEN",
                6.0,
                heard_at=7.5,
                qber=0.02,
                blocked=Blocked(3, 120),
                restored=2,
                override=Override("pass", 0.0, 9.0, "works"),
                followed=Followed("address", ("ws://10.0.0.2:1",), 12, "no answer in time"),
            )
        )
        done["pass"] += 1
        after = scraped(port)
    assert (before["bellwire_guard_passing"], before["bellwire_guard_since_seconds"]) == (0, 5)
    absent = {"heard_seconds", "qber", "relay_level", "relay_notice", "relay_unheard"}
    assert not {f"bellwire_guard_{name}" for name in absent} & before.keys()
    told = {name.removeprefix("bellwire_guard_"): value for name, value in after.items()}
    assert {name: value for name, value in told.items() if "created" not in name} == {
        "passing": 1,
        "since_seconds": 6,
        "overridden": 1,
        "heard_seconds": 7.5,
        "qber": 0.02,
        "relay_level": 2,
        "relay_notice": 12,
        "relay_unheard": 1,
        "blocked_packets_total": 3,
        "blocked_bytes_total": 120,
        "restored_total": 2,
        "acts_total begin": 1,
        "acts_total pass": 1,
    }
