"""Latency of the device channel by round trip and loss: `python tools/measure_delay.py`.

Prints a table in Markdown: for each transport, round trip and loss, milliseconds of handshakes and
of messages, the middle one and the longest. How the wire is made is in `tests/iot/delays.py`.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.iot.delays import TRANSPORTS, Latency, Wire, measure

ROUND_TRIPS_MS = (5, 50, 200)
LOSSES_PERCENT = (0, 1, 5)


def main() -> None:
    """Measure all, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20, help="of each kind")
    parser.add_argument("--messages", type=int, default=10, help="in a session")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(
        "| transport | round trip, ms | loss, % | handshake, ms | longest | message, ms | longest |"
    )
    print("|---|---|---|---|---|---|---|")
    for transport in TRANSPORTS:
        for round_trip_ms in ROUND_TRIPS_MS:
            for loss in LOSSES_PERCENT:
                wire = Wire(round_trip_ms / 1000, loss / 100, asked.seed)
                found = _measured(transport, wire, asked.sessions, asked.messages)
                cells = " | ".join(f"{each:.0f}" for each in found.row())
                print(f"| {transport} | {round_trip_ms} | {loss} | {cells} |", flush=True)


def _measured(transport: str, wire: Wire, sessions: int, messages: int) -> Latency:
    with tempfile.TemporaryDirectory() as folder:
        work = measure(transport, wire, Path(folder), sessions=sessions, messages=messages)
        return asyncio.run(work)


if __name__ == "__main__":
    main()
