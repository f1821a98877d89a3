"""Fuzz the classical channel for as long as you like: `python tools/fuzz_classical.py --cases 1e6`.

Spoils bodies, lists of slots, whole blocks and frames at random. Prints the seed of each round and
stops at the first thing that neither parses nor raises a documented error, or that leaves two sides
with different accepted keys.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.distill.test_hostile_peer import SPOILS, honest, spoilt, steps
from tests.distill.test_line import FRAMES, connect
from tests.distill.test_messages import EXAMPLES
from tests.simulators.blocks import replacing
from tests.simulators.slots import decode_slots

from bellwire.base.detections import Protocol, Side
from bellwire.distill.errors import DistillError
from bellwire.distill.messages import decode, encode


def bodies(rng: random.Random) -> None:
    """A spoilt body decodes, or is malformed."""
    message = rng.choice(EXAMPLES)
    decode(rng.choice(SPOILS)(encode(message), rng), type(message))


def slots(rng: random.Random) -> None:
    """A random list of slots lies in its block, or is malformed."""
    pulses = rng.choice([1, 9, 100, 5_000, 1 << 20])
    form = bytes([rng.choice([0, 1, 2, 3, 255])])
    if form in b"\1\2" and rng.random() < 0.5:
        form += bytes([rng.randrange(256), 0, 0, 0, rng.randrange(20)])
    found = decode_slots(form + rng.randbytes(rng.randrange(2 * (pulses + 7) // 8 + 2)), pulses)
    assert not found.size or (found[0] >= 0 and found[-1] < pulses)


def frames(rng: random.Random) -> None:
    """A spoilt frame is refused."""
    lines = connect()
    frame = lines[Side.ALICE].seal(rng.choice(FRAMES))
    instead = rng.choice(SPOILS)(frame, rng)
    if instead != frame:
        lines[Side.BOB].open(instead)
        raise AssertionError("a frame that was altered passed")


def blocks(rng: random.Random) -> None:
    """A block with one spoilt message is not accepted by who received it."""
    protocol, side = rng.choice(list(Protocol)), rng.choice(list(Side))
    at = rng.randrange(steps(protocol))
    body = honest(protocol)[side][at]
    instead = rng.choice(SPOILS)(body, rng)
    if instead == body:
        return
    outcome = spoilt(replacing(side, at, lambda _: instead), protocol)
    assert not outcome.reports[side.peer].accepted
    if len(outcome.secrets) == 2:
        assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]


TARGETS: dict[str, tuple[Callable[[random.Random], None], int]] = {
    "bodies": (bodies, 100),
    "slots": (slots, 20),
    "frames": (frames, 20),
    "blocks": (blocks, 1),
}
"""What is fuzzed, and how often in each round: a block takes as long as a hundred bodies."""


def main() -> None:
    """Run rounds until the cases are used up."""
    parser = argparse.ArgumentParser(description="Fuzz the classical channel.")
    parser.add_argument("--cases", type=float, default=1e5, help="how many, 1e5 by default")
    parser.add_argument("--seed", type=int, default=None, help="of the first round")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    began, cases, refused = time.monotonic(), 0, 0
    while cases < arguments.cases:
        rng = random.Random(seed)  # noqa: S311 - a fuzzer has to be repeatable
        try:
            for target, times in TARGETS.values():
                for _ in range(times):
                    cases += 1
                    try:
                        target(rng)
                    except DistillError:
                        refused += 1
        except Exception:
            print(f"seed {seed}: run again with --seed {seed} --cases 1", file=sys.stderr)
            raise
        seed += 1
    took = time.monotonic() - began
    print(f"{cases:,} cases in {took:.0f} s, {refused:,} refused by name, none surprising")


if __name__ == "__main__":
    main()
