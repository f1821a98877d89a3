"""Run blocks of any kind: `python tools/prove_blocks.py --blocks 1e4 --seed 0`.

Block i has the parameters, the light and the wire that the number seed + i gives. Stops at the
first one whose sides hold unequal keys, or do not end as they must, and names it. Prints how many
were accepted, and for which reasons the others were not. `--longest` runs the longest block that
there may be instead, and prints what it took.
"""

import argparse
import resource
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.simulators import blocks
from tests.simulators.any_block import check, draw, run

from bellwire.base.detections import Side
from bellwire.base.limits import MAX_PULSES
from bellwire.bench.distill import light
from bellwire.distill.verdict import Reason


def main() -> None:
    """Run the blocks and count how they end."""
    parser = argparse.ArgumentParser(description="Run blocks of any kind: never unequal keys.")
    parser.add_argument("--blocks", type=float, default=1e4, help="how many, 1e4 by default")
    parser.add_argument("--seed", type=int, default=0, help="number of the first block")
    parser.add_argument("--longest", action="store_true", help="one block of 2²⁷ pulses")
    arguments = parser.parse_args()
    if arguments.longest:
        longest(arguments.seed)
        return
    began, count = time.monotonic(), int(arguments.blocks)
    ends: Counter[tuple[Reason | None, Reason | None]] = Counter()
    for seed in range(arguments.seed, arguments.seed + count):
        try:
            drawn = draw(seed)
            ends[check(drawn, *run(drawn))] += 1
        except Exception:
            print(f"block {seed}: run again with --seed {seed} --blocks 1", file=sys.stderr)
            raise
    took = time.monotonic() - began
    print(f"{count:,} blocks in {took:.0f} s, none accepted with unequal keys")
    for (alice, bob), times in ends.most_common():
        print(f"{times:9,}  Alice: {alice or 'accepted'}; Bob: {bob or 'accepted'}")


def longest(seed: int) -> None:
    """One block of BB84 as long as any may be, at 2 %, with a detection in every second slot."""
    detections = MAX_PULSES // light.SLOTS_A_DETECTION
    halves = light.halves(detections, 0.02, 0.9, seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    outcome = blocks.run(light.opening(1, detections, 0.9), halves, seed=seed)
    took = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = outcome.reports[Side.ALICE]
    assert outcome.accepted, report.message
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    print(
        f"{MAX_PULSES:,} pulses, {detections:,} detections: {report.secret_bits:,} secret bits, "
        f"equal at both sides, in {took:.1f} s for both; the process had {before >> 10} MiB when "
        f"the light was made, and at most {after >> 10} MiB"
    )


if __name__ == "__main__":
    main()
