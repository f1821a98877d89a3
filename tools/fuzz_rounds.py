"""Rounds of a fuzzer: each of its targets some times, with randomness that a seed repeats."""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping

from bellwire.base.errors import BellwireError

Target = Callable[[random.Random], None]
Targets = Mapping[str, tuple[Target, int]]
"""What is fuzzed, by its name, and how often in each round."""


def refusals(target: Target, times: int, rng: random.Random) -> int:
    """How many of some cases are refused by name.

    Raises:
        Exception: whatever the target raises that is no `BellwireError`.
    """
    refused = 0
    for _ in range(times):
        try:
            target(rng)
        except BellwireError:
            refused += 1
    return refused


def fuzz(description: str, targets: Targets) -> None:
    """Run rounds, as the words of the command line say, until the cases are used up."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cases", type=float, default=1e5, help="how many, 1e5 by default")
    parser.add_argument("--seed", type=int, default=None, help="of the first round")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    began = time.monotonic()
    cases: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    while cases.total() < arguments.cases:
        rng = random.Random(seed)  # noqa: S311 - a fuzzer has to be repeatable
        try:
            for name, (target, times) in targets.items():
                refused[name] += refusals(target, times, rng)
                cases[name] += times
        except Exception:
            print(f"seed {seed}: run again with --seed {seed} --cases 1", file=sys.stderr)
            raise
        seed += 1
    took = time.monotonic() - began
    print(f"{cases.total():,} cases in {took:.0f} s, {refused.total():,} refused by name")
    for name, count in cases.items():
        print(f"{count:9,}  {name}, {refused[name]:,} refused")
