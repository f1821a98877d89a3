"""The guard's rules in nftables' own words: a table of ours, and the lease that lets pass.

What always holds:

- The chains come before those of others (priority -10), and before any that lets established
  connections pass. What they let pass, others may still stop; what they stop is stopped.
- A packet to a guarded port, or from one, passes while the port is in the set `lease`, whose
  elements the kernel drops by itself when their time is over. Without a guard nothing passes.
- Where a relay is followed, its spots are judged before all else: one without a lease is shut.
  A move changes elements of sets, never rules: no packet comes by while there are none.
- Every change is one transaction, and touches this table alone.

TCP is answered with a reset, to whichever end sent, so that programs fail at once and do not hang.
Resets themselves pass, if they are nothing but that: the kernel sends its own through our chains.
"""

from collections.abc import Iterable

from bellwire.guard.scope import KINDS, Kind, Scope, Spot, of_kind

TABLE = "bellwire_guard"
PRIORITY = -10
_PROTOCOLS = "meta l4proto { tcp, udp, udplite, sctp, dccp }"
_RESET = "meta nfproto {} meta length {} tcp flags & (fin | syn | rst | psh) == rst accept"
_HOOKS = ("forward", "input", "output")
_TYPES: dict[Kind, str] = {
    "4": "ipv4_addr . inet_service",
    "6": "ipv6_addr . inet_service",
    "_any": "inet_service",
}
_ENDS: dict[Kind, tuple[str, str]] = {
    "4": ("ip daddr . th dport", "ip saddr . th sport"),
    "6": ("ip6 daddr . th dport", "ip6 saddr . th sport"),
    "_any": ("th dport", "th sport"),
}


def table(scope: Scope, *, name: str = TABLE, hooked: bool = True) -> str:
    """The table, with nothing in its lease.

    Args:
        scope: What is guarded.
        name: Of the table.
        hooked: False for chains that see no packets: the same rules, to compare with.
    """
    lines = [
        f"table inet {name} {{",
        "\tcounter blocked { }",
        f"\tset ports {{ type inet_service; elements = {{ {_several(scope.ports)} }} }}",
        *_addresses("relays4", "ipv4_addr", scope.addresses4),
        *_addresses("relays6", "ipv6_addr", scope.addresses6),
        *_interfaces(scope.interfaces),
        "\tset lease { type inet_service; flags timeout; }",
        *_spots(scope),
        "\tchain shut {",
        *(f"\t\t{_RESET.format(*each)}" for each in (("ipv4", 40), ("ipv6", 60))),
        '\t\tcounter name "blocked"',
        "\t\tmeta l4proto tcp reject with tcp reset",
        "\t\tdrop",
        "\t}",
        "\tchain to_relay { th dport @lease accept; goto shut; }",
        "\tchain from_relay { th sport @lease accept; goto shut; }",
        "\tchain match {",
        *(f"\t\t{rule}" for rule in _matches(scope)),
        "\t}",
        "\tchain judge {",
        *(f"\t\t{rule}" for rule in _by_spot(scope)),
        *(f"\t\t{rule}" for rule in _by_interface(scope.interfaces)),
        "\t}",
    ]
    for hook in _HOOKS:
        type_of = f"type filter hook {hook} priority {PRIORITY}; policy accept; " if hooked else ""
        lines.append(f"\tchain {hook} {{ {type_of}jump judge; }}")
    return "\n".join([*lines, "}"]) + "\n"


def replace(scope: Scope) -> str:
    """Our table anew, whatever there was of it before; nothing passes."""
    return f"add table inet {TABLE}\n{remove()}{table(scope)}"


def permit(scope: Scope, seconds: float) -> str:
    """Let pass for so long from now on; nothing, if nothing may ever pass.

    Added, taken out, and added: some kernels keep the earlier time of an element that is there.
    """
    time = f" timeout {round(1000 * seconds)}ms"
    said = ""
    for name, elements in _leases(scope).items():
        if elements:
            timed = _several(each + time for each in elements)
            said += (
                f"add element inet {TABLE} {name} {{ {timed} }}\n"
                f"delete element inet {TABLE} {name} {{ {_several(elements)} }}\n"
                f"add element inet {TABLE} {name} {{ {timed} }}\n"
            )
    return said


