"""Demos that are interrupted or robbed of a process, one after the other in the same folder.

Each life of a series starts in what the one before it left, so that a run proves two things: that
its own end is orderly, and that the earlier end left nothing to trip over.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.demo.runs import Place, Running

INTERRUPTED = 130
UNREACHABLE = 4
KILLED = -signal.SIGKILL

STARTING = "starting the link"
READY = "everybody is there"
E91_DONE = "E91: entangled pairs"
BB84_DONE = "BB84: single photons"
EVE = "Eve is on the fibre"
CAUGHT = "E91 while Eve entangles"
RECOVERING = "E91 again, block 1"
PICTURES = "drawing the pictures"

Blow = Callable[[Running], None]


def interrupt(demo: Running) -> None:
    demo.process.send_signal(signal.SIGINT)


def ctrl_c(demo: Running) -> None:
    demo.interrupt_as_a_terminal_does()


def ctrl_c_twice(demo: Running) -> None:
    demo.interrupt_as_a_terminal_does()
    demo.interrupt_as_a_terminal_does()


def terminate(demo: Running) -> None:
    demo.process.terminate()


def kill(demo: Running) -> None:
    demo.process.kill()


def kill_service(*words: str) -> Blow:
    return lambda demo: demo.service(*words).kill()


LINK, CLOUD = kill_service("bellwire", "link"), kill_service("bellwire", "cloud")
NODE_A, NODE_B = kill_service("--site", "a"), kill_service("--site", "b")


@dataclass(frozen=True)
class Life:
    """What the demo has just said when it is struck, with what, and how it must end."""

    when: str
    blow: Blow
    code: int
    last: str


SERIES = {
    "first": [
        Life(STARTING, ctrl_c, INTERRUPTED, "interrupted"),
        Life(READY, NODE_A, UNREACHABLE, "node-a stopped in the middle of the demo"),
        Life(BB84_DONE, terminate, INTERRUPTED, "interrupted"),
        Life(EVE, LINK, UNREACHABLE, "link stopped in the middle of the demo"),
        Life(PICTURES, interrupt, INTERRUPTED, "interrupted"),
    ],
    "second": [
        Life(STARTING, NODE_B, UNREACHABLE, "node-b did not start"),
        Life(E91_DONE, kill, KILLED, ""),
        Life(BB84_DONE, CLOUD, UNREACHABLE, "cloud stopped in the middle of the demo"),
        Life(CAUGHT, NODE_B, UNREACHABLE, "node-b stopped in the middle of the demo"),
        Life(RECOVERING, ctrl_c_twice, INTERRUPTED, "interrupted"),
        Life(STARTING, terminate, INTERRUPTED, "interrupted"),
    ],
}


@pytest.mark.parametrize("series", SERIES)
def test_a_demo_that_is_struck_ends_by_name_leaves_no_process_and_the_next_one_works(
    series: str,
) -> None:
    with Place.fresh() as place:
        for life in SERIES[series]:
            with Running(place) as demo:
                demo.until(life.when)
                life.blow(demo)
                code, out, err = demo.end()
            assert code == life.code, err
            assert out == ""
            assert "Traceback" not in err
            if life.code == UNREACHABLE:
                assert "killed by SIGKILL" in err
            if life.last:
                *_, last = [line for line in err.splitlines() if not line.startswith("hint: ")]
                assert life.last in last
