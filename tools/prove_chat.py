#!/usr/bin/env python
"""Two people talk over a relay that is killed at random moments; nothing may be lost or doubled.

Each message waits for nothing. Relay and both people use their real stores in a folder of their
own; the relay is a process of its own, killed as by `kill -9`, and the people's couriers are cut
off at random moments, too. At the end each has all that the other said, once and in order. With
`--engine` they use whole messengers, whose pads come from stock and from sessions of key servers in
memory; people restart or die, Eve comes and goes, and the wire to the relay cuts lines and loses,
repeats and swaps what is delivered. 10,000 messages take five to fifteen minutes so.

    python tools/prove_chat.py --messages 10000 --seed 1
    python tools/prove_chat.py --messages 10000 --seed 1 --engine
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.chat.messenger.proof import EngineProof
from tests.chat.proof import Proof


def main() -> int:
    """Run one proof and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=float, default=10_000)
    parser.add_argument("--faults", type=int, default=40, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pad", type=float, default=1e6, help="bytes, each way")
    parser.add_argument("--engine", action="store_true", help="with whole messengers")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        drawn = random.Random(asked.seed)  # noqa: S311 - a seed gives the same run again
        proof = (
            EngineProof(Path(folder), drawn)
            if asked.engine
            else Proof(Path(folder), drawn, int(asked.pad))
        )
        asyncio.run(proof.run(int(asked.messages), asked.faults))
        faults = proof.faults()
    print(f"{proof.said} messages, {time.monotonic() - began:.0f} s, seed {asked.seed}")
    print(", ".join(f"{count} {what}" for what, count in sorted(proof.happened.items())))
    print("\n".join(faults) or "nothing lost, nothing doubled, all in order")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
