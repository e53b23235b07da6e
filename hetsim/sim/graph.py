"""The network as a graph: cells and switches joined by links, with stations at the edge.

A route is the path of least latency between two endpoints. It passes the first cell upwards, links
in their direction, and the last cell downwards. Radio joules follow airtime: a station at rate r
transmits for `1 / r` seconds a byte, whatever the contention.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx

from hetsim.core.errors import HetsimError, did_you_mean
from hetsim.core.quantities import Joules, Rate, Seconds
from hetsim.sim.device import Radio
from hetsim.sim.network.base import Hop, Route, Station
from hetsim.sim.sharing import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A station's place in the network.

    Attributes:
        cell: the network node it hangs on.
        station: its name, rates and latency.
        up, down: what its bytes take there.
        radio: what they cost it.
        node: who pays for the radio.
    """

    cell: str
    station: Station
    up: Hop
    down: Hop
    radio: Radio
    node: Any


class Network:
    """Routes between endpoints: stations, and nodes of the graph itself."""

    def __init__(self) -> None:
        self._graph: nx.Graph[str] = nx.Graph()
        self._lines: dict[tuple[str, str], Resource] = {}
        self._payers: dict[tuple[str, str], tuple[Any, Joules]] = {}
        self._attached: dict[str, Attachment] = {}
        self._places: dict[str, str] = {}
        self._routes: dict[tuple[str, str], Route] = {}
        self._paths: dict[tuple[str, str], list[str]] = {}

    def add_cell(self, name: str) -> None:
        """A cell, access point, switch or bare node of the graph."""
        self._graph.add_node(name)

    def add_link(
        self,
        a: str,
        b: str,
        bandwidth: Rate,
        latency: Seconds,
        *,
        shared: bool = False,
        node: Any = None,
        price: Joules = 0.0,
    ) -> None:
        """A line between two graph nodes.

        Args:
            a: one graph node.
            b: the other.
            bandwidth: of each direction, or of both together if `shared`.
            latency: one way.
            shared: whether both directions are one line.
            node: who pays for the line.
            price: joules it pays a byte.
        """
        self._routes.clear()
        self._paths.clear()
        self._graph.add_edge(a, b, latency=latency)
        forth = Resource(f"{a}-{b}", bandwidth)
        back = forth if shared else Resource(f"{b}-{a}", bandwidth)
        self._lines[a, b], self._lines[b, a] = forth, back
        if node is not None:
            self._payers[a, b] = self._payers[b, a] = (node, price)

    def attach(self, attachment: Attachment) -> None:
        """Hang a station on a cell."""
        self._attached[attachment.station.name] = attachment
        self._places[attachment.station.name] = attachment.cell

    def place(self, endpoint: str, cell: str) -> None:
        """Say that `endpoint` (a server) is the graph node `cell` itself."""
        self._places[endpoint] = cell

    def resources(self) -> Iterable[Resource]:
        """Every line of the graph, for capacity changes and reports."""
        return dict.fromkeys(self._lines.values())

    def route(self, source: str, target: str) -> Route:
        """The way from one endpoint to another.

        Raises:
            HetsimError: there is none.
        """
        known = self._routes.get((source, target))
        if known is None:
            known = self._routes[source, target] = self._find(source, target)
        return known

    def _find(self, source: str, target: str) -> Route:
        uses: dict[Resource, float] = {}
        payers: dict[Any, dict[str, Joules]] = {}
        latency, weight = 0.0, 1.0

        def take(more: Mapping[Resource, float]) -> None:
            for resource, use in more.items():
                uses[resource] = uses.get(resource, 0.0) + use

        def pay(node: Any, kind: str, joules: Joules) -> None:
            if joules:
                mine = payers.setdefault(node, {})
                mine[kind] = mine.get(kind, 0.0) + joules

        for end, sends in ((source, True), (target, False)):
            edge = self._attached.get(end)
            if edge:
                hop, rate = (edge.up, edge.station.up) if sends else (edge.down, edge.station.down)
                take(hop.uses)
                latency += hop.latency
                weight *= hop.weight
                power = edge.radio.transmit if sends else edge.radio.receive
                pay(edge.node, "radio", power / rate)
        for end in (source, target):
            if end not in self._places:
                raise HetsimError(
                    f'"{end}" is not in the network.{did_you_mean(end, self._places)}'
                )
        path = self._path(self._places[source], self._places[target])
        for step in pairwise(path):
            take({self._lines[step]: 1.0})
            latency += self._graph.edges[step]["latency"]
            if step in self._payers:
                node, price = self._payers[step]
                pay(node, "link", price)
        return Route(uses=uses, latency=latency, weight=weight, payers=payers)

    def _path(self, source: str, target: str) -> list[str]:
        known = self._paths.get((source, target))
        if known is None:
            try:
                known = nx.dijkstra_path(self._graph, source, target, weight="latency")
            except (nx.NetworkXNoPath, nx.NodeNotFound) as error:
                raise HetsimError(f"no path from {source} to {target} in the network") from error
            self._paths[source, target] = known
        return known
