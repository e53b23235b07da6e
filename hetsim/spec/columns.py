"""A topology's fleet as rows of arrays (`hetsim.sim.fleet`), if all of it can be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Rate, Seconds
from hetsim.federation.columns import Roll
from hetsim.sim.availability.always import Always
from hetsim.sim.availability.windows import Windows
from hetsim.sim.columns import NotTraceable
from hetsim.sim.governors.base import Governor, Planning, View
from hetsim.sim.governors.fixed import Fixed
from hetsim.sim.governors.performance import Performance
from hetsim.sim.governors.powersave import Powersave
from hetsim.sim.network.base import Station, Technology
from hetsim.sim.population import Cell, Population
from hetsim.sim.sharing import Resource

if TYPE_CHECKING:
    from hetsim.sim.device import Profile
    from hetsim.sim.kernel import Kernel
    from hetsim.spec.world import Member, Scenario

_STEADY = Performance, Powersave, Fixed
"""Governors that choose the same whatever happens."""
_FULL = 1.0 + 1e-12


class _Place(NamedTuple):
    """Where the devices of a group hang.

    Attributes:
        latency: of the devices' own hop.
        up, down: rates of a device.
    """

    latency: Seconds
    up: Rate
    down: Rate


def roll(scenario: Scenario) -> Roll:
    """Who is who."""
    fleet = scenario.spec.fleet
    return Roll(
        labels=[group.label for group in fleet],
        starts=np.cumsum([0, *(group.count for group in fleet)]),
        samples=np.array([len(rows) for rows in scenario.shards], np.int64),
    )


def population(scenario: Scenario, kernel: Kernel, samples: NDArray[np.int64]) -> Population:
    """The fleet of a topology whose network is laid out in the kernel.

    Args:
        scenario: the checked topology.
        kernel: in which server and cells are; no device is.
        samples: size of each shard.

    Raises:
        NotTraceable: columns know nothing of a part of it.
    """
    kinds, counts = scenario.kinds, [group.count for group in scenario.spec.fleet]
    _check_world(scenario)
    for member in kinds:
        _check_group(scenario, member)
    places = [_place(scenario, member) for member in kinds]
    cells, cell = _cells(scenario, kernel, places)
    radios = [scenario.wiring.radio(member) for member in kinds]
    patterns, pattern = _patterns(kinds)

    def each(values: Sequence[float]) -> NDArray[np.float64]:
        return np.repeat(np.array(values, np.float64), counts)

    packs = [member.pack if member.group.battery else None for member in kinds]
    charges = [
        pack.capacity * battery.charge if pack and (battery := member.group.battery) else inf
        for pack, member in zip(packs, kinds, strict=True)
    ]
    sources = [scenario.sources(member.place) if pack else [] for member, pack in zip(
        kinds, packs, strict=True
    )]  # fmt: skip
    return Population(
        profiles=[member.profile for member in kinds],
        kind=np.repeat(np.arange(len(kinds)), counts),
        cells=cells, cell=cell,
        up=each([place.up for place in places]), down=each([place.down for place in places]),
        transmit=each([radio.transmit for radio in radios]),
        receive=each([radio.receive for radio in radios]),
        radio_idle=each([radio.idle for radio in radios]),
        sending=each([radio.sending for radio in radios]),
        receiving=each([radio.receiving for radio in radios]),
        latency=each([place.latency for place in places]),
        charge=each(charges),
        efficiency=each([pack.efficiency if pack else 1.0 for pack in packs]),
        numbers={"samples": samples.astype(np.float64)},
        ambient=each([member.group.ambient for member in kinds]),
        temperature=each([_temperature(member, radio.idle) for member, radio in zip(
            kinds, radios, strict=True
        )]),
        points=[_points(member.governor, member.profile) for member in kinds],
        supplies=sources if any(sources) else (),
        supply=np.repeat(np.arange(len(kinds)), counts),
        capacity=each([pack.capacity if pack else inf for pack in packs]),
        charge_efficiency=each([pack.charge_efficiency if pack else 1.0 for pack in packs]),
        restart=each([pack.restart if pack else 0.0 for pack in packs]),
        patterns=patterns, pattern=np.repeat(pattern, counts),
    )  # fmt: skip


def _check_world(scenario: Scenario) -> None:
    spec = scenario.spec
    if spec.network.sharing != "maxmin":
        raise NotTraceable(f"the network shares by {spec.network.sharing}")
    if spec.events:
        raise NotTraceable("events happen to the world")
    if any(line.trace for line in spec.network.links):
        raise NotTraceable("the bandwidth of a link varies")


def _check_group(scenario: Scenario, member: Member) -> None:
    """Refuse a group with something that has no column."""
    group, name = member.group, member.group.label
    link, battery, pack = group.link, group.battery, member.pack
    if not isinstance(member.governor, _STEADY):
        chosen = group.governor or scenario.spec.governor
        raise NotTraceable(f"the governor {chosen.name} of {name} changes clocks")
    if not isinstance(member.availability, Always | Windows):
        raise NotTraceable(f"{name} comes and goes by {group.availability.name}")
    if group.crashes:
        raise NotTraceable(f"{name} crashes now and then")
    if link.trace or link.trace_up or link.trace_down:
        raise NotTraceable(f"the bandwidth of {name} varies")
    if link.cap is not None:
        raise NotTraceable(f"the flows of {name} have a cap")
    if battery and pack:
        if pack.model != "linear":
            raise NotTraceable(f"the battery of {name} is of the model {pack.model}")
        if not pack.capacity * battery.charge:
            raise NotTraceable(f"the battery of {name} is empty from the start")


def _temperature(member: Member, radio_idle: float) -> float:
    """Of a device at t = 0."""
    group, body = member.group, member.profile.heat
    if group.temperature is not None or body is None:
        return group.ambient if group.temperature is None else group.temperature
    return body.at_rest(group.ambient, member.profile.idle + radio_idle).temperature


def _points(governor: Governor | Planning, profile: Profile) -> tuple[int, ...]:
    """Operating points that a steady governor chooses."""
    assert isinstance(governor, _STEADY)
    nothing = tuple(0 for _ in profile.domains)
    busy = tuple(0.0 for _ in profile.domains)
    return governor.choose(View(domains=profile.domains, points=nothing, busy=busy)).points


def _patterns(kinds: Sequence[Member]) -> tuple[list[Windows | None], list[int]]:
    """When devices are there: the patterns that occur, and the place of each group's."""
    patterns: list[Windows | None] = []
    found: list[int] = []
    for member in kinds:
        pattern = member.availability if isinstance(member.availability, Windows) else None
        if pattern not in patterns:
            patterns.append(pattern)
        found.append(patterns.index(pattern))
    return patterns, found


