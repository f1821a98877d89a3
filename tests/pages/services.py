"""All services of `bellwire up --lab` in a folder of their own, on free ports."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.patience import PATIENCE_S

SRC = Path(__file__).resolve().parents[2] / "src"
CORRESPONDENT = (sys.executable, "-m", "tests.pages.correspondent")
"""Command of somebody to talk to."""
ACCOUNT = (sys.executable, "-m", "tests.pages.account")
"""Makes an account; its first parameter is the state folder of the services."""
DEVICE = (sys.executable, "-m", "tests.pages.device")
"""A device; its first parameter is the state folder of the services."""
PORTS = (
    *("CLASSICAL", "KME_A", "KME_B", "CLOUD", "CONSOLE_A", "CONSOLE_B", "RELAY"),
    *("LEDGER", "WITNESS_A", "WITNESS_B", "ADMISSION"),
)


@contextlib.contextmanager
def operators_links(home: Path) -> Iterator[tuple[str, str]]:
    """The one-time links of both sites' first operators, as `up` prints them; stops it at the end.

    What it prints goes to `said` in the folder.
    """
    environment = {
        **{key: value for key, value in os.environ.items() if "BELLWIRE_" not in key},
        **{f"BELLWIRE_ADDRESSES__{name}_PORT": "0" for name in PORTS},
        "BELLWIRE_STATE__DIR": str(home / "s"),
        "BELLWIRE_DISTILL__PROBE_INTERVAL_S": "0.2",
        "HOME": str(home),
        "XDG_CONFIG_HOME": "",
        "PYTHONPATH": str(SRC),
    }
    command = [sys.executable, "-m", "bellwire", "up", "--lab"]
    said = home / "said"
    with (
        said.open("wb") as out,
        subprocess.Popen(
            command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        ) as up,
    ):
        try:
            yield _first_links(up, said)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(timeout=PATIENCE_S)


def _first_links(up: "subprocess.Popen[bytes]", said: Path) -> tuple[str, str]:
    for _ in range(int(PATIENCE_S * 5)):
        text = said.read_text()
        found = [
            re.search(rf"operator of site {site}:.*?(http://\S+/#/welcome/\S+)", text, re.S)
            for site in "ab"
        ]
        if found[0] and found[1]:
            return found[0][1], found[1][1]
        try:
            up.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"no links for the first operators:\n{said.read_text()}")
