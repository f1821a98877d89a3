"""What an hour of live charts at 10 Hz costs a browser: memory kept and time to draw.

    .venv/bin/python tools/measure_charts.py

36,000 points go through the console's own stream, cache and charts in Chromium, four to a frame, in
compressed time. Prints a line for every 3,000 of them, after a collection of garbage.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import console_build


def main() -> int:
    """Measure, print; 0 if memory is flat once the charts are full."""
    node = console_build.need_node()
    console_build.install(node, all_packages=True)
    with tempfile.TemporaryDirectory(prefix="bellwire-charts-") as place:
        file = Path(place) / "figures.json"
        os.environ["CHARTS"] = str(file)
        console_build.run(
            node, console_build.VITEST, "run", "--config", console_build.JOURNEYS, "charts"
        )
        rows = json.loads(file.read_text())
    print("points  minutes  heap MB  DOM nodes  ms a frame")
    for each in rows:
        print(
            f"{each['points']:6}  {each['points'] / 600:7.0f}  {each['heap_bytes'] / 1e6:7.2f}  "
            f"{each['dom_nodes']:9}  {each['drawn_s'] * 1000:10.1f}"
        )
    full = [each["heap_bytes"] for each in rows if each["points"] >= rows[-1]["points"] / 4]
    if max(full) > 1.1 * min(full):
        print(f"memory is not flat: {min(full):,} to {max(full):,} bytes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
