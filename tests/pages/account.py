"""A further account of the journeys: makes it at a site, and prints its one-time link.

    python -m tests.pages.account STATE NAME SITE

STATE is that of the services.
"""

import sys
from pathlib import Path

from bellwire.cli.main import run


def main(state: Path, name: str, site: str) -> int:
    about = [name, "--site", site, "--state", str(state)]
    token = state.parent / f"{name}.token"
    code = run(["accounts", "add", *about, "--operator", "--out", str(token)])
    return code or run(["accounts", "link", *about, "--json"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
