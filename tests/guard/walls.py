"""Firewalls of the kernel, alike for the tests: our rules, those of others, all that there is."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.guard.spaces import until

from bellwire.guard.enforcer import Enforcer, NftEnforcer
from bellwire.guard.iptables import IptablesEnforcer, Kind
from bellwire.guard.nft import Nft
from bellwire.guard.scope import Scope

NAMES = ("nftables", "iptables-nft", "iptables-legacy")
_NFT = """
table inet others {
	set s { type ipv4_addr; elements = { 192.0.2.1 } }
	chain c {
		type filter hook forward priority 0; policy accept;
		ct state established accept
		ip saddr @s drop
	}
}
table ip bellwire_guardian {
	chain c {
		tcp dport 8765 accept
	}
}
"""
_IPTABLES = """*filter
:OTHERS - [0:0]
:BELLWIRE-GUARDIAN - [0:0]
-A INPUT -j OTHERS
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -j OTHERS
-A OUTPUT -j OTHERS
-A OTHERS -s {} -j DROP
-A BELLWIRE-GUARDIAN -p tcp --dport 8765 -j ACCEPT
COMMIT
"""
_PROBLEM = {4: "192.0.2.1", 6: "2001:db8::1"}
_PROGRAM = {4: "iptables", 6: "ip6tables"}
_CHANGING = re.compile(r"^#.*\n|\[\d+:\d+\]", re.MULTILINE)


def run(*words: str, given: str = "") -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


class Wall:
    """One firewall, in the namespace of this thread.

    Attributes:
        shortest_s: The shortest lease that it knows.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.nft = Nft()
        self.shortest_s = 0.2 if name == "nftables" else 1.0

    @property
    def _kind(self) -> Kind:
        return "nft" if self.name == "iptables-nft" else "legacy"

    def enforcer(self, scope: Scope | None = None) -> Enforcer:
        if self.name == "nftables":
            return NftEnforcer(self.nft, scope or Scope())
        return IptablesEnforcer(self._kind, scope or Scope())

    def add_foreign(self) -> None:
        if self.name == "nftables":
            self.nft.run(_NFT)
            return
        for family, program in _PROGRAM.items():
            text = _IPTABLES.format(_PROBLEM[family])
            run(f"{program}-{self._kind}-restore", "--noflush", given=text)
        run("ipset", "create", "others", "hash:ip")
        run("ipset", "add", "others", "192.0.2.1")

    def listed(self) -> str:
        """All that there is, but for what traffic changes."""
        if self.name == "nftables":
            return self.nft.read("list ruleset")
        saved = [run(f"{program}-{self._kind}-save") for program in _PROGRAM.values()]
        return _CHANGING.sub("", "".join([*saved, run("ipset", "save")]))

    def clear(self) -> None:
        self.nft.run("flush ruleset")
        for program in _PROGRAM.values():
            run(f"{program}-legacy", "-F")
            run(f"{program}-legacy", "-X")
        # The kernel lets go of sets a moment after the rules went.
        until(
            lambda: not subprocess.run(["ipset", "-q", "destroy"], check=False).returncode, "sets"
        )
        self.nft.close()


@contextmanager
def wall(name: str) -> Iterator[Wall]:
    made = Wall(name)
    try:
        yield made
    finally:
        made.clear()
