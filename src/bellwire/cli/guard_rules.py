"""The rules that `bellwire guard --dry-run` shows."""

from typing import TYPE_CHECKING

from bellwire.cli import output

if TYPE_CHECKING:
    from bellwire.guard.scope import Scope


def show_rules(scope: "Scope", firewall: str, lease_s: float) -> None:
    """Print what a guard would tell the firewall, and when."""
    begin, permit, forbid, end = _written(scope, firewall, lease_s)
    moved = (("At a move of the relay to where it is now:", _moved(scope, firewall, lease_s)),)
    parts = (
        ("At the start; nothing passes:", begin),
        ("At each good word of the node:", permit),
        ("As soon as the link is not well:", forbid),
        *(moved if scope.spots is not None else ()),
        ("At an orderly end, with --on-exit remove:", end),
    )
    for about, commands in parts:
        output.stdout().print(f"# {about}\n{commands}", highlight=False)


def _written(scope: "Scope", firewall: str, lease_s: float) -> tuple[str, str, str, str]:
    from bellwire.guard import chains, ruleset

    if firewall == "nftables":
        return (
            ruleset.replace(scope),
            ruleset.permit(scope, lease_s),
            ruleset.forbid(scope),
            ruleset.remove(),
        )
    kind = firewall.removeprefix("iptables-")
    ipset = "# ipset restore\n"
    begin, end = ipset + chains.sets(scope), ""
    for name, family in ((f"iptables-{kind}", 4), (f"ip6tables-{kind}", 6)):
        restore = f"# {name}-restore --noflush\n"
        begin += restore + chains.replace(scope, family, ())
        end += restore + chains.remove(chains.HOOKS, chains.chains())
    return (
        begin,
        ipset + chains.permit(scope, int(lease_s)),
        ipset + chains.forbid(scope),
        end + ipset + chains.forget(scope),
    )


def _moved(scope: "Scope", firewall: str, lease_s: float) -> str:
    from bellwire.guard import chains, ruleset

    if firewall == "nftables":
        return ruleset.rescope(scope, lease_s)
    return "# ipset restore\n" + chains.rescope(scope, int(lease_s))
