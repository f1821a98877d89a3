"""What this machine has for a guard: rights, programs, and what would go past its rules."""

import re
import shutil
from pathlib import Path

from bellwire.guard.nft import Nft

PLACES = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin"
"""Where programs of the firewall are, whatever the environment says."""

_VERBS = ("save", "restore")
_NET_ADMIN = 12  # CAP_NET_ADMIN, linux/capability.h
_TABLE = re.compile(r"^table (\w+ \S+) \{$")
_FLOW_TABLE = re.compile(r"^\tflowtable (\S+) \{$")
_EFFECTIVE = re.compile(r"^CapEff:\s*([0-9a-f]+)$", re.MULTILINE)


def may_change_the_firewall(status: str | None = None) -> bool:
    """Whether this process has CAP_NET_ADMIN.

    Args:
        status: What /proc/self/status says; None reads it.
    """
    said = Path("/proc/self/status").read_text() if status is None else status
    found = _EFFECTIVE.search(said)
    return found is not None and bool(int(found[1], 16) >> _NET_ADMIN & 1)


def missing_of_iptables(kind: str) -> list[str]:
    """Programs that rules of iptables (`nft` or `legacy`) need, and that are not here."""
    names = [f"{each}-{kind}-{verb}" for each in ("iptables", "ip6tables") for verb in _VERBS]
    return [name for name in (*names, "ipset") if shutil.which(name, path=PLACES) is None]


def flow_tables(firewall: Nft) -> list[str]:
    """Flow tables of others, as `inet fw4 ft`: packets of the connections in them come by no rules.

    Raises:
        RightsMissing, FirewallFailed: it cannot be told.
    """
    return named_flow_tables(firewall.read("list flowtables"))


def named_flow_tables(listed: str) -> list[str]:
    """The names in what `nft list flowtables` says."""
    found, table = [], ""
    for line in listed.splitlines():
        if opened := _TABLE.match(line):
            table = opened[1]
        elif flows := _FLOW_TABLE.match(line):
            found.append(f"{table} {flows[1]}")
    return found
