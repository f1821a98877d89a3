#!/usr/bin/env python
"""Open and close a guard's rules many times, at random, and see that nothing is left behind.

On each firewall in turn, in network namespaces of its own: leases are given, taken and left to run
out, rules of ours are flushed by others and put back, guards are taken over. After each whole round
the rules of everybody must be what they were, and no file may stay open. Needs root, nftables,
iptables and ipset.

    python tools/torment_guard.py --cycles 1000 --seed 1
"""

import argparse
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.guard.spaces import spaces
from tests.guard.torment import torment
from tests.guard.walls import NAMES, wall


def main() -> int:
    """Run all cycles on each firewall, and say what was left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    faults: list[str] = []
    with spaces() as net:
        for name in NAMES:
            drawn = random.Random(asked.seed)  # noqa: S311 - a seed gives the same run again
            with wall(name) as found:
                mine = torment(net, found, drawn, asked.cycles)
            print(f"{name}: {asked.cycles} cycles, {'; '.join(mine) or 'nothing left behind'}")
            faults += mine
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
