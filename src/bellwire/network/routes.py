"""Which way a key takes: the cheapest route, or the cheapest set of node-disjoint routes.

A link is usable if it is trusted (GREEN or YELLOW, judged recently) and its stock holds what the
hop takes. What using it costs is

    cost × (1 if GREEN, 4 if YELLOW) × (1 + comfortable stock / stock) × suspicion of its target

so that among equal links the fuller one is taken, stock runs down evenly, and what is scarce is
left for those who have no other way. A route's cost is the sum; among equals the fewest hops, then
what follows from the topology's content alone: the order in which it was learnt changes nothing.
Weights are whole numbers, so that sums are exact and the same everywhere.

Node-disjoint routes of least total cost are a flow of least cost in the graph whose nodes are split
into an entrance and an exit with room for one route. Successive shortest paths with potentials find
it: a first route may be taken back in part by a later one, where taking the cheapest route and then
the next cheapest around it can fail.

Source: Suurballe, "Disjoint paths in a network", Networks 4, 1974.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import networkx as nx

from bellwire.keys.status import Status
from bellwire.network.errors import NetworkMisuse, NoRoute
from bellwire.network.topology import Link, Topology

COMFORTABLE_BITS: Final = 2**20
"""Stock from which on scarcity hardly counts: some thirty blocks of 32 kbit."""

YELLOW_FACTOR: Final = 4
"""A YELLOW link is worth a detour of three GREEN ones."""

MAX_ROUTES: Final = 8
"""Disjoint routes of one split transfer."""

MAX_HOPS: Final = 32
"""Links of one route."""

_SCALE: Final = 2**16

Route = tuple[str, ...]
"""Names from origin to target, both included."""

Suspicion = Callable[[str], float]
"""How many times dearer a node makes a route: 1 for who is beyond suspicion."""


def trusting(node: str) -> float:
    """Suspects nobody."""
    del node
    return 1.0


def weight(link: Link, size: int, suspicion: Suspicion = trusting) -> int | None:
    """What using a link costs, in whole units; None if it cannot be used.

    Args:
        link: One direction.
        size: Bytes of link key that one hop takes.
        suspicion: Of the node it leads to.
    """
    if not link.trusted or link.stock_bits < 8 * size:
        return None
    status = YELLOW_FACTOR if link.status is Status.YELLOW else 1
    scarce = _SCALE + _SCALE * COMFORTABLE_BITS // link.stock_bits
    # The last bits count hops: they decide between sums that are equal without them.
    dear = int(link.cost * status * scarce * max(1.0, suspicion(link.target)))
    return (dear << 8) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What routes must bear, and whom they avoid.

    Attributes:
        size: Bytes of link key that each hop takes.
        suspicion: Makes routes through a node dearer.
        without: Nodes that no route may pass.
        without_links: Directed links that no route may take.
    """

    size: int
    suspicion: Suspicion = trusting
    without: Collection[str] = ()
    without_links: Collection[tuple[str, str]] = ()


def disjoint_routes(
    topology: Topology, origin: str, target: str, demand: Demand, count: int = 1
) -> tuple[Route, ...]:
    """The `count` routes of least total cost that share no node but their ends.

    Args:
        topology: What is known of the network.
        origin: Where they begin.
        target: Where they end.
        demand: What they must bear.
        count: How many, 1 to 8.

    Returns:
        Routes in the order of their names.

    Raises:
        NoRoute: there are fewer, or one of them is longer than 32 hops.
        NetworkMisuse: `count`, the size or the ends make no sense.
    """
    if not 1 <= count <= MAX_ROUTES:
        raise NetworkMisuse(f"expected 1 to {MAX_ROUTES} routes, got {count}")
    if demand.size < 1 or origin == target:
        raise NetworkMisuse(
            f"expected at least 1 byte for another node, got {demand.size} for {target}"
        )
    graph, cost = topology.graph, _cost(demand, {origin, target})
    found: tuple[Route, ...] = ()
    if origin in graph and target in graph:
        # One route needs no split graph, which has twice the nodes.
        way = _cheapest if count == 1 else _flow
        found = way(graph, cost, origin, target, count)
    fit = [route for route in found if len(route) - 1 <= MAX_HOPS]
    if len(fit) < count:
        raise NoRoute(origin, target, count, len(fit), demand.size)
    return found


Cost = Callable[[str, str, dict[str, Link]], int | None]


def _cost(demand: Demand, ends: set[str]) -> Cost:
    """What an edge of a topology's graph costs; None hides it."""
    barred = set(demand.without) - ends

    def cost(one: str, other: str, edge: dict[str, Link]) -> int | None:
        if one in barred or other in barred or (one, other) in demand.without_links:
            return None
        return weight(edge["link"], demand.size, demand.suspicion)

    return cost


def _cheapest(
    graph: "nx.DiGraph[str]", cost: Cost, origin: str, target: str, count: int
) -> tuple[Route, ...]:
    assert count == 1
    try:
        found: Any = nx.bidirectional_dijkstra(graph, origin, target, weight=cost)
    except nx.NetworkXNoPath:
        return ()
    _, path = found
    return (tuple(path),)


def _flow(
    graph: "nx.DiGraph[str]", cost: Cost, origin: str, target: str, count: int
) -> tuple[Route, ...]:
    """Successive shortest paths over the split graph; fewer than `count` where there are fewer.

    Node i of the graph has entrance 2·i and exit 2·i + 1.
    """
    names = list(graph)
    entrance = {name: 2 * number for number, name in enumerate(names)}
    residual: nx.DiGraph[int] = nx.DiGraph()
    residual.add_weighted_edges_from((gate, gate + 1, 0) for gate in range(0, 2 * len(names), 2))
    for one, other, edge in graph.edges(data=True):
        dear = cost(one, other, edge)
        if dear is not None:
            residual.add_edge(entrance[one] + 1, entrance[other], weight=dear)
    source, sink = entrance[origin] + 1, entrance[target]
    potential = [0] * (2 * len(names))
    taken: set[tuple[int, int]] = set()

    def reduced(one: int, other: int, edge: dict[str, int]) -> int:
        return edge["weight"] + potential[one] - potential[other]

    for _ in range(count):
        found: Any = nx.single_source_dijkstra(residual, source, weight=reduced)
        distance, paths = found
        if sink not in paths:
            break
        for near, far in pairwise(paths[sink]):
            paid: int = residual.edges[near, far]["weight"]
            residual.remove_edge(near, far)
            residual.add_edge(far, near, weight=-paid)
            if (far, near) in taken:
                taken.remove((far, near))
            else:
                taken.add((near, far))
        # What cannot be reached now never can: new arcs join only gates that were reached.
        for gate, reached in distance.items():
            potential[gate] += reached
    # Inner nodes have one arc out, the origin as many as there are routes.
    follows = {one: other for one, other in taken if one % 2 and one != source}
    routes = []
    for first in sorted(other for one, other in taken if one == source):
        gates = [first]
        while gates[-1] != sink:
            gates.append(follows[gates[-1] + 1])
        routes.append((origin, *(names[gate // 2] for gate in gates)))
    return tuple(routes)
