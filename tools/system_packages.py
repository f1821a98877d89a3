"""Programs outside Python that the checks need, and how they get here.

As root on a system with apt, missing ones are installed; elsewhere they are named. Nothing of the
product needs any of them.
"""

import os
import shutil
import subprocess

PACKAGES: dict[str, str] = {
    "openssl": "openssl",  # a second opinion on certificates
    "curl": "curl",  # a client of ETSI 014 that is not ours
}
"""Program → Debian package that brings it."""


def missing(packages: dict[str, str]) -> list[str]:
    """Debian packages whose program is not on PATH."""
    return sorted({name for program, name in packages.items() if shutil.which(program) is None})


def provide(packages: dict[str, str]) -> None:
    """Install what is missing, where that is allowed.

    Raises:
        RuntimeError: something is missing and cannot be installed from here.
    """
    wanted = missing(packages)
    if not wanted:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise RuntimeError(f"missing: {', '.join(wanted)}; install these Debian packages")
    for arguments in (
        ["update", "-q"],
        ["install", "-q", "-y", "--no-install-recommends", *wanted],
    ):
        subprocess.run(
            [apt, *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
