"""Who is joined with whom: nodes and directed links, each with status, stock and cost.

A link between X and Y is two directed ones: X → Y has the stock that X may draw as the one who
sends. What a topology holds is what nodes say of their own links (`linkstate`); nothing here judges
who says it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import networkx as nx

from bellwire.keys.model import KeySourceKind
from bellwire.keys.status import Status
from bellwire.network.errors import NetworkMisuse
from bellwire.network.identity import check_name

MAX_COST: Final = 10_000
"""Highest cost of a link; 1 is the cheapest."""

MAX_STOCK_BITS: Final = 2**50


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of a link.

    Attributes:
        origin: Who sends.
        target: Who receives.
        status: What its verdicts say.
        stale: True if the last verdict is too old to be trusted.
        stock_bits: Secret bits that `origin` may draw for it.
        cost: What an operator says that carrying over it costs, 1 to 10,000.
        source: Where its keys come from, if both ends say the same.

    Raises:
        NetworkMisuse: a name or a number is out of range, or both ends are one node.
    """

    origin: str
    target: str
    status: Status
    stale: bool
    stock_bits: int
    cost: int = 1
    source: KeySourceKind | None = None

    def __post_init__(self) -> None:
        check_name(self.origin)
        check_name(self.target)
        if self.origin == self.target:
            raise NetworkMisuse(f"expected a link between two nodes, got {self.origin} twice")
        if not 1 <= self.cost <= MAX_COST:
            raise NetworkMisuse(f"expected a cost from 1 to {MAX_COST}, got {self.cost}")
        if not 0 <= self.stock_bits <= MAX_STOCK_BITS:
            raise NetworkMisuse(
                f"expected a stock from 0 to {MAX_STOCK_BITS} bits, got {self.stock_bits}"
            )

    @property
    def trusted(self) -> bool:
        """Whether key may leave over it: not RED, and judged recently."""
        return self.status is not Status.RED and not self.stale


class Topology:
    """Directed links between nodes; the last word on each counts."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._links: dict[tuple[str, str], Link] = {}
        self._graph: nx.DiGraph[str] | None = None
        for link in links:
            self.put(link)

    def put(self, link: Link) -> None:
        """Add a link, or replace what was said of it."""
        ends = (link.origin, link.target)
        if ends not in self._links:
            self._graph = None
        elif self._graph is not None:
            self._graph.edges[ends]["link"] = link
        self._links[ends] = link

    def link(self, origin: str, target: str) -> Link | None:
        """One direction of a link; None where there is none."""
        return self._links.get((origin, target))

    def links(self) -> tuple[Link, ...]:
        """All directions, in order of names."""
        return tuple(self._links[ends] for ends in sorted(self._links))

    @property
    def nodes(self) -> tuple[str, ...]:
        """All nodes that have a link, in order of names."""
        return tuple(sorted(self.graph))

    @property
    def graph(self) -> "nx.DiGraph[str]":
        """Nodes and links, `link` on each edge; for reading.

        They are in order of names, whatever order they came in: so that what follows from the
        order in which a graph is walked is the same for everybody who knows the same links.
        """
        if self._graph is None:
            self._graph = nx.DiGraph()
            self._graph.add_nodes_from(sorted({name for ends in self._links for name in ends}))
            for ends in sorted(self._links):
                self._graph.add_edge(*ends, link=self._links[ends])
        return self._graph
