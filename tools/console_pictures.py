"""Pictures of every page of the console, in both themes and three widths, into a folder.

    .venv/bin/python tools/console_pictures.py FOLDER

Starts the services of `bellwire up --lab` in a folder of its own, on free ports, as the journeys
of the tests do.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.pages.services import DEVICE, operators_link
from tools import console_build


def main() -> int:
    """Start, take the pictures, stop."""
    if len(sys.argv) != 2:
        print("expected a folder for the pictures", file=sys.stderr)
        return 2
    node = console_build.need_node()
    console_build.build(node, all_packages=True)
    with (
        tempfile.TemporaryDirectory(prefix="bellwire-pictures-") as place,
        operators_link(Path(place)) as link,
    ):
        os.environ |= {
            "PICTURES_OF": link,
            "PICTURES": str(Path(sys.argv[1]).resolve()),
            "DEVICE": "\n".join([*DEVICE, str(Path(place) / "s")]),
        }
        console_build.run(node, console_build.VITEST, "run", "--config", console_build.JOURNEYS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
