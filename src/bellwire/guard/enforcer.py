"""What a guard does to a firewall, whichever it is, and how nftables does it."""

import re
from dataclasses import dataclass
from typing import Protocol

from bellwire.guard import ruleset
from bellwire.guard.errors import FirewallFailed
from bellwire.guard.nft import Firewall
from bellwire.guard.scope import KINDS, Scope

_PROBE = ruleset.TABLE + "_probe"
_COUNTED = re.compile(r"packets (\d+) bytes (\d+)")
_HOOK = re.compile(r"\n\t\ttype filter hook (\w+) priority ([^;]+); policy (\w+);")
_EXPECTED_HOOKS = [
    (each, f"filter - {-ruleset.PRIORITY}", "accept") for each in ("forward", "input", "output")
]


@dataclass(frozen=True, slots=True)
class Blocked:
    """What was stopped since the rules are there."""

    packets: int
    bytes: int


NOTHING = Blocked(0, 0)


class Enforcer(Protocol):
    """A firewall that lets guarded packets pass while there is a lease, and else not."""

    def begin(self) -> bool:
        """Put the rules in place; True if they were there, with whatever lease was left."""

    def permit(self, seconds: float) -> None:
        """Let pass for so long, from now on."""

    def forbid(self) -> None:
        """Let nothing pass."""

    def rescope(self, scope: Scope, seconds: float) -> None:
        """The relay that is followed is elsewhere: guard it there, with so much of a lease."""

    def intact(self) -> bool:
        """Whether the rules are as they were put."""

    def blocked(self) -> Blocked:
        """What was stopped."""

    def remove(self) -> None:
        """Take the rules away; again is harmless."""


class NftEnforcer:
    """Rules in a table of our own of nftables.

    Args:
        firewall: Where.
        scope: What is guarded.
    """

    def __init__(self, firewall: Firewall, scope: Scope) -> None:
        self._firewall = firewall
        self._scope = scope
        self._expected: tuple[str, ...] = ()

    def begin(self) -> bool:
        """Put the rules in place, in one transaction; those of an earlier run stay, if the same.

        Raises:
            RightsMissing, FirewallFailed: they are not in place.
        """
        self._expected = self._rendered()
        if self.intact():
            return True
        self._firewall.run(ruleset.replace(self._scope))
        if not self.intact():
            raise FirewallFailed("nftables has other rules than it was told")
        return False

    def permit(self, seconds: float) -> None:
        """Let pass for so long, from now on.

        Raises:
            FirewallFailed: the lease is as it was, and runs out.
        """
        if commands := ruleset.permit(self._scope, seconds):
            self._firewall.run(commands)

    def forbid(self) -> None:
        """Let nothing pass.

        Raises:
            FirewallFailed: the lease is as it was, and runs out.
        """
        self._firewall.run(ruleset.forbid(self._scope))

    def rescope(self, scope: Scope, seconds: float) -> None:
        """The relay that is followed is elsewhere: guard it there, with so much of a lease.

        Args:
            scope: As the one before, with other spots.
            seconds: How long packets may pass from now on; 0 for not at all.

        Raises:
            FirewallFailed: the rules are as they were, and are not `intact`.
        """
        self._scope = scope
        self._firewall.run(ruleset.rescope(scope, seconds))
        self._expected = self._rendered()

    def intact(self) -> bool:
        """Whether the kernel has our rules, and hooks them in where it should."""
        listed = self._firewall.list_table(ruleset.TABLE)
        if listed is None:
            return False
        hooks = [(hook, rank, policy) for hook, rank, policy in _HOOK.findall(listed)]
        return hooks == _EXPECTED_HOOKS and self._described(ruleset.TABLE, listed) == self._expected

    def blocked(self) -> Blocked:
        """What was stopped since the rules are there.

        Raises:
            FirewallFailed: it cannot be told.
        """
        said = self._firewall.read(f"list counter inet {ruleset.TABLE} blocked")
        found = _COUNTED.search(said)
        if found is None:
            raise FirewallFailed("nftables does not say what was stopped")
        return Blocked(int(found[1]), int(found[2]))

    def remove(self) -> None:
        """Take the table away; again is harmless.

        Raises:
            FirewallFailed: it is still there.
        """
        self._firewall.run(f"add table inet {ruleset.TABLE}\n{ruleset.remove()}")

    def _rendered(self) -> tuple[str, ...]:
        """Our rules as this kernel and this library show them: put where they see no packets."""
        probe = ruleset.table(self._scope, name=_PROBE, hooked=False)
        clean = f"add table inet {_PROBE}\ndelete table inet {_PROBE}\n"
        self._firewall.run(clean + probe)
        try:
            listed = self._firewall.list_table(_PROBE)
            return self._described(_PROBE, listed or "")
        finally:
            self._firewall.run(clean)

    def _described(self, name: str, listed: str) -> tuple[str, ...]:
        constant = ["ports"]
        constant += ["relays4"] * bool(self._scope.addresses4)
        constant += ["relays6"] * bool(self._scope.addresses6)
        constant += ["interfaces"] * bool(self._scope.interfaces)
        constant += [f"spots{kind}" for kind in KINDS if self._scope.spots is not None]
        try:
            sets = [self._firewall.list_set(name, each) for each in constant]
        except FirewallFailed:
            return ()
        texts = [_HOOK.sub("", listed), *sets]
        return tuple(each.replace(f"inet {name} ", "inet ") for each in texts)
