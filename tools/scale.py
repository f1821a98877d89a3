#!/usr/bin/env python
"""What thousands of nodes and 10⁹ keys a day ask of a network: measured and simulated.

    .venv/bin/python tools/scale.py

- Link state: what one node does with the announcements of all others, with the product's own code
  and real signatures. A roster has 4,096 members at most, so that is where this ends.
- Routes: how long one takes to find, and two disjoint ones, in networks of up to 10,000 nodes.
- Hops: how many links a way has, in a mesh with some far links and in a plane one.
- Key: in `bellwire.network.simulation` each node asks for 100,000 keys a day, 128 at once, at some
  rates of the links: 1,000 nodes until stock has settled, and 10,000 nodes for a short while.

It prints tables of Markdown; times are of the processor. `docs/explanation/scale.md` has a run, and
what it means.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import networkx as nx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bellwire.crypto.signatures import SigningKey, fingerprint
from bellwire.keys.status import Status
from bellwire.network.identity import MAX_NODES, Roster
from bellwire.network.linkstate import REFRESH_S, LinkState, OwnLink, announce
from bellwire.network.routes import MAX_HOPS, Demand, disjoint_routes
from bellwire.network.simulation import Network, simulate
from bellwire.network.topology import Link, Topology

DAY_S = 86_400
KEY_BYTES = 32
NEIGHBOURS = 6
REWIRED = 0.3
STOCK_BITS = 10_000_000
BLOCK_BYTES = 128 * KEY_BYTES
"""What a request of 128 keys has carried."""

STOCK_BLOCKS = 5
KEYS_OF_A_NODE = 100_000
"""A day: 10⁹ for 10,000 nodes."""

LARGE = 10_000
SIZES = (1_000, MAX_NODES, LARGE)
NOW = 1e9
SEED = 1
TRIES = 20


def mesh(nodes: int) -> "nx.Graph[int]":
    """A graph like the simulation's: near links, and some far ones."""
    made: nx.Graph[int] = nx.connected_watts_strogatz_graph(nodes, NEIGHBOURS, REWIRED, seed=SEED)
    return made


def name(number: int) -> str:
    """Of a node."""
    return f"n{number:05}"


def cpu_s(does: Callable[[], object]) -> float:
    """Processor time of a call."""
    began = time.process_time()
    does()
    return time.process_time() - began


def link_state(nodes: int) -> str:
    """A row: what one node does with everybody's announcements."""
    graph, keys = mesh(nodes), [SigningKey.generate() for _ in range(nodes)]
    roster = Roster({name(at): fingerprint(key.public_bytes) for at, key in enumerate(keys)})
    messages = []
    for at, key in enumerate(keys):
        own = [OwnLink(name(each), Status.GREEN, False, STOCK_BITS, 1) for each in graph[at]]
        messages.append(announce(key, name(at), own, after=0, now=NOW)[0])
    heard = LinkState(roster)
    new_s = cpu_s(lambda: [heard.receive(each, NOW) for each in messages]) / nodes
    again_s = cpu_s(lambda: [heard.receive(each, NOW) for each in messages]) / nodes
    built_s = cpu_s(lambda: heard.topology(NOW).graph)
    length = sum(map(len, messages)) / nodes
    copies = 2 * graph.number_of_edges() / nodes
    busy = nodes / REFRESH_S * (new_s + (copies - 1) * again_s)
    mbit_per_s = 8 * length * copies * nodes / REFRESH_S / 1e6
    return (
        f"| {nodes:,} | {length:,.0f} | {1e6 * new_s:.0f} | {1e6 * again_s:.0f} | {busy:.1%} "
        f"| {mbit_per_s:.1f} | {1e3 * built_s:.0f} |"
    )