def forbid(scope: Scope) -> str:
    """Let nothing pass from now on."""
    return "".join(f"flush set inet {TABLE} {name}\n" for name in _leases(scope))


def rescope(scope: Scope, seconds: float) -> str:
    """Another place of the relay that is followed, with so much of a lease; 0 for none.

    The rules, and what was counted, stay.
    """
    said = ""
    for kind in KINDS:
        said += f"flush set inet {TABLE} spots{kind}\n"
        if elements := _elements(scope, kind):
            said += f"add element inet {TABLE} spots{kind} {{ {_several(elements)} }}\n"
    return said + forbid(scope) + (permit(scope, seconds) if seconds else "")


def remove() -> str:
    """Take the table away; packets pass as if there had been no guard."""
    return f"delete table inet {TABLE}\n"


def _leases(scope: Scope) -> dict[str, list[str]]:
    """The sets that let pass, and what is in them while they do."""
    found = {"lease": [str(port) for port in scope.leased_ports]}
    if scope.spots is not None:
        for kind in KINDS:
            found[f"open{kind}"] = [_element(each) for each in of_kind(scope.spots.open, kind)]
    return found


def _spots(scope: Scope) -> list[str]:
    if scope.spots is None:
        return []
    lines = []
    for kind, type_of in _TYPES.items():
        elements = _elements(scope, kind)
        inside = f" elements = {{ {_several(elements)} }}" if elements else ""
        lines.append(f"\tset spots{kind} {{ type {type_of};{inside} }}")
        lines.append(f"\tset open{kind} {{ type {type_of}; flags timeout; }}")
    return lines


def _by_spot(scope: Scope) -> list[str]:
    """A spot at an address comes before one at any; a shut end before an open one."""
    if scope.spots is None:
        return []
    rules = []
    families: tuple[Kind, ...] = ("4", "6")
    everywhere: tuple[Kind, ...] = ("_any",)
    for kinds in (families, everywhere):
        ends = [(kind, end) for kind in kinds for end in _ENDS[kind]]
        rules += [
            f"{_PROTOCOLS} {end} @spots{kind} {end} != @open{kind} goto shut" for kind, end in ends
        ]
        rules += [f"{_PROTOCOLS} {end} @open{kind} accept" for kind, end in ends]
    return rules


def _elements(scope: Scope, kind: Kind) -> list[str]:
    return [] if scope.spots is None else [_element(e) for e in of_kind(scope.spots.all, kind)]


def _element(spot: Spot) -> str:
    return str(spot.port) if spot.address is None else f"{spot.address} . {spot.port}"


def _matches(scope: Scope) -> list[str]:
    rules = []
    for family, addresses in (("ip", scope.addresses4), ("ip6", scope.addresses6)):
        if addresses:
            relays = "@relays4" if family == "ip" else "@relays6"
            rules.append(f"{family} daddr {relays} {_PROTOCOLS} th dport @ports goto to_relay")
            rules.append(f"{family} saddr {relays} {_PROTOCOLS} th sport @ports goto from_relay")
    return rules or [
        f"{_PROTOCOLS} th dport @ports goto to_relay",
        f"{_PROTOCOLS} th sport @ports goto from_relay",
    ]


def _by_interface(interfaces: tuple[str, ...]) -> list[str]:
    if not interfaces:
        return ["goto match"]
    return ["iifname @interfaces goto match", "oifname @interfaces goto match"]


def _addresses(name: str, kind: str, addresses: tuple[str, ...]) -> list[str]:
    if not addresses:
        return []
    return [
        f"\tset {name} {{ type {kind}; flags interval; elements = {{ {_several(addresses)} }} }}"
    ]


def _interfaces(interfaces: tuple[str, ...]) -> list[str]:
    if not interfaces:
        return []
    named = _several(f'"{each}"' for each in interfaces)
    return [f"\tset interfaces {{ type ifname; elements = {{ {named} }} }}"]


def _several(items: Iterable[object]) -> str:
    return ", ".join(str(each) for each in items)
