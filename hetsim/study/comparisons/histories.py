"""Random histories, played by the time plane and by an independent numerical integration.

For every history the two are compared in what each job came to, in the joules of every machine, in
what is left in its battery and in its temperatures. Beside that the ledger of each machine is
checked: what its battery lost is what was drawn from it, nothing is negative.

A history in which a threshold is only grazed is decided by rounding on both sides; it is left out
and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

from hetsim.core.cost import Cost
from hetsim.sim.battery import BatteryPack, Wells
from hetsim.sim.device import Profile, Radio
from hetsim.sim.governors.base import Choice, View
from hetsim.sim.heat import Body, Trip
from hetsim.sim.incident import Incidents
from hetsim.sim.leg import Attachment
from hetsim.sim.network.base import Station
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.lte import Lte
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.node import Node
from hetsim.sim.presence import Presence
from hetsim.sim.requests import Child, Compute, Gather, Outcome, Sleep, Transfer
from hetsim.sim.supply import Charger
from hetsim.sim.world import SERVER, World, domain, profile
from hetsim.study.history import Event, History, Job, Machine, Store, draw
from hetsim.study.reference import Account, Ended, integrate

_CELLS = {"ethernet": Ethernet, "wifi": Wifi, "lte": Lte}
_GRAZING = 1e-5
"""Relative speed, in 1/s, below which a threshold is grazed rather than crossed."""
_ROOM = 1.0
"""Joules, or share of a job, below which differences are taken as absolute."""


@dataclass(slots=True)
class _Set:
    """A governor that does as it is told."""

    point: int

    def choose(self, view: View) -> Choice:
        return Choice((self.point,))


@dataclass(slots=True)
class Played:
    """What the time plane made of a history.

    Attributes:
        account: in the terms of the independent one.
        ledger: largest relative difference between a battery's change and what was drawn from it.
        least: smallest joules, charge or progress anywhere; never below zero.
    """

    account: Account
    ledger: float = 0.0
    least: float = inf


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two accounts of a history are apart.

    Attributes:
        number: of the history.
        grazing: whether a threshold was only grazed.
        outcomes: jobs that ended in another way.
        times: largest difference of an end, relative to the job's duration, at least a second.
        progress: largest difference of a share done.
        energy, charge: largest relative difference.
        temperature: largest difference relative to the rise above ambient, at least 1 K.
        ledger: as of `Played`.
        least: as of `Played`.
    """

    number: int
    grazing: bool
    outcomes: int
    times: float
    progress: float
    energy: float
    charge: float
    temperature: float
    ledger: float
    least: float

    @property
    def worst(self) -> float:
        """The largest of the differences."""
        return max(self.times, self.progress, self.energy, self.charge, self.temperature)


def histories(measured: Path, *, count: int, first: int = 0) -> dict[str, list[Mapping[str, Any]]]:
    """Compare `count` histories; one row each."""
    del measured  # needs none
    rows = [compare(draw(number)) for number in range(first, first + count)]
    return {
        "histories": [
            {
                "history": row.number, "grazing": row.grazing, "outcomes": row.outcomes,
                "times": row.times, "progress": row.progress, "energy": row.energy,
                "charge": row.charge, "temperature": row.temperature, "ledger": row.ledger,
                "least": row.least,
            }
            for row in rows
        ]
    }  # fmt: skip


def compare(history: History) -> Difference:
    """Play a history twice."""
    reference, played = integrate(history), play(history)
    mine = played.account
    times, progress, outcomes = [0.0], [0.0], 0
    for job, a, b in zip(history.jobs, mine.jobs, reference.jobs, strict=True):
        if a is None or b is None or a.outcome != b.outcome:
            outcomes += a is not b
            continue
        times.append(abs(a.time - b.time) / max(b.time - job.at, 1.0))
        progress.append(abs(a.progress - b.progress))
    temperatures = [
        abs(a - b) / max(b - machine.body.ambient, 1.0)
        for machine, *pairs in zip(
            history.machines,
            zip(mine.temperature, reference.temperature, strict=True),
            zip(mine.warmest, reference.warmest, strict=True),
            strict=True,
        )
        for a, b in pairs
        if machine.body and a is not None and b is not None
    ]
    return Difference(
        number=history.number,
        grazing=bool(reference.least < _GRAZING),
        outcomes=outcomes,
        times=max(times),
        progress=max(progress),
        energy=_apart(mine.energy, reference.energy),
        charge=_apart(mine.charge, reference.charge),
        temperature=max(temperatures, default=0.0),
        ledger=played.ledger,
        least=played.least,
    )


def _apart(mine: Sequence[float | None], reference: Sequence[float | None]) -> float:
    return max(
        abs(a - b) / max(abs(b), _ROOM)
        for a, b in [(a or 0.0, b or 0.0) for a, b in zip(mine, reference, strict=True)]
    )


def play(history: History) -> Played:
    """Let the time plane play a history."""
    stage = _Stage(history)
    world = stage.world

    async def server() -> None:
        await Gather(children=stage.children())

    async def until_horizon() -> None:
        await Gather(children=(Child(script=server(), node=SERVER),), deadline=history.horizon)
        await Sleep(duration=history.horizon - world.kernel.env.now)

    world.run(until_horizon())
    return stage.result()


