"""Routes against networkx: as many disjoint ones as there are, of least total cost."""

import random
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.mesh import random_links

from bellwire.keys.status import Status
from bellwire.network.errors import NetworkMisuse, NoRoute
from bellwire.network.routes import MAX_HOPS, Demand, disjoint_routes, weight
from bellwire.network.topology import Link, Topology

PLENTY = 2**22
SIZE = 100


def link(one: str, other: str, **changes: object) -> Link:
    given: dict[str, object] = {
        "status": Status.GREEN,
        "stale": False,
        "stock_bits": PLENTY,
        "cost": 1,
    }
    return Link(one, other, **(given | changes))  # type: ignore[arg-type]


def both(*pairs: tuple[str, str]) -> list[Link]:
    return [link(*ends) for one, other in pairs for ends in ((one, other), (other, one))]


DIAMOND = both(("a", "m"), ("m", "b"), ("a", "x"), ("x", "b"))


def drawn_topology(seed: int) -> Topology:
    draw = random.Random(seed)
    links = []
    for one, other in random_links(12, draw.randrange(0, 14), seed):
        for ends in ((one, other), (other, one)):
            links.append(
                link(
                    *ends,
                    status=draw.choice(list(Status)[:2] * 4 + [Status.RED]),
                    stale=draw.random() < 0.05,
                    stock_bits=draw.randrange(0, PLENTY),
                    cost=draw.randint(1, 5),
                )
            )
    return Topology(links)