# --- the network ----------------------------------------------------------------------------------


def _place(scenario: Scenario, member: Member) -> _Place:
    """Where a group hangs."""
    technology = scenario.wiring.technologies[member.group.link.to]
    station = scenario.wiring.station(member.name, member.group.link)
    up, _ = technology.attach(member.group.link.to, [station])[station.name]
    return _Place(up.latency, station.up, station.down)


def _cells(
    scenario: Scenario, kernel: Kernel, places: Sequence[_Place]
) -> tuple[list[Cell], NDArray[np.intp]]:
    """Cells that devices hang on, and the place of each device among them."""
    network = scenario.spec.network
    numbers = {name: number for number, name in enumerate(network.cells)}
    cell: list[NDArray[np.intp]] = []
    fastest = [(0.0, 0.0)] * len(numbers)
    for member, place in zip(scenario.kinds, places, strict=True):
        there = [numbers[name] for name in network.spread(member.group.link.to)]
        cell.append(np.resize(there, member.group.count))
        for number in there[: member.group.count]:
            up, down = fastest[number]
            fastest[number] = max(up, place.up), max(down, place.down)
    technologies = scenario.wiring.technologies
    kinds = {id(each): _air(each, name) for name, each in technologies.items()}
    cells: list[Cell] = []
    load: dict[Resource, Rate] = {}
    for name, (up, down) in zip(numbers, fastest, strict=True):
        air = kinds[id(technologies[name])]
        latency = 0.0
        if up:
            kernel.network.place(name, name)
            ways = kernel.network.route(name, "server"), kernel.network.route("server", name)
            latency = ways[0].latency
            if air.share == "line":
                there = np.sum([(c == numbers[name]).sum() for c in cell])
                up, down = up * there, down * there
            one = max(up, down) if not air.apart else 0.0  # on one channel only one of them moves
            both = set(ways[0].uses) & set(ways[1].uses)
            for way, rate in zip(ways, (up, down), strict=True):
                for line in way.uses:
                    load[line] = load.get(line, 0.0) + (one / 2.0 if one and line in both else rate)
        cells.append(Cell(latency=latency, share=air.share, apart=air.apart, states=air.states))
    for line, rate in load.items():
        if line.tariff:
            raise NotTraceable(f"the line {line.name} draws power by what it carries")
        if rate > line.capacity * _FULL:
            raise NotTraceable(f"the cells behind the line {line.name} could fill it")
    return cells, np.concatenate(cell)


def _air(technology: Technology, name: str) -> Cell:
    """How stations share a cell; its latency is left out.

    Raises:
        NotTraceable: neither air, a hub nor lines of their own.
    """
    stations = [Station(name="a", up=2.0, down=3.0), Station(name="b", up=5.0, down=7.0)]
    hops = technology.attach(name, stations)
    ups, downs = ([hops[each.name][way] for each in stations] for way in (0, 1))
    lines = [next(iter(hop.uses)) for hop in (*ups, *downs)]
    if any(len(hop.uses) > 1 or hop.airtime is not None for hop in (*ups, *downs)):
        raise NotTraceable(f"columns know no such cell as {name}")
    apart = lines[0] is not lines[2]
    if all(a is not b for a, b in pairwise(lines[:2])):
        if not apart:
            raise NotTraceable(f"both directions of a line at {name} share it")
        return Cell(latency=0.0, share="line", apart=True, states=technology.states)
    share = "airtime" if ups[0].by_time else "dcf"
    return Cell(latency=0.0, share=share, apart=apart, states=technology.states)
