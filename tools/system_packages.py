"""Programs outside Python that the checks need, and how they get here.

As root on a system with apt, missing ones are installed; elsewhere they are named. Nothing of the
product needs any of them, but for what a user chooses: a token, for instance.
"""

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES: dict[str, str] = {
    "openssl": "openssl",  # a second opinion on certificates
    "mosquitto": "mosquitto",  # an MQTT 5 broker, for devices behind NAT
    "nats-server": "nats-server",  # the bus between nodes, with JetStream
    "curl": "curl",  # a client of ETSI 014 that is not ours
    "nft": "nftables",  # the firewall that a guard acts on, and its library
    "iptables": "iptables",  # the firewall of older routers, for guards
    "ipset": "ipset",  # its sets, whose entries run out by themselves
    "jq": "jq",  # reads what curl got, in scripts of the how-tos
    "wg": "wireguard-tools",  # sets up a tunnel
    "wireguard-go": "wireguard-go",  # WireGuard without the kernel's: ends of a tunnel
    "wget": "wget",  # how the guard of small routers asks
    "busybox": "busybox",  # the shell and the tools of a small router
    "ip": "iproute2",  # networks of their own, for guards, and for what is told by multicast
    "systemd-analyze": "systemd",  # what it says of our units
    "chromium": "chromium",  # the browser that the console's journeys are made in
    "firefox-esr": "firefox-esr",  # the other browser of the journeys, as Debian has it
    "spin": "spin",  # explores the finite models of protocols
    "softhsm2-util": "softhsm2",  # a PKCS #11 token
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",  # a store that is not a file
    "/usr/lib/softhsm/libsofthsm2.so": "libsofthsm2",
}
"""Program on PATH, or a file by its whole path → Debian package that brings it."""


def missing(packages: dict[str, str]) -> list[str]:
    """Debian packages whose program is not on PATH, or whose file is not there."""
    return sorted({name for program, name in packages.items() if not _is_there(program)})


def _is_there(program: str) -> bool:
    path = Path(program)
    return path.exists() if path.is_absolute() else shutil.which(program) is not None


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
