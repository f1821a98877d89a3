"""Pictures of every page of the console, and of its dialogs, in both themes, into a folder.

    .venv/bin/python tools/console_pictures.py FOLDER
    .venv/bin/python tools/console_pictures.py FOLDER --docs

Starts the services of `bellwire up --lab` in a folder of its own, on free ports, as the journeys
of the tests do. With `--docs`, those that README.md and the documentation show are made anew.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image
from tests.pages.services import CORRESPONDENT, DEVICE, operators_links
from tools import console_build

IMAGES = console_build.ROOT / "docs" / "images"
SHOWN = {
    "chat": ("chat-aborted-dark-laptop", 860),
    "network": ("network-red-dark-laptop", 1290),
    "devices": ("devices-newcomer-light-laptop", 1300),
    "lab": ("lab-eve-dark-laptop", 1520),
    "record": ("record-light-laptop", 1335),
}
"""What the documentation shows of each page, and to which height in pixels: then a panel ends."""
MOST_BYTES = 200_000


def show(folder: Path) -> None:
    """Put what the documentation shows where it is.

    Raises:
        ValueError: a picture is too large for a page.
    """
    for page, (name, highest) in SHOWN.items():
        with Image.open(folder / f"{name}.png") as picture:
            top = picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, highest)))
        path = IMAGES / f"console-{page}.webp"
        top.save(path, quality=88, method=6)
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ValueError(f"{path}: expected at most {MOST_BYTES:,} bytes, got {size:,}")


def main() -> int:
    """Start, take the pictures, stop."""
    folders = [each for each in sys.argv[1:] if each != "--docs"]
    if len(folders) != 1:
        print("expected a folder for the pictures", file=sys.stderr)
        return 2
    folder = Path(folders[0]).resolve()
    node = console_build.need_node()
    console_build.build(node, all_packages=True)
    with (
        tempfile.TemporaryDirectory(prefix="bellwire-pictures-") as place,
        operators_links(Path(place)) as (link, other),
    ):
        os.environ |= {
            "PICTURES_OF": link,
            "OTHER_LINK": other,
            "PICTURES": str(folder),
            "DEVICE": "\n".join([*DEVICE, str(Path(place) / "s")]),
            "CORRESPONDENT": "\n".join([*CORRESPONDENT, str(Path(place) / "s")]),
        }
        console_build.run(node, console_build.VITEST, "run", "--config", console_build.JOURNEYS)
    if "--docs" in sys.argv:
        show(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
