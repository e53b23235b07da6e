"""What the steps of a script take of each device of a fleet in columns, if all of it is done.

What a device computes takes it the time and the joules of `hetsim.sim.dvfs`, alone on its processor
at fixed clocks; what it moves takes a latency, perhaps a promotion of its radio, and then a part of
the air of its cell. Radio joules follow bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hetsim.core.cost import Cost
from hetsim.core.quantities import Joules, Seconds
from hetsim.sim._radios import Radios
from hetsim.sim.columns import Array, Move, NotTraceable, Rest, Step, Work, alike
from hetsim.sim.population import Population, Rows

_KIND_OF_DOMAIN = {"cpu": "compute", "gpu": "compute", "memory": "memory"}


class Plan(NamedTuple):
    """A step.

    Attributes:
        lasts: seconds; of a message, until its first byte counts.
        joules: above base, by kind.
        computing, radio: watts above base meanwhile.
        wait: what of `lasts` is a wait for the radio; None if it needs none.
        flow: level it needs, and air it takes a level; None without bytes.
        channel: of a flow, where each direction has its own.
    """

    lasts: Array
    joules: Mapping[str, Array]
    computing: Array
    radio: Array
    wait: Array | None = None
    flow: tuple[Array, Array] | None = None
    channel: int = 0

    def of(self, places: Rows) -> Plan:
        """The same of some of the devices."""
        return Plan(
            self.lasts[places], {kind: each[places] for kind, each in self.joules.items()},
            self.computing[places], self.radio[places],
            None if self.wait is None else self.wait[places],
            self.flow and (self.flow[0][places], self.flow[1][places]), self.channel,
        )  # fmt: skip


class Planner:
    """Knows what steps take of the devices of a population.

    Attributes:
        points: operating points of each kind.
    """

    def __init__(self, people: Population, radios: Radios) -> None:
        self._people, self._radios = people, radios
        self.points = people.points or [profile.highest for profile in people.profiles]
        self._by_time = np.array([cell.share != "dcf" for cell in people.cells])
        self._latency = np.array([cell.latency for cell in people.cells])
        self._connected = np.array([each.states.connected if each.states else 0.0
                                    for each in people.cells])  # fmt: skip

    def plan(self, steps: Sequence[Step], rows: Rows, now: Seconds) -> list[Plan]:
        """What each step takes of each of the rows, which set out now.

        Raises:
            NotTraceable: a work does not fit into the memory of a device.
        """
        people, radios, nothing = self._people, self._radios, np.zeros(len(rows))
        latency = self._latency[people.cell[rows]] + people.each(people.latency)[rows]
        plans: list[Plan] = []
        passed, heard = nothing, False
        for step in steps:
            wait = None
            if isinstance(step, Move):
                wait = nothing
                if radios.any:
                    known = radios.wait_after if heard else radios.wait
                    wait = known(rows, passed if heard else now + passed)
                passed, heard = nothing, True
            plans.append(self._take(step, rows, wait, latency))
            if wait is None:
                passed = passed + plans[-1].lasts
        return plans

    def _take(self, step: Step, rows: Rows, wait: Array | None, latency: Array) -> Plan:
        """What one step takes of each device."""
        nothing = np.zeros(len(rows))
        match step:
            case Work(cost=cost):
                lasts, kinds = self._work(cost, rows)
                joules = sum(kinds.values(), nothing)
                watts = np.divide(joules, lasts, out=nothing.copy(), where=lasts > 0.0)
                return Plan(lasts, kinds, watts, nothing)
            case Rest(duration=duration):
                return Plan(np.full(len(rows), duration), {}, nothing, nothing)
            case Move(size=size, up=up):
                lag = latency if wait is None else wait + latency
                if not size:
                    return Plan(lag, {}, nothing, nothing, wait)
                work, demand, price, watts = self._flow(rows, up)
                flow = size * work, demand
                return Plan(lag, {"radio": size * price}, nothing, watts, wait, flow, int(up))

    def _work(self, cost: Cost, rows: Rows) -> tuple[Array, dict[str, Array]]:
        """Seconds of a work, and joules by kind; counted once for all who are alike."""
        place, examples = alike(cost, self._people.kind[rows])
        lasts: list[Seconds] = []
        kinds: dict[str, list[Joules]] = {"compute": [], "memory": []}
        for kind, each in examples:
            profile = self._people.profiles[kind]
            if each.memory > profile.memory:
                raise NotTraceable(
                    f"the work does not fit into the memory of {profile.name}, which would drop it"
                )
            effort = profile.effort(each, self.points[kind])
            lasts.append(effort.duration)
            for joules in kinds.values():
                joules.append(0.0)
            for domain, joules in zip(profile.domains, effort.joules, strict=True):
                kinds[_KIND_OF_DOMAIN[domain.kind]][-1] += joules
        tables = {kind: np.array(joules)[place] for kind, joules in kinds.items() if any(joules)}
        return np.array(lasts)[place], tables

    def _flow(self, rows: Rows, up: bool) -> tuple[Array, Array, Array, Array]:
        """Of each device: level a byte, air a level, radio joules a byte, radio watts at most."""
        people, cell = self._people, self._people.cell[rows]
        rate = people.up[rows] if up else people.down[rows]
        watts = people.transmit[rows] if up else people.receive[rows]
        watts = np.maximum(watts - self._connected[cell], 0.0)
        beside = people.each(people.sending if up else people.receiving)[rows]
        weight = np.where(self._by_time[cell], rate, 1.0)
        return 1.0 / weight, weight / rate, watts / rate + beside, watts + beside * rate
