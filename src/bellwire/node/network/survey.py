"""What a topology allows, whatever state its links are in: who can be reached, and through whom."""

from itertools import pairwise
from typing import Any

from bellwire.keys.status import Status
from bellwire.network.errors import NoRoute
from bellwire.network.routes import MAX_ROUTES, Demand, Route, disjoint_routes
from bellwire.network.topology import MAX_STOCK_BITS, Link, Topology
from bellwire.node.network.map import NetworkMap


def survey(found: NetworkMap, site: str) -> dict[str, Any]:
    """Each other site as seen from one; what `bellwire network check --json` prints."""
    topology = Topology(
        Link(one, other, Status.GREEN, stale=False, stock_bits=MAX_STOCK_BITS, cost=link.cost)
        for link in found.links
        for one, other in (link.between, link.between[::-1])
    )
    return {
        "sites": len(found.sites),
        "links": len(found.links),
        "others": [
            {"site": name, "saes": len(entry.saes), **_ways(topology, site, name)}
            for name, entry in sorted(found.sites.items())
            if name != site
        ],
    }


def _ways(topology: Topology, site: str, other: str) -> dict[str, Any]:
    best: tuple[Route, ...] = ()
    single: tuple[Route, ...] = ()
    for count in range(1, MAX_ROUTES + 1):
        try:
            best = disjoint_routes(topology, site, other, Demand(size=1), count)
        except NoRoute:
            break
        single = single or best
    if not best:
        return {"hops": None, "disjoint_routes": 0, "relays_that_all_pass": []}
    hops = sum(1 for _ in pairwise(single[0]))
    # With two disjoint routes no relay is on all of them; with one, some others may be passed by.
    passed = set.intersection(*(set(route[1:-1]) for route in best))
    needed = [relay for relay in passed if _is_needed(topology, site, other, relay)]
    return {
        "hops": hops,
        "disjoint_routes": len(best),
        "relays_that_all_pass": sorted(needed),
    }


def _is_needed(topology: Topology, site: str, other: str, relay: str) -> bool:
    """Whether every way passes a relay."""
    try:
        disjoint_routes(topology, site, other, Demand(size=1, without={relay}))
    except NoRoute:
        return True
    return False
