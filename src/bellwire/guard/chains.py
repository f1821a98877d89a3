"""The guard's rules in the words of iptables and ipset: chains of ours, and the lease in a set.

What always holds:

- A jump to our chain is the first rule of FORWARD, INPUT and OUTPUT, before any that lets
  established connections pass. What we let pass returns to the rules of others.
- A packet to a guarded port, or from one, passes while the port is in the set `bellwire_lease`,
  whose entries the kernel drops by itself when their time is over; one set for both families.
- The rules of a family change in one transaction of its filter table, and no rule of others does.

Source: iptables-extensions(8), ipset(8).
"""

from collections.abc import Iterable

from bellwire.guard.scope import Scope

PREFIX, PROBE = "BELLWIRE", "BELLWIRE-TRY"
LEASE, PORTS = "bellwire_lease", "bellwire_ports"
HOOKS = ("INPUT", "FORWARD", "OUTPUT")
_PARTS = ("SHUT", "MATCH", "GUARD")
_ALL_PORTS = "bitmap:port range 0-65535"
_RST = "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH RST -m length --length {} -j RETURN"
_LENGTHS = {4: 40, 6: 60}  # a reset without a word of its own, with the IP header


def chains(prefix: str = PREFIX) -> list[str]:
    """Names of our chains; the last is jumped to."""
    return [f"{prefix}-{part}" for part in _PARTS]


def rules(scope: Scope, family: int, prefix: str = PREFIX) -> list[str]:
    """What stands in our chains.

    Args:
        scope: What is guarded.
        family: 4 or 6.
        prefix: Of their names.
    """
    shut, match, guard = chains(prefix)
    lines = [
        f"-A {shut} {_RST.format(_LENGTHS[family])}",
        f"-A {shut} -p tcp -j REJECT --reject-with tcp-reset",
        f"-A {shut} -j DROP",
    ]
    for address in _addresses(scope, family):
        for option, side in (("-d", "dst"), ("-s", "src")):
            where = f" {option} {address}" if address else ""
            known = f"-m set --match-set {PORTS} {side}"
            stale = f"-m set ! --match-set {LEASE} {side}"
            lines.append(f"-A {match}{where} {known} {stale} -j {shut}")
    if not scope.interfaces:
        return [*lines, f"-A {guard} -j {match}"]
    return lines + [
        f"-A {guard} {option} {name} -j {match}"
        for name in scope.interfaces
        for option in ("-i", "-o")
    ]


def replace(scope: Scope, family: int, jumps: Iterable[str]) -> str:
    """Our chains anew, in one transaction.

    Args:
        scope: What is guarded.
        family: 4 or 6.
        jumps: Hooks that have a jump of ours, once for each.
    """
    guard = chains()[-1]
    return _transaction(
        [
            *(f":{name} - [0:0]" for name in chains()),
            *(f"-D {hook} -j {guard}" for hook in jumps),
            *rules(scope, family),
            *(f"-I {hook} 1 -j {guard}" for hook in HOOKS),
        ]
    )


def probe(scope: Scope, family: int) -> str:
    """The same rules where they see no packets, to compare with."""
    names = (f":{name} - [0:0]" for name in chains(PROBE))
    return _transaction([*names, *rules(scope, family, PROBE)])


def remove(jumps: Iterable[str], there: Iterable[str], prefix: str = PREFIX) -> str:
    """Take our chains away.

    Args:
        jumps: Hooks that have a jump of ours, once for each.
        there: Those of our chains that there are.
        prefix: Of their names.
    """
    names = [name for name in reversed(chains(prefix)) if name in set(there)]
    return _transaction(
        [
            *(f"-D {hook} -j {chains(prefix)[-1]}" for hook in jumps),
            *(f"-F {name}" for name in names),
            *(f"-X {name}" for name in names),
        ]
    )


def sets(scope: Scope) -> str:
    """The sets, with what is guarded and nothing in the lease; in the words of `ipset restore`."""
    fresh = f"{PORTS}_new"
    return "\n".join(
        [
            f"create -exist {LEASE} {_ALL_PORTS} timeout 1",
            f"flush {LEASE}",
            f"create -exist {PORTS} {_ALL_PORTS}",
            f"create -exist {fresh} {_ALL_PORTS}",
            f"flush {fresh}",
            *(f"add {fresh} {port}" for port in scope.ports),
            f"swap {fresh} {PORTS}",
            f"destroy {fresh}",
            "",
        ]
    )


def described(scope: Scope) -> list[str]:
    """What `ipset save` says of the ports that are guarded."""
    return sorted(f"add {PORTS} {port}" for port in scope.ports)


def permit(scope: Scope, seconds: int) -> str:
    """Let pass for so long from now on: an entry that is there gets the new time."""
    return "".join(f"add -exist {LEASE} {port} timeout {seconds}\n" for port in scope.ports)


def forbid() -> str:
    """Let nothing pass from now on."""
    return f"flush {LEASE}\n"


def forget() -> str:
    """Take the sets away, once no rule names them."""
    return f"destroy {LEASE}\ndestroy {PORTS}\n"


def _addresses(scope: Scope, family: int) -> tuple[str, ...]:
    named = scope.addresses4 if family == 4 else scope.addresses6
    return named if scope.addresses else ("",)


def _transaction(lines: Iterable[str]) -> str:
    return "\n".join(["*filter", *lines, "COMMIT", ""])
