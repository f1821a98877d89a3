"""A wall clock that may jump, for all programs of a soak and for no other of the machine.

The kernel has one wall clock for all. So a small library (`clock.c`) stands before the C library,
and adds the seconds that a file has. It is compiled when a soak begins; where there is no compiler,
or a program does not heed it, clocks stay as they are, and the soak says so.
"""

import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")
FILE = "SOAK_CLOCK"
FAR_S = 86_400
ASK = "import time; print(time.time())"


def movable(folder: Path) -> dict[str, str] | None:
    """Environment under which programs have the clock of `folder`; None if they cannot have one."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library, file = folder / "clock.so", folder / "clock"
    words = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        return None
    found = {"LD_PRELOAD": str(library), FILE: str(file)}
    move(file, FAR_S)
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env={**os.environ, **found}, capture_output=True, check=False
    )
    move(file, 0)
    heeded = asked.returncode == 0 and float(asked.stdout) > time.time() + FAR_S / 2
    return found if heeded else None


def move(file: Path, seconds: int) -> None:
    """Let the clock be so far from the machine's."""
    with file.open("r+b" if file.exists() else "wb") as opened:
        opened.write(struct.pack("=q", seconds))
