"""Where the transfers of a run could get into each other's way.

Two ways through the network meet where both use a resource that all who use it could fill: a radio
cell, a line, a port. One that they could not fill together, each at the fastest that the rest of
its way allows, slows nobody and is left out. Resources are taken as they are at the end of the run.
"""

from __future__ import annotations

from collections.abc import Hashable

from hetsim.core.quantities import Rate, Seconds
from hetsim.federation.critical import Spans
from hetsim.federation.links import Links, Way
from hetsim.sim.kernel import Kernel
from hetsim.sim.network.base import Route
from hetsim.sim.radio import RadioState
from hetsim.sim.sharing import Resource

_FULL = 1.0 - 1e-9
"""A resource that is filled up to this is a bottleneck; less is more than rounding."""


def bottlenecks(kernel: Kernel, spans: Spans) -> Links:
    """Who could slow whom, of all who moved something."""
    ways: dict[Way, Route] = {}
    for span in spans.by_serial.values():
        way = span.actor, span.peer, spans.kind(span)
        if span.peer and way not in ways:
            ends = (way[1], way[0]) if way[2] == "downlink" else way[:2]
            ways[way] = kernel.network.route(*ends)
    demand: dict[Resource, dict[str, Rate]] = {}
    for (actor, _, _), route in ways.items():
        fastest = _fastest(route)
        for resource, use in route.uses.items():
            users = demand.setdefault(resource, {})
            users[actor] = max(users.get(actor, 0.0), fastest * use)
    tight = {
        resource: set(users) for resource, users in demand.items()
        if len(users) > 1 and sum(users.values()) > _FULL * resource.capacity
    }  # fmt: skip
    return Links(
        group=_groups({actor for actor, _, _ in ways}, tight),
        load={
            way: {
                resource: use / resource.capacity for resource, use in route.uses.items()
                if resource in tight and resource.capacity
            }
            for way, route in ways.items()
        },
        waking={
            way: (1.0 / fastest if (fastest := _fastest(route)) else 0.0, min(tails))
            for way, route in ways.items()
            if (tails := _tails(route))
        },
    )  # fmt: skip


def _fastest(route: Route) -> Rate:
    """Bytes a second of a flow that has the whole way to itself."""
    paces = (resource.capacity / use for resource, use in route.uses.items() if use)
    return min(route.cap, min(paces, default=route.cap))


def _tails(route: Route) -> list[Seconds]:
    """How long the radios on the way rest before they sleep, of those that then have to wake up."""
    return [
        party.states.tail
        for party in route.parties
        if isinstance(party, RadioState) and party.states.promotion > 0.0
    ]


def _groups(actors: set[str], tight: dict[Resource, set[str]]) -> dict[str, int]:
    """Numbers of those who meet, directly or through others."""
    chief = {actor: actor for actor in actors}

    def find(actor: str) -> str:
        while chief[actor] != actor:
            chief[actor] = actor = chief[chief[actor]]
        return actor

    for users in tight.values():
        first, *others = sorted(users)
        for other in others:
            chief[find(other)] = find(first)
    numbers: dict[Hashable, int] = {}
    return {actor: numbers.setdefault(find(actor), len(numbers)) for actor in sorted(actors)}