class _Stage:
    """The world of a history."""

    def __init__(self, history: History) -> None:
        self.history, self.world = history, World()
        self.world.server(profile(idle=0.0, sleep=0.0))
        kernel = self.world.kernel
        self.governors = [_Set(machine.point) for machine in history.machines]
        self.nodes = [self._node(i, machine) for i, machine in enumerate(history.machines)]
        self.presences = [Presence(kernel, node) for node in self.nodes]
        self.begun = [node.battery.charge if node.battery else 0.0 for node in self.nodes]
        self.ends: list[Ended | None] = [None] * len(history.jobs)
        self._network()
        incidents = Incidents(kernel, {})
        for event in history.events:
            self._arrange(incidents, event)

    def _node(self, number: int, machine: Machine) -> Node:
        points = tuple((speed, watts) for speed, watts in machine.points)
        heat = machine.body and Body(
            resistance=machine.body.resistance,
            capacity=machine.body.capacity,
            trips=tuple(
                Trip(domain="cpu", at=trip.at, resume=trip.resume, point=trip.point)
                for trip in machine.body.trips
            ),
        )
        body: Profile = profile(domain(*points), idle=machine.idle, off=machine.off, heat=heat)
        node = Node(
            self.world.kernel.env,
            self.world.trace,
            f"m{number}",
            "device",
            base={"idle": {"idle": machine.idle}, "off": {"off": machine.off}},
            profile=body,
            governor=self.governors[number],
            battery=_pack(machine.store).charged(machine.store.charge) if machine.store else None,
            heat=heat.at_rest(machine.body.ambient, machine.idle)
            if heat and machine.body
            else None,
        )
        self.world.kernel.add(node)
        if machine.store and machine.store.plugged:
            [(begin, end)] = machine.store.plugged
            node.feed(Charger(power=machine.store.charger, on=((begin, end),)).changes())
        return node

    def _network(self) -> None:
        history, network = self.history, self.world.kernel.network
        network.add_cell("cell")
        network.add_link("cell", "edge", history.bandwidth, 0.0, shared=history.shared)
        stations = [
            Station(name=node.name, up=machine.line, down=machine.line, latency=history.latency)
            for node, machine in zip(self.nodes, history.machines, strict=True)
        ]
        hops = _CELLS[history.cell]().attach("cell", stations)
        for node, machine, station in zip(self.nodes, history.machines, stations, strict=True):
            up, down = hops[station.name]
            radio = Radio(transmit=machine.transmit, receive=machine.receive)
            network.attach(
                Attachment(cell="cell", station=station, up=up, down=down, radio=radio, node=node)
            )

    def children(self) -> tuple[Child, ...]:
        """A script of the server's for each job, which waits for its time."""
        return tuple(
            Child(script=self._job(number, job), node=SERVER)
            for number, job in enumerate(self.history.jobs)
        )

    async def _job(self, number: int, job: Job) -> None:
        await Sleep(duration=job.at)
        child = Child(script=self._act(job), node=self.nodes[job.machine].name)
        [outcome] = await Gather(children=(child,), deadline=job.cancel - job.at)
        self.ends[number] = _ended(outcome)

    async def _act(self, job: Job) -> None:
        node = self.nodes[job.machine].name
        match job.act:
            case "compute":
                await Compute(node=node, cost=Cost(flops=job.amount))
            case "upload":
                await Transfer(source=node, target=SERVER, size=job.amount)
            case "download":
                await Transfer(source=SERVER, target=node, size=job.amount)

    def _arrange(self, incidents: Incidents, event: Event) -> None:
        network, name = self.world.kernel.network, f"m{event.machine}"
        match event.change:
            case "bandwidth":
                incidents.bandwidth("line", network.legs("cell--edge"), event.value, event.at, None)
            case "pause":
                incidents.pause(name, event.at, event.lasts)
            case "outage":
                incidents.outage(name, network.ways(name), event.at, event.lasts)
            case _:
                incidents.at(event.at, partial(self._happen, event))

    def _happen(self, event: Event) -> None:
        presence = self.presences[event.machine]
        match event.change:
            case "leave":
                presence.leave("history", "off")
            case "return":
                presence.come("history")
            case _:
                self.governors[event.machine].point = int(event.value)
                self.nodes[event.machine].govern()

    def result(self) -> Played:
        """What it came to."""
        account, least, ledger = Account(jobs=self.ends), [0.0], 0.0
        for node, begun in zip(self.nodes, self.begun, strict=True):
            battery, heat = node.battery, node.heat
            account.energy.append(node.total - node.energy.get("loss", 0.0))
            account.charge.append(_state(node) if battery else None)
            account.temperature.append(heat.temperature if heat else None)
            account.warmest.append(heat.hottest if heat else None)
            least += [*node.energy.values(), battery.charge if battery else 0.0]
            if battery:
                fell = begun - battery.charge
                drawn = node.total - battery.supplied - battery.charged
                ledger = max(ledger, abs(fell - drawn) / max(node.total, battery.charge, _ROOM))
        least += [end.progress for end in self.ends if end]
        return Played(account, ledger, min(least))


def _pack(store: Store) -> BatteryPack:
    mean = sum((x1 - x0) * (v0 + v1) / 2 for (x0, v0), (x1, v1) in pairwise(store.voltages))
    return BatteryPack(
        capacity=store.capacity * (mean if store.model == "voltage" else 1.0),
        efficiency=store.efficiency,
        charge_efficiency=store.charge_efficiency,
        restart=store.restart,
        model=store.model,  # pyright: ignore[reportArgumentType]
        voltage=store.voltages,
        cutoff=store.cutoff,
        wells=Wells(available=store.available, rate=store.rate) if store.rate else None,
    )


def _state(node: Node) -> float:
    """What is in a battery, in the unit of its model."""
    assert node.battery
    return getattr(node.battery.store, "charge", node.battery.charge)


def _ended(outcome: Outcome) -> Ended:
    if outcome.dropped is None:
        return Ended(outcome.finished, "done", 1.0)
    return Ended(outcome.finished, outcome.dropped.cause, outcome.dropped.progress)
