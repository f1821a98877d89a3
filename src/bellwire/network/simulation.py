"""Large networks, routes and stock only: how much key reaches the ends, and what it costs.

No share is made and no message sent. Nodes choose routes by what links announced at the last
refresh, as real ones do; a link that has spent its stock since then refuses, and the next attempt
goes around it. Links fill at a steady rate up to a limit, and turn RED for a while at random.
"""

import math
import random
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from bellwire.keys.status import Status
from bellwire.network.errors import NetworkMisuse, NoRoute
from bellwire.network.hop import key_bytes
from bellwire.network.linkstate import REFRESH_S
from bellwire.network.model import SHARE_OVERHEAD, check_block_bytes
from bellwire.network.outgoing import ATTEMPTS
from bellwire.network.routes import Demand, Route, disjoint_routes
from bellwire.network.topology import Link, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network to simulate.

    Attributes:
        nodes: How many, 5 at least.
        neighbours: Links of a node on average, even, 4 at least: a ring of near ones, rewired.
        fill_bits_per_s: Secret bits that each direction of a link gains.
        stock_bits: Limit, and start, of each direction's stock.
        red_per_s: Share of links that turn RED in a second.
        red_s: How long they stay so.
        requests_per_s: Blocks asked for, in the whole network, by random pairs.
        block_bytes: Of each.
        routes: Node-disjoint routes that each is split over.

    Raises:
        NetworkMisuse: a number is out of range.
    """

    nodes: int
    neighbours: int = 6
    fill_bits_per_s: float = 1000.0
    stock_bits: int = 200_000
    red_per_s: float = 1e-4
    red_s: float = 60.0
    requests_per_s: float = 1.0
    block_bytes: int = 1024
    routes: int = 1

    def __post_init__(self) -> None:
        check_block_bytes(self.block_bytes)
        if not (
            self.nodes > self.neighbours >= 4
            and self.neighbours % 2 == 0
            and self.fill_bits_per_s >= 0
            and self.stock_bits >= 0
            and 0 <= self.red_per_s <= 1
            and self.red_s > 0
            and self.requests_per_s > 0
            and self.routes >= 1
        ):
            raise NetworkMisuse(
                "expected at least 4 neighbours, an even number, more nodes than that, and rates "
                f"that are not negative, got {self}"
            )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        requests: Blocks asked for.
        served: Blocks that reached their ends.
        attempts: Sets of routes tried.
        hops: Links used by blocks that were served, all shares together.
        stock: Mean stock at each refresh, as a share of the limit.
        spent_bits: Link key used, whether or not the attempt succeeded.
    """

    requests: int
    served: int
    attempts: int
    hops: int
    stock: tuple[float, ...]
    spent_bits: int

    @property
    def blocked(self) -> float:
        """Share of blocks that were not served."""
        return 1.0 - self.served / self.requests if self.requests else 0.0


class _Direction:
    """True stock of one direction, filled as time goes by."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._stock = float(network.stock_bits)
        self._at = 0.0

    def stock(self, now: float) -> int:
        gained = self._network.fill_bits_per_s * (now - self._at)
        self._stock = min(float(self._network.stock_bits), self._stock + gained)
        self._at = now
        return int(self._stock)

    def take(self, bits: int) -> None:
        self._stock -= bits


class _Simulation:
    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self._draw = random.Random(seed)  # noqa: S311 - of a simulation, which has to be repeatable
        graph = nx.connected_watts_strogatz_graph(
            network.nodes, network.neighbours, 0.3, seed=self._draw
        )
        self._pairs = sorted((_name(one), _name(other)) for one, other in graph.edges)
        ends = [ends for one, other in self._pairs for ends in ((one, other), (other, one))]
        self._directions = {each: _Direction(network) for each in ends}
        self._red_until = dict.fromkeys(self._pairs, -math.inf)
        self._size = key_bytes(network.block_bytes + SHARE_OVERHEAD)
        self._topology = Topology()
        self.attempts = self.hops = self.spent_bits = 0

    def refresh(self, now: float) -> float:
        """All links announce themselves; the mean stock as a share of the limit."""
        total = 0
        for pair in self._pairs:
            status = Status.RED if now < self._red_until[pair] else Status.GREEN
            for ends in (pair, pair[::-1]):
                stock = self._directions[ends].stock(now)
                total += stock
                self._topology.put(Link(*ends, status, stale=False, stock_bits=stock))
        return total / max(1, len(self._directions) * self._network.stock_bits)

    def turn_some_red(self, now: float, passed_s: float) -> None:
        for pair in self._pairs:
            if self._draw.random() < self._network.red_per_s * passed_s:
                self._red_until[pair] = now + self._network.red_s

    def serve(self, now: float) -> bool:
        one, other = (_name(each) for each in self._draw.sample(range(self._network.nodes), 2))
        avoided: set[tuple[str, str]] = set()
        for _ in range(ATTEMPTS):
            demand = Demand(size=self._size, without_links=avoided)
            try:
                routes = disjoint_routes(self._topology, one, other, demand, self._network.routes)
            except NoRoute:
                return False
            self.attempts += 1
            refusing = [hop for route in routes for hop in self._carry(route, now)]
            if not refusing:
                self.hops += sum(len(route) - 1 for route in routes)
                return True
            avoided.update(refusing)
        return False

    def _carry(self, route: Route, now: float) -> list[tuple[str, str]]:
        """Spend key hop by hop; the hop that refuses, if one does."""
        bits = 8 * self._size
        for hop in pairwise(route):
            pair = hop if hop in self._red_until else hop[::-1]
            direction = self._directions[hop]
            if now < self._red_until[pair] or direction.stock(now) < bits:
                return [hop]
            direction.take(bits)
            self.spent_bits += bits
        return []


def simulate(network: Network, *, duration_s: float, seed: int) -> Outcome:
    """Let a network serve random pairs for a while.

    Args:
        network: What it is like.
        duration_s: Simulated seconds.
        seed: Gives the graph, the pairs, the times and the RED links.
    """
    simulation = _Simulation(network, seed)
    times = random.Random(f"times {seed}")  # noqa: S311 - of a simulation, which has to be repeatable
    now, refreshed = 0.0, 0.0
    stock = [simulation.refresh(0.0)]
    requests = served = 0
    while (now := now + times.expovariate(network.requests_per_s)) < duration_s:
        while refreshed + REFRESH_S <= now:
            refreshed += REFRESH_S
            simulation.turn_some_red(refreshed, REFRESH_S)
            stock.append(simulation.refresh(refreshed))
        requests += 1
        served += simulation.serve(now)
    return Outcome(
        requests,
        served,
        simulation.attempts,
        simulation.hops,
        tuple(stock),
        simulation.spent_bits,
    )


def _name(number: int) -> str:
    return f"n{number:04}"
