"""Tools with a lock of their own, which are fetched when they are first used and by nobody else."""

import hashlib
import shutil
import sys
from pathlib import Path

from tools import launch


def provide(group: str) -> Path:
    """Install what a lock has, in a folder of its own, named for the lock and this Python.

    Args:
        group: Of `requirements/`.

    Returns:
        The folder, to be imported from.

    Raises:
        SetupError: it cannot be fetched.
    """
    locked = launch.lock_file(group)
    made_of = locked.read_bytes() + sys.implementation.cache_tag.encode()
    place = launch.TOOLS / f"{group}-{hashlib.sha256(made_of).hexdigest()[:12]}"
    with launch.only_one():
        if not place.exists():
            for other in launch.TOOLS.glob(f"{group}-*"):  # of another lock, or left unfinished
                shutil.rmtree(other)
            made = place.with_suffix(".new")
            uv = launch.find_uv() or launch.fetch_uv()
            into = ("--python", sys.executable, "--target", str(made))
            launch.run_uv(uv, "pip", "install", *into, "--require-hashes", "-r", str(locked))
            made.rename(place)
    return place
