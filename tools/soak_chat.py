#!/usr/bin/env python
"""A relay under half of the load that it can carry, for long: nothing lost, memory flat.

The relay is a process of its own with its store on disk. Pairs send through it without a pause, at
half of the rate that a first measurement found; between, owners are away, come back and take what
waited for them. Each message must come once and in order. Every minute prints what was carried and
the relay's memory; at the end the memory of the last third is held against that of the second. The
last line begins with PASSED or FAILED and says why; the exit code is 0 or 1.

    python tools/soak_chat.py
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bellwire.bench.chat.figures import PAIRS, child
from bellwire.bench.chat.load import Pair, drive
from bellwire.bench.chat.wire import Bundled, Ours

SEGMENT_S = 5.0
ABSENT = 1000
"""Messages that wait for each owner who is away."""

AWAY = 4
GROWTH = 1.05
SLACK_MB = 4.0
"""The last third may have so much more memory than the second: allocators keep some."""


def main() -> int:
    """Run, and say in one line how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--share", type=float, default=0.5, help="of the rate that was found")
    asked = parser.parse_args()
    try:
        pairs, waited, memory = soak(asked.minutes * 60, asked.share)
    except (OSError, TimeoutError) as error:  # the relay is gone, or does not go on
        print(f"FAILED: {error}")
        return 1
    carried, lost = sum(pair.sent for pair in pairs), sum(pair.sent - pair.came for pair in pairs)
    third = len(memory) // 3
    middle, last = (
        statistics.median(memory[at : at + third + 1]) for at in (third, len(memory) - third - 1)
    )
    flat = last <= GROWTH * middle + SLACK_MB
    print(
        f"{'PASSED' if flat and not lost else 'FAILED'}: {lost} lost of {carried + waited:,}; "
        f"memory {middle:.1f} MB, then {last:.1f} MB: {'flat' if flat else 'grows'}"
    )
    return 0 if flat and not lost else 1


def soak(seconds: float, share: float) -> tuple[list[Pair], int, list[float]]:
    """Pairs that have sent for so long, what waited for owners who were away, and memory in MB.

    Raises:
        ConnectionError: the relay ended a line, or delivered anything but the next message.
        TimeoutError: it did not deliver.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        child("bellwire.bench.chat.side", str(Path(folder, "relay"))) as relay,
        contextlib.ExitStack() as open_lines,
    ):
        kinds = (Ours, Bundled)
        lines = [kinds[number % 2](relay.port, number, listen=True) for number in range(PAIRS)]
        for each in lines:
            open_lines.callback(each.close)
        pairs = [Pair(each) for each in lines]
        segment_s = min(SEGMENT_S, seconds / 6)
        full = drive(pairs, min(2.0, segment_s))
        rate = share * full["messages"] / full["seconds"]
        print(f"{share:.0%} of what was found: {rate:,.0f} messages/s", flush=True)
        began, told, waited = time.monotonic(), 0, 0
        memory: list[float] = []
        while (now := time.monotonic() - began) < seconds:
            drive(pairs, segment_s, rate)
            waited += sum(away(relay.port, PAIRS + number) for number in range(AWAY))
            memory.append(relay.process.memory_info().rss / 1e6)
            if now >= 60 * told:
                told += 1
                show(now, pairs, waited, memory[-1])
        show(time.monotonic() - began, pairs, waited, memory[-1])
    return pairs, waited, memory


def away(port: int, number: int) -> int:
    """Messages for somebody who is away, taken when he is back."""
    ours = Ours(port, number, listen=False)
    pair = Pair(ours)
    while pair.sent < ABSENT:
        drive([pair], 0.05)
    ours.come_back(port)
    drive([pair], 0.0)
    ours.close()
    return pair.came


def show(seconds: float, pairs: list[Pair], waited: int, memory_mb: float) -> None:
    """One line."""
    sent, came = sum(pair.sent for pair in pairs), sum(pair.came for pair in pairs)
    print(
        f"{seconds / 60:5.1f} min: {sent:,} sent, {came:,} came, {waited:,} waited for owners who"
        f" were away; relay {memory_mb:.1f} MB",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
