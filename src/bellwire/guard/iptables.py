"""iptables and ip6tables, with ipset for the lease: the firewall of routers without nftables.

Without ipset it refuses to begin: rules alone would go on letting pass when the guard is gone.
Programs are started for each change; one takes some milliseconds.
"""

import math
import re
import shutil
import subprocess
import time
from ipaddress import ip_address
from typing import Literal

from bellwire.guard import chains
from bellwire.guard.enforcer import Blocked
from bellwire.guard.errors import FirewallFailed, FirewallUnusable, RightsMissing
from bellwire.guard.machine import PLACES
from bellwire.guard.scope import Scope

Kind = Literal["nft", "legacy"]

_FAMILIES = {4: "iptables", 6: "ip6tables"}
_WITHIN_S = 10.0
_TRIES, _PAUSE_S = 50, 0.02
_COUNTED = re.compile(r"\[(\d+):(\d+)\] (.*)")
_REFUSED = ("permission denied", "not permitted", "must be root")


class IptablesEnforcer:
    """Rules in chains of our own of the filter tables, for both families.

    Args:
        kind: Which iptables: over nftables, or the older one.
        scope: What is guarded.

    Raises:
        FirewallUnusable: a program is missing.
    """

    def __init__(self, kind: Kind, scope: Scope) -> None:
        self._scope = scope
        self._programs = {
            family: [_program(f"{name}-{kind}-{verb}") for verb in ("save", "restore")]
            for family, name in _FAMILIES.items()
        }
        self._ipset = _program("ipset")
        self._expected: dict[int, list[str]] = {}

    def begin(self) -> bool:
        """Put the rules in place; those of an earlier run stay, if they are the same.

        Raises:
            RightsMissing, FirewallUnusable, FirewallFailed: they are not in place.
        """
        known = self._sets()
        try:
            if known is None:
                self._run([self._ipset, "restore"], chains.sets(self._scope))
        except FirewallFailed as error:
            raise FirewallUnusable(
                f"expected ipset to take a set with times, got: {error}",
                hint="The kernel needs ip_set and its bitmap:port; rules alone would fail open.",
            ) from error
        self._expected = {family: self._rendered(family) for family in _FAMILIES}
        if known == chains.guarded(self._scope) and self.intact():
            return True
        self._run([self._ipset, "restore"], chains.sets(self._scope))
        for family in _FAMILIES:
            jumps, _ = self._ours(family)
            self._restore(family, chains.replace(self._scope, family, jumps))
        if self._scope.spots is None:  # of an earlier guard, which followed a relay
            for name in (*chains.SPOTS.values(), *chains.OPEN.values()):
                self._forget(name)
        if not self.intact():
            raise FirewallFailed("iptables has other rules than it was told")
        return False

    def permit(self, seconds: float) -> None:
        """Let pass from now on for so many whole seconds as there are in these.

        Raises:
            FirewallFailed: the lease is as it was, and runs out.
        """
        whole = math.floor(seconds)
        if whole < 1:  # to ipset, 0 is for ever
            self.forbid()
        elif commands := chains.permit(self._scope, whole):
            self._run([self._ipset, "restore"], commands)

    def forbid(self) -> None:
        """Let nothing pass.

        Raises:
            FirewallFailed: the lease is as it was, and runs out.
        """
        self._run([self._ipset, "restore"], chains.forbid(self._scope))

    def rescope(self, scope: Scope, seconds: float) -> None:
        """The relay that is followed is elsewhere: guard it there, with so much of a lease.

        Args:
            scope: As the one before, with other spots.
            seconds: How long packets may pass from now on, in whole seconds of these.

        Raises:
            FirewallFailed: what is guarded is in part as it was, and is not `intact`.
        """
        self._scope = scope
        self._run([self._ipset, "restore"], chains.rescope(scope, math.floor(seconds)))

    def intact(self) -> bool:
        """Whether both tables have our rules, and jump to them first, and the set has our ports."""
        try:
            return self._sets() == chains.guarded(self._scope) and all(
                self._is_intact(self._saved(family), family) for family in _FAMILIES
            )
        except FirewallFailed:
            return False

    def blocked(self) -> Blocked:
        """What was stopped since the rules are there.

        Raises:
            FirewallFailed: it cannot be told: the rules are not ours any more.
        """
        packets = size = 0
        shut = chains.chains()[0]
        stopping = tuple(f"-A {shut} {end}" for end in ("-p tcp -j REJECT", "-j DROP"))
        for family in _FAMILIES:
            saved = self._saved(family)
            if not self._is_intact(saved, family):
                raise FirewallFailed("iptables has other rules than it was told")
            for count, length, rule in saved:
                if rule.startswith(stopping):
                    packets, size = packets + count, size + length
        return Blocked(packets, size)

    def remove(self) -> None:
        """Take chains and sets away; again is harmless.

        Raises:
            FirewallFailed: they are still there.
        """
        for family in _FAMILIES:
            jumps, there = self._ours(family)
            if there:
                self._restore(family, chains.remove(jumps, there))
        for name in chains.SETS:
            self._forget(name)

    def _forget(self, name: str) -> None:
        """Take a set away; the kernel lets go of it a moment after the rules that named it."""
        for tries in range(_TRIES + 1):
            try:
                self._run([self._ipset, "list", "-t", name], "")
            except FirewallFailed:
                return  # there is none
            try:
                self._run([self._ipset, "destroy", name], "")
            except FirewallFailed:
                if tries == _TRIES:
                    raise
                time.sleep(_PAUSE_S)

    def _rendered(self, family: int) -> list[str]:
        """Our rules as this program shows them: put where they see no packets."""
        self._restore(family, chains.probe(self._scope, family))
        try:
            names = tuple(f"-A {name} " for name in chains.chains(chains.PROBE))
            found = [rule for _, _, rule in self._saved(family) if rule.startswith(names)]
        finally:
            text = chains.remove((), chains.chains(chains.PROBE), chains.PROBE)
            self._restore(family, text)
        return [rule.replace(f"{chains.PROBE}-", f"{chains.PREFIX}-") for rule in found]

    def _is_intact(self, saved: list[tuple[int, int, str]], family: int) -> bool:
        ours = tuple(f"-A {name} " for name in chains.chains())
        if [rule for _, _, rule in saved if rule.startswith(ours)] != self._expected[family]:
            return False
        for hook in chains.HOOKS:
            rules = [rule for _, _, rule in saved if rule.startswith(f"-A {hook} ")]
            jump = f"-A {hook} -j {chains.chains()[-1]}"
            if rules[:1] != [jump] or rules.count(jump) != 1:
                return False
        return True

    def _ours(self, family: int) -> tuple[list[str], list[str]]:
        """Hooks that jump to our chain, once for each jump; and our chains that there are."""
        saved = self._run([self._programs[family][0], "-t", "filter"], "").splitlines()
        guard = chains.chains()[-1]
        jumps = [hook for hook in chains.HOOKS for rule in saved if rule == f"-A {hook} -j {guard}"]
        there = [name for name in chains.chains() if any(r.startswith(f":{name} ") for r in saved)]
        return jumps, there

    def _saved(self, family: int) -> list[tuple[int, int, str]]:
        """Packets, bytes and text of each rule."""
        said = self._run([self._programs[family][0], "-c", "-t", "filter"], "")
        found = (_COUNTED.fullmatch(line) for line in said.splitlines())
        return [(int(each[1]), int(each[2]), each[3]) for each in found if each]

    def _sets(self) -> set[str] | None:
        """What is guarded, as `ipset save` tells it; None without all of our sets."""
        shown, leases = [chains.PORTS], [chains.LEASE]
        if self._scope.spots is not None:
            shown += chains.SPOTS.values()
            leases += chains.OPEN.values()
        try:
            for name in leases:
                self._run([self._ipset, "list", "-t", name], "")
            said = "".join(self._run([self._ipset, "save", name], "") for name in shown)
        except FirewallFailed:
            return None
        return {_entry(line) for line in said.splitlines() if line.startswith("add ")}

    def _restore(self, family: int, text: str) -> None:
        self._run([self._programs[family][1], "--noflush", "--wait", "5"], text)

    def _run(self, line: list[str], text: str) -> str:
        try:
            done = subprocess.run(
                line,
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_WITHIN_S,
                env={"LC_ALL": "C", "PATH": PLACES},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FirewallFailed(f"{line[0]}: {error}") from error
        if not done.returncode:
            return done.stdout
        said = done.stderr.strip()
        if any(word in said.lower() for word in _REFUSED):
            raise RightsMissing(
                "expected to be allowed to change the firewall, got: operation not permitted",
                hint="Run it as root, or give it CAP_NET_ADMIN (iptables-legacy: CAP_NET_RAW, too)",
            )
        first = said.splitlines()[0][:500] if said else "no reason was given"
        raise FirewallFailed(f"{line[0].rpartition('/')[2]} did not take it: {first}")


def _entry(line: str) -> str:
    """An entry as we write it: ipset and Python do not spell each address of IPv6 alike."""
    verb, name, value = line.split()
    address, comma, rest = value.partition(",")
    return f"{verb} {name} {ip_address(address) if comma else address}{comma}{rest}"


def _program(name: str) -> str:
    found = shutil.which(name, path=PLACES)
    if found is None:
        package = "ipset" if name == "ipset" else "iptables"
        raise FirewallUnusable(
            f"expected the program {name}, got none",
            hint=f"Install {package}, or choose another --firewall.",
        )
    return found
