"""The network as a graph: cells and switches joined by links, with stations at the edge.

A route is the path of least latency between two endpoints. It passes the first cell upwards, links
in their direction, and the last cell downwards. The sharing model (`hetsim.sim.network_model`) says
how long a flow waits, what it weighs and what it takes of the links there and back. Radio joules
follow airtime, whatever the contention.

Bandwidths may change at any time. A line's capacity changes at once for all its flows. A station
that is slower by a factor s takes s times as much of its cell for each byte, and its radio is on
for s times as long; at zero its flows stop. What a change touches is settled first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx

from hetsim.core.errors import HetsimError, did_you_mean
from hetsim.core.quantities import Joules, Rate, Seconds, Watts
from hetsim.sim.leg import Attachment, Leg, Way
from hetsim.sim.network.base import Party, Route
from hetsim.sim.network_model import MaxMin, NetworkModel, Terms
from hetsim.sim.sharing import Resource, Sharing


class Network:
    """Routes between endpoints: stations, and nodes of the graph itself.

    Attributes:
        model: how flows share it; set before the first route is asked for.
    """

    def __init__(self, sharing: Sharing, model: NetworkModel | None = None) -> None:
        self.model: NetworkModel = model or MaxMin()
        self._sharing = sharing
        self._graph: nx.Graph[str] = nx.Graph()
        self._lines: dict[tuple[str, str], Leg] = {}
        self._attached: dict[str, Attachment] = {}
        self._ways: dict[str, tuple[Leg, Leg]] = {}
        self._places: dict[str, str] = {}
        self._routes: dict[tuple[str, str], Route] = {}
        self._paths: dict[tuple[str, str], list[Leg]] = {}
        self._terms: dict[tuple[Seconds, ...], Terms] = {}

    # --- building -------------------------------------------------------------------------------

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
        power: Watts = 0.0,
    ) -> None:
        """A line between two graph nodes.

        Args:
            a: one graph node.
            b: the other.
            bandwidth: of each direction, or of both together if `shared`.
            latency: one way.
            shared: whether both directions are one line.
            node: who pays for the line.
            power: what it pays above idle while a direction carries all it can.
        """
        self._routes.clear()
        self._paths.clear()
        self._graph.add_edge(a, b, latency=latency)
        forth = Leg.of_line(f"{a}-{b}", bandwidth, latency)
        back = forth if shared else Leg.of_line(f"{b}-{a}", bandwidth, latency)
        forth.back, back.back = back, forth
        self._lines[a, b], self._lines[b, a] = forth, back
        for leg in (forth, back):
            if node is not None and power and leg.line:
                leg.payer = node, power
                leg.line.tariff = node, "link", _price(power, bandwidth)

    def attach(self, attachment: Attachment) -> None:
        """Hang a station on a cell."""
        name = attachment.station.name
        up, down = Leg(attachment.up), Leg(attachment.down)
        up.back, down.back = down, up
        self._ways[name] = up, down
        self._attached[name] = attachment
        self._places[name] = attachment.cell

    def place(self, endpoint: str, cell: str) -> None:
        """Say that `endpoint` (a server) is the graph node `cell` itself."""
        self._places[endpoint] = cell

    # --- changing -------------------------------------------------------------------------------

    def line(self, a: str, b: str) -> Leg:
        """The line from graph node `a` to its neighbour `b`."""
        return self._lines[a, b]

    def ways(self, station: str) -> tuple[Leg, Leg]:
        """The way up and the way down of a station."""
        return self._ways[station]

    def legs(self, name: str) -> Sequence[Leg]:
        """What leads over a line "a--b", or through a graph node, in all directions."""
        if name in self._graph:
            lines = [leg for pair, leg in self._lines.items() if name in pair]
            stations = [each for each, cell in self._places.items()
                        if cell == name and each in self._ways]  # fmt: skip
            lines += [leg for station in stations for leg in self._ways[station]]
        else:
            a, _, b = name.partition("--")
            lines = [self._lines[a, b], self._lines[b, a]]
        return tuple(dict.fromkeys(lines))

    def resources(self) -> Iterable[Resource]:
        """Every line of the graph, for reports."""
        return dict.fromkeys(leg.line for leg in self._lines.values() if leg.line)

    def change(self, leg: Leg, *, rate: Rate | None = None, up: bool | None = None) -> None:
        """Give a leg another rate, or cut and mend it, from now on; flows wait during an outage."""
        before = leg.bandwidth
        leg.own = leg.own if rate is None else rate
        leg.up = leg.up if up is None else up
        self._changed(leg, before)

    def impose(self, leg: Leg, holder: object, rate: Rate | None) -> None:
        """Hold a leg at `rate` on behalf of `holder` from now on; None lets go of it.

        The newest that holds a leg decides; a trace goes on behind its back.
        """
        before = leg.bandwidth
        if rate is None:
            leg.imposed.pop(holder, None)
        else:
            leg.imposed[holder] = rate
        self._changed(leg, before)

    def _changed(self, leg: Leg, before: Rate) -> None:
        """Let everything follow what `leg` carries now."""
        if leg.bandwidth == before:
            return
        if leg.line:
            if leg.payer:
                node, power = leg.payer
                self._sharing.bill(leg.line, (node, "link", _price(power, leg.bandwidth)))
            self._sharing.resize(leg.line, leg.bandwidth)
        follows = self.model.follows_bandwidth
        if follows or not leg.line:
            for way in leg.routes:
                self._renew(way)
        for job in tuple(leg.jobs):
            if follows or not leg.line or job.pipe:
                job.refresh()
        if follows and leg.back is not leg:  # acknowledgements pass it too
            for job in tuple(leg.back.jobs):
                job.refresh()

    def leave(self, station: str) -> None:
        """A station stops: its radio falls silent."""
        attachment = self._attached.get(station)
        if attachment and attachment.state:
            attachment.state.drop()

    # --- routes ---------------------------------------------------------------------------------

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
        for end in (source, target):
            if end not in self._places:
                raise HetsimError(
                    f'"{end}" is not in the network.{did_you_mean(end, self._places)}'
                )
        ends = self._attached.get(source), self._attached.get(target)
        legs = self._path(self._places[source], self._places[target])
        if ends[0]:
            legs = [self._ways[source][0], *legs]
        if ends[1]:
            legs = [*legs, self._ways[target][1]]
        way = Way(Route(uses={}, payers={}), tuple(legs), ends)
        follows = self.model.follows_bandwidth
        told = [leg for leg in legs if follows or not leg.line]
        for leg in dict.fromkeys(told + [leg.back for leg in told]):
            leg.routes.append(way)
        parties: dict[Party, None] = dict.fromkeys(legs)
        for end in ends:
            if end and end.state:
                parties[end.state] = None
        for leg in legs:
            if leg.parties:
                parties.update(dict.fromkeys(leg.parties))
        way.route.parties = tuple(parties)
        if legs:
            self._renew(way)
        return way.route

    def _renew(self, way: Way) -> None:
        """Take the numbers of a route from its legs as they are now."""
        route, legs = way.route, way.legs
        terms = self._meets(legs)
        uses: dict[Resource, float] = {}
        weight = terms.weight
        cap = terms.cap
        for leg in legs:
            _take(uses, leg, terms.use)
            if terms.back:
                _take(uses, leg.back, terms.back)
            weight *= leg.hop.weight / (leg.slowness if leg.hop.by_time else 1.0)
            if not (leg.line or leg.bandwidth):
                cap = 0.0
        payers: dict[Any, dict[str, Joules]] = {}
        for end, sent, received in zip(
            way.ends, (terms.use, terms.back), (terms.back, terms.use), strict=True
        ):
            if end:
                cap = min(cap, end.station.cap)
                joules = self._radio(end, sent, received)
                if joules:
                    paid = payers.setdefault(end.node, {"radio": 0.0})
                    paid["radio"] += joules
        route.uses, route.latency, route.weight = uses, terms.wait, weight
        route.cap, route.payers = cap, payers

    def _meets(self, legs: Sequence[Leg]) -> Terms:
        """What the sharing model says of a route."""
        latencies = tuple([leg.hop.latency for leg in legs])
        if self.model.follows_bandwidth:
            return self.model.terms(latencies, [leg.bandwidth for leg in legs])
        terms = self._terms.get(latencies)
        if terms is None:
            bandwidths = [leg.bandwidth for leg in legs]
            terms = self._terms[latencies] = self.model.terms(latencies, bandwidths)
        return terms

    def _radio(self, end: Attachment, sent: float, received: float) -> Joules:
        """Joules of a station's radio a payload byte, for bytes sent and received on the wire."""
        up, down = self._ways[end.station.name]
        radio = end.state.states.above(end.radio) if end.state else end.radio
        sending = radio.transmit * up.hop.on_air * up.slowness + radio.sending
        receiving = radio.receive * down.hop.on_air * down.slowness + radio.receiving
        return sent * sending + received * receiving

    def _path(self, source: str, target: str) -> list[Leg]:
        known = self._paths.get((source, target))
        if known is None:
            try:
                path = nx.dijkstra_path(self._graph, source, target, weight="latency")
            except (nx.NetworkXNoPath, nx.NodeNotFound) as error:
                raise HetsimError(f"no path from {source} to {target} in the network") from error
            known = self._paths[source, target] = [self._lines[step] for step in pairwise(path)]
        return known


def _price(power: Watts, bandwidth: Rate) -> Joules:
    """Joules a byte on a line; nothing passes one that is down."""
    return power / bandwidth if bandwidth else 0.0


def _take(uses: dict[Resource, float], leg: Leg, share: float) -> None:
    share *= leg.slowness
    for resource, use in leg.hop.uses.items():
        uses[resource] = uses.get(resource, 0.0) + share * use
