"""Torment the demo for as long as you like: `python tools/torment_demo.py --minutes 30`.

Starts demos one after the other in one state folder, strikes each at a random moment (Ctrl-C,
SIGTERM, SIGKILL of the demo or of any process of it, a frozen process and then Ctrl-C) and checks
that it ends by name, that nothing of it goes on running, and that the next one starts as if nothing
had been. At the end one demo is left in peace and must succeed.
"""

import argparse
import contextlib
import random
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.demo.runs import Place, Running

LONGEST_S = 10.0
"""A demo lasts about as long on two cores: a few blows come too late, most do not."""

ENDS = {
    "ctrl-c": {130},
    "ctrl-c twice": {130},
    "sigterm": {130},
    "kill the demo": {-signal.SIGKILL},
    "kill a process": {1, 4},
    "freeze a process, then ctrl-c": {130},
}
"""Exit codes that each blow may lead to; 0 as well where it came too late."""


def strike(demo: Running, blow: str, rng: random.Random) -> None:
    """Do it, if there is still somebody to be struck."""
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        children = psutil.Process(demo.process.pid).children()
        if blow == "sigterm":
            demo.process.terminate()
        elif blow == "kill the demo":
            demo.process.kill()
        elif blow == "kill a process" and children:
            rng.choice(children).kill()
        elif blow.startswith("freeze") and children:
            rng.choice(children).suspend()
        if "ctrl-c" in blow:
            demo.interrupt_as_a_terminal_does()
        if "twice" in blow:
            time.sleep(rng.random() / 2)
            demo.interrupt_as_a_terminal_does()


def one_life(place: Place, rng: random.Random) -> str:
    """Run and strike one demo; what happened, in a line.

    Raises:
        AssertionError: it did not end as it should.
    """
    blow, after_s = rng.choice(list(ENDS)), rng.uniform(0.5, LONGEST_S)
    with Running(place) as demo:
        timer = threading.Timer(after_s, strike, (demo, blow, rng))
        timer.start()
        code, _, err = demo.end()
        timer.cancel()
        timer.join()
    said = err.strip().splitlines()
    story = f"{after_s:4.1f} s, {blow}: exit {code}, {said[-1] if said else '(silent)'}"
    assert code in ENDS[blow] | {0}, f"{story}\n{err}"
    assert "Traceback" not in err, f"{story}\n{err}"
    assert "unexpected" not in err, f"{story}\n{err}"
    return story


def main() -> None:
    """Strike demos until the time is up."""
    parser = argparse.ArgumentParser(description="Torment the demo.")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, 5 by default")
    parser.add_argument("--seed", type=int, default=None, help="of blows and moments")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}")
    rng = random.Random(seed)  # noqa: S311 - a torment has to be repeatable
    until, lives = time.monotonic() + 60 * arguments.minutes, 0
    with Place.fresh() as place:
        while time.monotonic() < until:
            print(one_life(place, rng), flush=True)
            lives += 1
        with Running(place) as demo:
            code, _, err = demo.end()
        assert code == 0, err
    print(f"{lives} demos struck, each ended by name; the last was left in peace and succeeded")


if __name__ == "__main__":
    main()
