"""Gateways of a topology: names that nothing else has, and whom each of them serves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING

import networkx as nx

from hetsim.core.errors import did_you_mean
from hetsim.core.quantities import Seconds
from hetsim.spec.check import fail, known_node
from hetsim.spec.load import key_of
from hetsim.spec.profile import find_profile

if TYPE_CHECKING:
    from hetsim.spec.schema import Spec

_ALIKE = 12
"""Decimals of a second to which two ways are equally long, whatever the order of their links."""


def check(spec: Spec) -> None:
    """Refuse gateways that are nowhere, cannot be told apart or serve whom nobody knows.

    Raises:
        SpecError: with file and line.
    """
    if not spec.gateways:
        return
    away = _latencies(spec)(spec.server.at)
    taken = _taken(spec)
    served: dict[str, str] = {}
    for index, gateway in enumerate(spec.gateways):
        place = ("gateways", index)
        find_profile(
            gateway.profile,
            spec.origin.parent,
            where=spec.where(*place, "profile"),
            key=key_of((*place, "profile")),
        )
        known_node(spec, gateway.at, *place, "at")
        if gateway.at == spec.server.at:
            what = f'the server is at "{gateway.at}" too: nothing lies between them.'
            fail(spec, what, "Name another network node.", *place, "at")
        if spec.network.sharing == "maxmin_inverse_latency" and not away[gateway.at]:
            what = "maxmin_inverse_latency weighs by 1 / latency, and the server is at none."
            remedy = "Give a link on the way a latency, or use another sharing."
            fail(spec, what, remedy, *place, "at")
        label, _, number = gateway.name.rpartition("-")
        count = {group.label: group.count for group in spec.fleet}.get(label, 0)
        device = number.isdecimal() and int(number) < count
        whose = "a device" if device else taken.get(gateway.name)
        if whose:
            what = f'"{gateway.name}" is the name of {whose}.'
            fail(spec, what, "Give the gateway another `name:`.", *place, "name")
        taken[gateway.name] = "another gateway"
        for which, name in enumerate(gateway.serves or ()):
            _serve(spec, name, served, *place, "serves", which)
            served[name] = gateway.name


def _taken(spec: Spec) -> dict[str, str]:
    """What has a name already, in words."""
    links = chain.from_iterable(((a, b), (b, a)) for _, a, b in spec.network.lines)
    return {
        "server": "the server",
        **dict.fromkeys((group.label for group in spec.fleet), "a group of devices"),
        **dict.fromkeys(spec.network.cells, "a network node"),
        **dict.fromkeys(map("--".join, links), "a link"),
    }


def _serve(spec: Spec, name: str, served: dict[str, str], *place: str | int) -> None:
    """Refuse a group that is not there, or that is served already."""
    groups = [group.label for group in spec.fleet]
    if name not in groups:
        what = f'no group of devices "{name}".{did_you_mean(name, groups)}'
        fail(spec, what, f"Groups: {', '.join(groups)}.", *place)
    if name in served:
        what = f'"{name}" is served by "{served[name]}" already.'
        fail(spec, what, "Let one gateway name it.", *place)


def serving(spec: Spec) -> tuple[int | None, ...]:
    """For each group of the fleet the place of the gateway that serves it.

    That is the gateway that names it, or else, of those that name no groups, the one with the least
    latency to it along the links; the first of several. None where every gateway names groups and
    none names this one: its devices talk to the server.

    Raises:
        SpecError: a group is spread over network nodes that are nearest to different ones.
    """
    named = {
        name: place for place, gateway in enumerate(spec.gateways) for name in gateway.serves or ()
    }
    open_to_all = [place for place, gateway in enumerate(spec.gateways) if gateway.serves is None]
    latencies = _latencies(spec)

    def nearest(cell: str) -> int | None:
        if not open_to_all:
            return None
        away = latencies(cell)
        return min(open_to_all, key=lambda place: away[spec.gateways[place].at])

    by_cell = {to: {nearest(cell) for cell in spec.network.spread(to)}
               for to in dict.fromkeys(each.link.to for each in spec.fleet)}  # fmt: skip
    for index, group in enumerate(spec.fleet):
        if group.label not in named and len(by_cell[group.link.to]) > 1:
            what = f'the nodes of "{group.link.to}" are nearest to different gateways.'
            remedy = f"Let one gateway name the group: `serves: [{group.label}]`."
            fail(spec, what, remedy, "fleet", index, "link", "to")
    chosen = {to: next(iter(found)) for to, found in by_cell.items()}
    return tuple(named.get(group.label, chosen[group.link.to]) for group in spec.fleet)


def _latencies(spec: Spec) -> Callable[[str], dict[str, Seconds]]:
    """How long it takes along the links from a network node to every other."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(spec.network.cells)
    for index, *ends in spec.network.lines:
        graph.add_edge(*ends, latency=spec.network.links[index].latency)

    def ways(cell: str) -> dict[str, Seconds]:
        lengths = nx.single_source_dijkstra_path_length(graph, cell, weight="latency")
        return {name: round(length, _ALIKE) for name, length in lengths.items()}

    return ways