def split_graph(topology: Topology) -> "nx.DiGraph[str]":
    """The reference: what networkx's own solvers are asked."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for each in topology.links():
        cost = weight(each, SIZE)
        if cost is not None:
            graph.add_edge(f"{each.origin} out", f"{each.target} in", capacity=1, weight=cost)
    for node in topology.nodes:
        graph.add_edge(f"{node} in", f"{node} out", capacity=1, weight=0)
    return graph


def total(topology: Topology, routes: tuple[tuple[str, ...], ...]) -> int:
    costs = [
        weight(found, SIZE)
        for route in routes
        for one, other in pairwise(route)
        if (found := topology.link(one, other)) is not None
    ]
    assert all(cost is not None for cost in costs)
    return sum(cost for cost in costs if cost is not None)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 4))
def test_routes_are_disjoint_of_least_cost_and_as_many_as_there_are(seed: int, count: int) -> None:
    topology = drawn_topology(seed)
    graph = split_graph(topology)
    source, sink = "n00 out", "n07 in"
    there = int(nx.maximum_flow_value(graph, source, sink)) if source in graph else 0
    if there < count:
        with pytest.raises(NoRoute) as refused:
            disjoint_routes(topology, "n00", "n07", Demand(size=SIZE), count)
        assert refused.value.found == there or count == 1
        return
    routes = disjoint_routes(topology, "n00", "n07", Demand(size=SIZE), count)
    inner = [node for route in routes for node in route[1:-1]]
    assert len(routes) == count
    assert len(set(inner)) == len(inner)
    assert all(route[0] == "n00" and route[-1] == "n07" for route in routes)
    graph.add_node(source, demand=-count)
    graph.add_node(sink, demand=count)
    assert total(topology, routes) == nx.min_cost_flow_cost(graph)


def test_the_cheapest_route_may_have_to_give_way_for_two_to_fit() -> None:
    # The cheapest, a-x-y-b, leaves no second one: y and x are on every other way.
    links = both(("a", "x"), ("x", "y"), ("y", "b"), ("a", "y"), ("x", "b"))
    links = [
        link(each.origin, each.target, cost=9 if {each.origin, each.target} in far else 1)
        for each in links
        for far in [({"a", "y"}, {"x", "b"})]
    ]
    topology = Topology(links)
    demand = Demand(size=SIZE)
    assert disjoint_routes(topology, "a", "b", demand) == (("a", "x", "y", "b"),)
    two = disjoint_routes(topology, "a", "b", demand, 2)
    assert two == (("a", "x", "b"), ("a", "y", "b"))


@pytest.mark.parametrize(
    "change",
    [{"status": Status.RED}, {"stale": True}, {"stock_bits": 8 * SIZE - 1}],
    ids=["RED", "stale", "no stock"],
)
def test_a_link_that_may_give_no_key_is_never_used(change: dict[str, object]) -> None:
    topology = Topology(both(("a", "b")))
    assert disjoint_routes(topology, "a", "b", Demand(size=SIZE)) == (("a", "b"),)
    topology.put(link("a", "b", **change))
    with pytest.raises(NoRoute):
        disjoint_routes(topology, "a", "b", Demand(size=SIZE))
    assert disjoint_routes(topology, "b", "a", Demand(size=SIZE)) == (("b", "a"),)


@pytest.mark.parametrize(
    "change",
    [{"status": Status.YELLOW}, {"stock_bits": PLENTY // 2}, {"cost": 2}],
    ids=["YELLOW", "less stock", "cost"],
)
def test_a_worse_link_is_left_for_others(change: dict[str, object]) -> None:
    topology = Topology(DIAMOND)
    topology.put(link("m", "b", **change))
    assert disjoint_routes(topology, "a", "b", Demand(size=SIZE)) == (("a", "x", "b"),)


def test_suspects_make_routes_dearer_and_the_excluded_are_left_out() -> None:
    topology = Topology(DIAMOND)
    demand = Demand(size=SIZE, suspicion=lambda node: 2.0 if node == "m" else 1.0)
    assert disjoint_routes(topology, "a", "b", demand) == (("a", "x", "b"),)
    assert len(disjoint_routes(topology, "a", "b", demand, 2)) == 2
    with pytest.raises(NoRoute, match=r"2 node-disjoint routes from a to b .* got 1"):
        disjoint_routes(topology, "a", "b", Demand(size=SIZE, without={"m"}), 2)
    around = Demand(size=SIZE, without_links={("a", "x")})
    assert disjoint_routes(topology, "a", "b", around) == (("a", "m", "b"),)


def test_the_order_in_which_links_became_known_changes_no_route() -> None:
    links = both(*random_links(14, 16, 4))
    draw = random.Random(1)
    found = set()
    for _ in range(8):
        draw.shuffle(links)
        topology = Topology(links)
        demand = Demand(size=SIZE)
        found.add(tuple(disjoint_routes(topology, "n00", "n09", demand, count) for count in (1, 2)))
    assert len(found) == 1


def test_routes_longer_than_a_frame_can_name_are_none() -> None:
    names = [f"n{number:02}" for number in range(MAX_HOPS + 2)]
    topology = Topology(both(*pairwise(names)))
    demand = Demand(size=SIZE)
    assert len(disjoint_routes(topology, names[0], names[-2], demand)[0]) == MAX_HOPS + 1
    with pytest.raises(NoRoute):
        disjoint_routes(topology, names[0], names[-1], demand)


@pytest.mark.parametrize(
    ("target", "size", "count"), [("a", 1, 1), ("b", 0, 1), ("b", 1, 0), ("b", 1, 9)]
)
def test_routes_that_make_no_sense_are_refused(target: str, size: int, count: int) -> None:
    with pytest.raises(NetworkMisuse):
        disjoint_routes(Topology(DIAMOND), "a", target, Demand(size=size), count)


def test_a_node_that_nobody_knows_has_no_route() -> None:
    with pytest.raises(NoRoute):
        disjoint_routes(Topology(DIAMOND), "a", "nobody", Demand(size=1))


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "b"},
        {"origin": ""},
        {"origin": "a.b"},
        {"origin": "x" * 65},
        {"cost": 0},
        {"cost": 10_001},
        {"stock_bits": -1},
        {"stock_bits": 2**50 + 1},
    ],
)
def test_a_link_has_two_ends_and_bounds(changes: dict[str, object]) -> None:
    given: dict[str, object] = {"origin": "a", "target": "b", "status": Status.GREEN}
    given |= {"stale": False, "stock_bits": 1, "cost": 1} | changes
    with pytest.raises(NetworkMisuse):
        Link(**given)  # type: ignore[arg-type]
