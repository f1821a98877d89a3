"""Run blocks of any kind: `python tools/prove_blocks.py --blocks 1e4 --seed 0`.

Block i has the parameters, the light and the wire that the number seed + i gives. Stops at the
first one whose sides hold unequal keys, or do not end as they must, and names it. Prints how many
were accepted, and for which reasons the others were not.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.simulators.any_block import check, draw, run

from bellwire.distill.verdict import Reason


def main() -> None:
    """Run the blocks and count how they end."""
    parser = argparse.ArgumentParser(description="Run blocks of any kind: never unequal keys.")
    parser.add_argument("--blocks", type=float, default=1e4, help="how many, 1e4 by default")
    parser.add_argument("--seed", type=int, default=0, help="number of the first block")
    arguments = parser.parse_args()
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


if __name__ == "__main__":
    main()
