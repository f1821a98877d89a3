"""The guard's rules in nftables' own words: a table of ours, and the lease that lets pass.

What always holds:

- The chains come before those of others (priority -10), and before any that lets established
  connections pass. What they let pass, others may still stop; what they stop is stopped.
- A packet to a guarded port, or from one, passes while the port is in the set `lease`, whose
  elements the kernel drops by itself when their time is over. Without a guard nothing passes.
- Every change is one transaction, and touches this table alone.

TCP is answered with a reset, to whichever end sent, so that programs fail at once and do not hang.
Resets themselves pass, if they are nothing but that: the kernel sends its own through our chains.
"""

from collections.abc import Iterable

from bellwire.guard.scope import Scope

TABLE = "bellwire_guard"
PRIORITY = -10
_PROTOCOLS = "meta l4proto { tcp, udp, udplite, sctp, dccp }"
_RESET = "meta nfproto {} meta length {} tcp flags & (fin | syn | rst | psh) == rst accept"
_HOOKS = ("forward", "input", "output")


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
    """Let pass for so long from now on.

    Added, taken out, and added: some kernels keep the earlier time of an element that is there.
    """
    timed = _several(f"{port} timeout {round(1000 * seconds)}ms" for port in scope.ports)
    plain = _several(scope.ports)
    return (
        f"add element inet {TABLE} lease {{ {timed} }}\n"
        f"delete element inet {TABLE} lease {{ {plain} }}\n"
        f"add element inet {TABLE} lease {{ {timed} }}\n"
    )


def forbid() -> str:
    """Let nothing pass from now on."""
    return f"flush set inet {TABLE} lease\n"


def remove() -> str:
    """Take the table away; packets pass as if there had been no guard."""
    return f"delete table inet {TABLE}\n"


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