def routes(nodes: int) -> str:
    """A row: how long ways take to find."""
    topology = Topology(
        Link(name(one), name(other), Status.GREEN, False, STOCK_BITS, 1)
        for pair in mesh(nodes).edges
        for one, other in (pair, pair[::-1])
    )
    drawn = random.Random(SEED)  # noqa: S311 - a run has to be repeatable
    pairs = [drawn.sample(range(nodes), 2) for _ in range(TRIES)]
    demand, words = Demand(size=BLOCK_BYTES), []
    disjoint_routes(topology, name(pairs[0][0]), name(pairs[0][1]), demand)  # makes the graph
    for count in (1, 2):
        found: list[int] = []

        def find(count: int = count, found: list[int] = found) -> None:
            for one, other in pairs:
                ways = disjoint_routes(topology, name(one), name(other), demand, count)
                found.append(sum(len(way) - 1 for way in ways))

        words.append(f"{1e3 * cpu_s(find) / TRIES:.0f} | {sum(found) / TRIES:.1f}")
    return f"| {nodes:,} | {' | '.join(words)} |"


def hops(label: str, graph: "nx.Graph[int]") -> str:
    """A row: how long the shortest ways are, from some nodes to all."""
    drawn = random.Random(SEED)  # noqa: S311 - a run has to be repeatable
    counted = [
        length
        for origin in drawn.sample(sorted(graph), TRIES)
        for length in nx.single_source_shortest_path_length(graph, origin).values()
        if length
    ]
    near = sum(length <= MAX_HOPS for length in counted) / len(counted)
    mean = sum(counted) / len(counted)
    return f"| {label} | {mean:.1f} | {max(counted)} | {near:.1%} |"


def plane(nodes: int) -> "nx.Graph[int]":
    """A square grid."""
    side = round(nodes**0.5)
    return nx.convert_node_labels_to_integers(nx.grid_2d_graph(side, side))


def key(nodes: int, fill_bits_per_s: float, duration_s: float) -> str:
    """A row: how much of what is asked for is served, and what it costs the links."""
    network = Network(
        nodes=nodes,
        neighbours=NEIGHBOURS,
        fill_bits_per_s=fill_bits_per_s,
        stock_bits=STOCK_BLOCKS * 8 * BLOCK_BYTES,
        requests_per_s=nodes * KEYS_OF_A_NODE * KEY_BYTES / BLOCK_BYTES / DAY_S,
        block_bytes=BLOCK_BYTES,
    )
    outcome = simulate(network, duration_s=duration_s, seed=SEED)
    asked_bits = 8 * BLOCK_BYTES * outcome.requests
    directions = nodes * NEIGHBOURS
    return (
        f"| {nodes:,} | {fill_bits_per_s:,.0f} | {outcome.requests:,} | {outcome.blocked:.2%} "
        f"| {outcome.spent_bits / asked_bits:.1f} "
        f"| {outcome.spent_bits / duration_s / directions:.0f} | {outcome.stock[-1]:.0%} |"
    )


def tables(duration_s: float) -> Iterator[str]:
    """All of them, line by line."""
    yield "| nodes | bytes of an announcement | µs, new | µs, again | of one core | Mbit/s | ms |"
    yield "|---|---|---|---|---|---|---|"
    yield from (link_state(each) for each in SIZES if each <= MAX_NODES)
    yield ""
    yield "| nodes | ms for a route | links | ms for two disjoint | links |"
    yield "|---|---|---|---|---|"
    yield from map(routes, SIZES)
    yield ""
    yield f"| {LARGE:,} nodes | links, mean | at most | within {MAX_HOPS} |"
    yield "|---|---|---|---|"
    yield hops(f"{NEIGHBOURS} neighbours, {REWIRED:.0%} of links far", mesh(LARGE))
    yield hops("a square grid", plane(LARGE))
    yield ""
    yield "| nodes | bit/s of a direction | blocks | blocked | link key for a bit | spent | stock |"
    yield "|---|---|---|---|---|---|---|"
    for fill_bits_per_s in (1_000.0, 500.0, 250.0, 125.0):
        yield key(SIZES[0], fill_bits_per_s, duration_s)
    yield key(LARGE, 1_000.0, duration_s * SIZES[0] / LARGE / 4)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="What a large network asks for.")
    parser.add_argument(
        "--seconds", type=float, default=1_800.0, help="simulated, 1,800 by default"
    )
    for line in tables(parser.parse_args().seconds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
