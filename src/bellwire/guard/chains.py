"""The guard's rules in the words of iptables and ipset: chains of ours, and the lease in a set.

What always holds:

- A jump to our chain is the first rule of FORWARD, INPUT and OUTPUT, before any that lets
  established connections pass. What we let pass returns to the rules of others.
- A packet to a guarded port, or from one, passes while the port is in the set `bellwire_lease`,
  whose entries the kernel drops by itself when their time is over; one set for both families.
- Where a relay is followed, its spots are judged before all else. A move changes sets, each in one
  step, first what is guarded and then what passes; never rules.
- The rules of a family change in one transaction of its filter table, and no rule of others does.

Source: iptables-extensions(8), ipset(8).
"""

from collections.abc import Iterable

from bellwire.guard.scope import KINDS, Kind, Scope, Spot, of_kind

PREFIX, PROBE = "BELLWIRE", "BELLWIRE-TRY"
LEASE, PORTS = "bellwire_lease", "bellwire_ports"
SPOTS: dict[Kind, str] = {kind: f"bellwire_spots{kind}" for kind in KINDS}
OPEN: dict[Kind, str] = {kind: f"bellwire_open{kind}" for kind in KINDS}
SETS = (LEASE, PORTS, *SPOTS.values(), *OPEN.values())
HOOKS = ("INPUT", "FORWARD", "OUTPUT")
_PARTS = ("SHUT", "MATCH", "GUARD")
_ALL_PORTS = "bitmap:port range 0-65535"
_TYPES: dict[Kind, str] = {
    "4": "hash:ip,port family inet",
    "6": "hash:ip,port family inet6",
    "_any": _ALL_PORTS,
}
_PROTOCOLS = ("tcp", "udp")  # an entry with an address is of one
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
    lines += [f"-A {guard} {rule}" for rule in _by_spot(scope, family, shut)]
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
    """The sets, with what is guarded and nothing in the leases; in the words of `ipset restore`."""
    lines = [f"create -exist {LEASE} {_ALL_PORTS} timeout 1", f"flush {LEASE}"]
    lines += _anew(PORTS, _ALL_PORTS, map(str, scope.ports))
    if scope.spots is not None:
        for kind, name in OPEN.items():
            lines += [f"create -exist {name} {_TYPES[kind]} timeout 1", f"flush {name}"]
        lines += _spots(scope)
    return "\n".join([*lines, ""])


def guarded(scope: Scope) -> set[str]:
    """What `ipset save` says of what is guarded."""
    found = {f"add {PORTS} {port}" for port in scope.ports}
    if scope.spots is not None:
        for kind, name in SPOTS.items():
            found |= {f"add {name} {each}" for each in _entries(scope.spots.all, kind)}
    return found


def permit(scope: Scope, seconds: int) -> str:
    """Let pass for so long from now on: an entry that is there gets the new time."""
    return "".join(
        f"add -exist {name} {each} timeout {seconds}\n"
        for name, entries in _leases(scope).items()
        for each in entries
    )


def forbid(scope: Scope) -> str:
    """Let nothing pass from now on."""
    return "".join(f"flush {name}\n" for name in _leases(scope))


def rescope(scope: Scope, seconds: int) -> str:
    """Another place of the relay that is followed, with so much of a lease; 0 for none."""
    lines = _spots(scope)
    types = {LEASE: _ALL_PORTS} | {OPEN[kind]: type_of for kind, type_of in _TYPES.items()}
    for name, entries in _leases(scope).items():
        timed = [f"{each} timeout {seconds}" for each in entries if seconds]
        lines += _anew(name, f"{types[name]} timeout 1", timed)
    return "\n".join([*lines, ""])


def forget(scope: Scope) -> str:
    """Take the sets away, once no rule names them."""
    names = SETS if scope.spots is not None else (LEASE, PORTS)
    return "".join(f"destroy {name}\n" for name in names)


def _spots(scope: Scope) -> list[str]:
    if scope.spots is None:
        return []
    return [
        line
        for kind, name in SPOTS.items()
        for line in _anew(name, _TYPES[kind], _entries(scope.spots.all, kind))
    ]


def _leases(scope: Scope) -> dict[str, list[str]]:
    """The sets that let pass, and what is in them while they do."""
    found = {LEASE: [str(port) for port in scope.leased_ports]}
    if scope.spots is not None:
        found |= {name: _entries(scope.spots.open, kind) for kind, name in OPEN.items()}
    return found


def _entries(spots: frozenset[Spot], kind: Kind) -> list[str]:
    found = of_kind(spots, kind)
    if kind == "_any":
        return [str(each.port) for each in found]
    return [f"{each.address},{name}:{each.port}" for each in found for name in _PROTOCOLS]


def _anew(name: str, type_of: str, entries: Iterable[str]) -> list[str]:
    """A set with other entries, in one step."""
    fresh = f"{name}_new"
    return [
        f"create -exist {name} {type_of}",
        f"create -exist {fresh} {type_of}",
        f"flush {fresh}",
        *(f"add {fresh} {each}" for each in entries),
        f"swap {fresh} {name}",
        f"destroy {fresh}",
    ]


def _by_spot(scope: Scope, family: int, shut: str) -> list[str]:
    """A spot at an address comes before one at any; a shut end before an open one."""
    if scope.spots is None:
        return []
    kinds: tuple[Kind, Kind] = ("4" if family == 4 else "6", "_any")
    rules = []
    for kind in kinds:
        ends = [",".join([side] * (1 if kind == "_any" else 2)) for side in ("dst", "src")]
        passing = [f"-m set --match-set {OPEN[kind]} {end}" for end in ends]
        rules += [
            f"-m set --match-set {SPOTS[kind]} {end} -m set ! --match-set {OPEN[kind]} {end} "
            f"-j {shut}"
            for end in ends
        ]
        rules += [f"{each} -j RETURN" for each in passing]
    return rules


def _addresses(scope: Scope, family: int) -> tuple[str, ...]:
    named = scope.addresses4 if family == 4 else scope.addresses6
    return named if scope.addresses else ("",)


def _transaction(lines: Iterable[str]) -> str:
    return "\n".join(["*filter", *lines, "COMMIT", ""])
