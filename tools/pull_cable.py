"""Pull the cable between devices and their cloud: `python tools/pull_cable.py --seconds 30`.

Two network namespaces, a cloud in one, and three devices in the other: over TCP, UDP and an MQTT
broker. All packets between them are dropped for that long while readings go on being taken. Prints
what was sent, lost and doubled over each. Needs root, nft and mosquitto.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.iot.cable import pulled


def main() -> None:
    """Pull it and count."""
    parser = argparse.ArgumentParser(description="Pull the cable: no reading is lost or doubled.")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long, 30 by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = pulled(Path(folder), arguments.seconds, before_s=3.0)
    bad = 0
    for transport, outcome in outcomes.items():
        order = "in order" if outcome.in_order else "OUT OF ORDER"
        sys.stdout.write(
            f"{transport}: {outcome.sent} sent, {outcome.lost} lost, {outcome.doubled} doubled, "
            f"{order}\n"
        )
        bad += outcome.lost + outcome.doubled + (not outcome.in_order)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
