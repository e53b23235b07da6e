"""An independent account of a history: its differential equations, integrated numerically.

It shares no code with the time plane that it checks. Between external events every machine m obeys

    dE/dt = P                                      joules drawn
    dT/dt = (P - (T - Ta) / R) / C                 temperature
    dq/dt = -P / n_d                               linear battery, joules
    dq/dt = -P / n_d / U(q)                        voltage battery, coulombs
    dy1/dt = -P / n_d + k c (1 - c) (y2 / (1 - c) - y1 / c),  dy2/dt = minus the exchange    KiBaM

with n_d the discharge efficiency; while a charger gives S > P, S - P times the charge efficiency
goes in instead, until q, or the level y1 / c, is at the capacity; from then on only what flows over
from y1 to y2 is made good, while the charger gives that much. An empty machine waits to be charged;
until then it draws what it draws when off if the charger gives as much, else nothing. P is the base
power, the operating point's watts while a job computes, and a radio's watts times the share of time
its bytes are in the air. Jobs lose what is left of them at rates that are shared equally on a
processor and max-min fairly in the network.

`scipy.integrate.solve_ivp` (DOP853, relative tolerance 1e-13) runs from event to event; jobs that
end, batteries that empty or fill and trip points are found by its event functions, after each of
which it is restarted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, cast

import numpy as np
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from hetsim.study.history import History, Job, Machine, Store

_RTOL = 1e-13
_LONGEST = 0.005
"""Longest step, as a share of the history: crossings are interpolated inside a step."""
_FULL, _EMPTY, _BACK, _DONE = "full", "empty", "back", "done"
_HOT, _COOL, _CORNER = "hot", "cool", "corner"
Vector = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(slots=True)
class Ended:
    """How a job ended: when, in what way, and the share of it that was done."""

    time: float
    outcome: str
    progress: float


@dataclass(slots=True)
class Account:
    """What a history came to.

    Attributes:
        jobs: how each ended; None if it was still going.
        energy: joules drawn by each machine.
        charge: of each battery at the end, in its own unit; None on mains.
        temperature: of each machine at the end; None without heat.
        warmest: its highest temperature.
        least: smallest rate at which a watched quantity crossed its threshold, relative to how fast
            it can change; a history whose crossings graze is decided by rounding.
    """

    jobs: list[Ended | None]
    energy: list[float] = field(default_factory=list[float])
    charge: list[float | None] = field(default_factory=list[float | None])
    temperature: list[float | None] = field(default_factory=list[float | None])
    warmest: list[float | None] = field(default_factory=list[float | None])
    least: float = inf


class _Unit:
    """A machine's discrete state."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.point = machine, machine.point
        self.here, self.dead, self.full, self.plugged = True, False, False, False
        self.pauses = self.outages = 0
        self.tripped = [False] * len(machine.body.trips if machine.body else ())
        self.flat, self.back = _thresholds(machine.store) if machine.store else (0.0, 0.0)

    @property
    def works(self) -> bool:
        return self.here and not self.dead

    @property
    def effective(self) -> int:
        trips = self.machine.body.trips if self.machine.body else ()
        limits = [trip.point for trip, on in zip(trips, self.tripped, strict=True) if on]
        return min([self.point, *limits])


class _World:
    """The discrete state, and the equations it implies."""

    def __init__(self, history: History) -> None:
        self.history, self.bandwidth = history, history.bandwidth
        self.units = [_Unit(machine) for machine in history.machines]
        self.running: dict[int, Job] = {}
        self.account = Account(jobs=[None] * len(history.jobs))
        count = len(self.units)
        self.energy = slice(0, count)
        self.first, self.second, self.heat = count, 2 * count, 3 * count
        self.left = 4 * count

    def start(self) -> Vector:
        y = np.zeros(self.left + len(self.history.jobs))
        for i, machine in enumerate(self.history.machines):
            if machine.store:
                whole = machine.store.capacity * machine.store.charge
                y[self.first + i] = whole * machine.store.available
                y[self.second + i] = whole - y[self.first + i]
            if machine.body:
                y[self.heat + i] = machine.body.ambient + machine.body.resistance * machine.idle
                trips = machine.body.trips
                self.units[i].tripped = [y[self.heat + i] >= trip.at for trip in trips]
        return y

    # --- what follows from the discrete state -----------------------------------------------------

    def rates(self) -> dict[int, float]:
        """Flops or bytes a second of every running job."""
        rates = _shares(self._flows())
        for number, job in self.running.items():
            if job.act == "compute":
                unit = self.units[job.machine]
                speed = 0.0 if unit.pauses else unit.machine.points[unit.effective][0]
                rates[number] = speed / self._busy(job.machine)
            elif self.units[job.machine].outages:
                rates[number] = 0.0
        return rates

    def _busy(self, who: int) -> int:
        """How many jobs share its processor."""
        return sum(job.machine == who and job.act == "compute" for job in self.running.values())

    def _flows(self) -> dict[int, _Flow]:
        history, flows = self.history, dict[int, _Flow]()
        lines = [machine.line for machine in history.machines]
        mean = sum(lines) / len(lines)
        for number, job in self.running.items():
            if job.act == "compute" or self.units[job.machine].outages:
                continue
            way = "both" if history.shared else job.act
            uses = {f"backbone {way}": (1.0, self.bandwidth)}
            weight, line = 1.0, lines[job.machine]
            match history.cell:
                case "ethernet":
                    uses[f"line {job.machine} {job.act}"] = (1.0, line)
                case "wifi":
                    uses["air"] = (1.0 / line, 1.0)
                case "lte":
                    uses[f"air {job.act}"] = (1.0 / line, 1.0)
                    weight = line / mean
            flows[number] = _Flow(uses, weight)
        return flows

    def powers(self, rates: Mapping[int, float]) -> list[float]:
        """Watts of every machine."""
        watts: list[float] = []
        for who, unit in enumerate(self.units):
            machine = unit.machine
            power = machine.idle if unit.works else machine.off
            if unit.dead and machine.off > _source(unit):
                power = 0.0
            if self._busy(who) and not unit.pauses:
                power += machine.points[unit.effective][1]
            for number, job in self.running.items():
                if job.machine == who and job.act != "compute":
                    radio = machine.transmit if job.act == "upload" else machine.receive
                    power += radio * rates[number] / machine.line
            watts.append(power)
        return watts

    def equations(self, y: Vector) -> Callable[[float, Vector], Vector]:
        """dy/dt while the discrete state is as it is; from `y` a full battery may have to fall."""
        rates = self.rates()
        watts = self.powers(rates)
        sources = [_source(unit) for unit in self.units]
        for i, (unit, power, source) in enumerate(zip(self.units, watts, sources, strict=True)):
            if unit.full and unit.machine.store:
                gain = (source - power) * unit.machine.store.charge_efficiency
                unit.full = gain >= max(-self._exchange(i, y), 0.0)

        def slope(_: float, y: Vector) -> Vector:
            dy = np.zeros_like(y)
            for i, (unit, power) in enumerate(zip(self.units, watts, strict=True)):
                dy[i] = power
                store, body = unit.machine.store, unit.machine.body
                if store:
                    net = power - sources[i]
                    push = net / store.efficiency if net > 0.0 else net * store.charge_efficiency
                    y1, y2 = y[self.first + i], y[self.second + i]
                    if store.model == "voltage":
                        shares, volts = zip(*store.voltages, strict=True)
                        push /= float(np.interp((y1 + y2) / store.capacity, shares, volts))
                    flow = self._exchange(i, y)
                    dy[self.first + i] = 0.0 if unit.full else flow - push
                    dy[self.second + i] = -flow
                if body:
                    gone = (y[self.heat + i] - body.ambient) / body.resistance
                    dy[self.heat + i] = (power - gone) / body.capacity
            for number, rate in rates.items():
                dy[self.left + number] = -rate
            return dy

        return slope

    def _exchange(self, who: int, y: Vector) -> float:
        """Joules a second from the bound well to the available one."""
        store = self.units[who].machine.store
        if not store or store.available == 1.0:
            return 0.0
        c = store.available
        heights = y[self.second + who] / (1.0 - c) - y[self.first + who] / c
        return float(store.rate * c * (1.0 - c) * heights)

    def watches(self, y: Vector) -> list[_Watch]:
        """What may happen next by itself; the corners of a voltage table too, to stop there."""
        watches = [_Watch(_DONE, number, 0, self.left + number, 0.0, -1) for number in self.running]
        for i, unit in enumerate(self.units):
            store, body = unit.machine.store, unit.machine.body
            if store and not unit.dead:
                watches.append(_Watch(_EMPTY, i, 0, self.first + i, unit.flat, -1))
            if store and unit.plugged and not unit.full:
                brim = store.capacity * store.available
                watches.append(_Watch(_FULL, i, 0, self.first + i, brim, 1))
            if store and unit.plugged and unit.dead:
                watches.append(_Watch(_BACK, i, 0, self.first + i, unit.back, 1))
            for share, _ in store.voltages[1:-1] if store else ():
                if store and y[self.first + i] != share * store.capacity:
                    corner = share * store.capacity
                    watches.append(_Watch(_CORNER, i, 0, self.first + i, corner, 0))
            for j, trip in enumerate(body.trips if body else ()):
                kind, level, way = (
                    (_COOL, trip.resume, -1) if unit.tripped[j] else (_HOT, trip.at, 1)
                )
                watches.append(_Watch(kind, i, j, self.heat + i, level, way))
        return watches

    def recharged(self, y: Vector) -> None:
        """Machines whose bound charge has followed while they waited for a charger."""
        for i, unit in enumerate(self.units):
            if unit.dead and unit.plugged and y[self.first + i] >= unit.back:
                unit.dead = False

    # --- what happens -----------------------------------------------------------------------------

    def happen(self, watch: _Watch, t: float, y: Vector) -> None:
        """Change the discrete state at a crossing; `y` is put exactly on it."""
        y[watch.place] = watch.level
        unit = self.units[watch.who] if watch.kind != _DONE else None
        match watch.kind:
            case "done":
                self.end(watch.who, t, "done", y)
            case "empty":
                assert unit
                unit.dead = True
                self.drop(watch.who, t, "battery", y)
            case "full":
                assert unit
                unit.full = True
            case "back":
                assert unit
                unit.dead = False
            case "corner":
                pass
            case _:
                assert unit
                unit.tripped[watch.which] = watch.kind == _HOT

    def end(self, number: int, t: float, outcome: str, y: Vector) -> None:
        """Job `number` ends."""
        del self.running[number]
        job = self.history.jobs[number]
        done = 1.0 - float(y[self.left + number]) / job.amount
        self.account.jobs[number] = Ended(t, outcome, done)

    def drop(self, who: int, t: float, cause: str, y: Vector) -> None:
        """A machine goes; so does what it was doing or waiting for."""
        for number, job in enumerate(self.history.jobs):
            if job.machine == who and job.at <= t and self.account.jobs[number] is None:
                if number in self.running:
                    self.end(number, t, cause, y)
                else:
                    self.account.jobs[number] = Ended(t, cause, 0.0)


@dataclass(frozen=True, slots=True)
class _Watch:
    """Component `place` of the state reaching `level` from below (1), above (-1) or both (0)."""

    kind: str
    who: int
    which: int
    place: int
    level: float
    way: int


@dataclass(frozen=True, slots=True)
class _Flow:
    """{resource: (use a byte, its capacity)} and the weight."""

    uses: dict[str, tuple[float, float]]
    weight: float


def _thresholds(store: Store) -> tuple[float, float]:
    """The state of charge (y1, for two wells) that is empty, and the one to work again from.

    Levels are shares of the usable joules, the integral of the voltage over the charge.
    """
    if store.model != "voltage":
        return 0.0, store.restart * store.capacity * store.available
    shares, volts = (np.array(column) for column in zip(*store.voltages, strict=True))
    flat = float(np.interp(store.cutoff, volts, shares)) if store.cutoff > volts[0] else 0.0

    def above(share: float) -> float:
        inner = shares[(shares > flat) & (shares < share)].tolist()
        return quad(np.interp, flat, share, args=(shares, volts), points=inner or None)[0]

    wanted = store.restart * above(1.0)
    back = cast(float, brentq(lambda share: above(share) - wanted, flat, 1.0, xtol=1e-14))
    return flat * store.capacity, back * store.capacity


def _source(unit: _Unit) -> float:
    return unit.machine.store.charger if unit.machine.store and unit.plugged else 0.0


def _shares(flows: Mapping[int, _Flow]) -> dict[int, float]:
    """Max-min fair rates: raise all at once, stop those whose resource is full, go on."""
    rates: dict[int, float] = {}
    while len(rates) < len(flows):
        lowest, full = inf, ""
        for name, capacity in {
            name: capacity for flow in flows.values() for name, (_, capacity) in flow.uses.items()
        }.items():
            taken = wanted = 0.0
            for number, flow in flows.items():
                if name in flow.uses:
                    use = flow.uses[name][0]
                    taken += use * rates.get(number, 0.0)
                    wanted += use * flow.weight * (number not in rates)
            if wanted and max(capacity - taken, 0.0) / wanted < lowest:
                lowest, full = max(capacity - taken, 0.0) / wanted, name
        for number, flow in flows.items():
            if number not in rates and full in flow.uses:
                rates[number] = lowest * flow.weight
    return rates


def integrate(history: History) -> Account:
    """Play a history by its equations."""
    world = _World(history)
    account = world.account
    y, t = world.start(), 0.0
    scale = np.maximum(np.abs(y), 1.0)
    warmest = [y[world.heat + i] for i in range(len(world.units))]
    agenda = _agenda(history)
    for until, happening in [*agenda, (history.horizon, None)]:
        while t < until:
            world.recharged(y)
            slope = world.equations(y)
            watches = world.watches(y)
            solution = solve_ivp(
                slope, (t, until), y, method="DOP853", rtol=_RTOL, atol=1e-12 * scale,
                max_step=_LONGEST * history.horizon,
                events=[_function(watch) for watch in watches], dense_output=False,
            )  # fmt: skip
            y, t = solution.y[:, -1].copy(), float(solution.t[-1])
            for i in range(len(world.units)):
                warmest[i] = max(warmest[i], y[world.heat + i])
            fired = [w for w, times in zip(watches, solution.t_events, strict=True) if len(times)]
            for watch in fired:
                if watch.kind != _CORNER:
                    speed = abs(float(slope(t, y)[watch.place]))
                    account.least = min(account.least, speed / max(abs(watch.level), 1.0))
                world.happen(watch, t, y)
            scale = np.maximum(np.abs(y), 1.0)
        if happening:
            happening(world, t, y)
            scale = np.maximum(np.abs(y), 1.0)
    account.energy = [float(joules) for joules in y[world.energy]]
    for i, machine in enumerate(history.machines):
        store, body = machine.store, machine.body
        charge = float(y[world.first + i] + y[world.second + i])
        account.charge.append(charge if store else None)
        account.temperature.append(float(y[world.heat + i]) if body else None)
        account.warmest.append(float(warmest[i]) if body else None)
    return account


def _function(watch: _Watch) -> Any:
    def distance(_: float, y: Vector) -> float:
        return float(y[watch.place] - watch.level)

    distance.terminal = True  # pyright: ignore[reportFunctionMemberAccess]
    distance.direction = watch.way  # pyright: ignore[reportFunctionMemberAccess]
    return distance


Happening = Callable[[_World, float, Vector], None]


def _agenda(history: History) -> list[tuple[float, Happening]]:
    """What comes from outside, in order of time."""
    agenda: list[tuple[float, Happening]] = []
    for number, job in enumerate(history.jobs):
        agenda += [(job.at, _asked(number)), (job.cancel, _cancelled(number))]
        if job.act != "compute":
            agenda.append((job.at + history.latency, _begun(number)))
    for event in history.events:
        if event.change in ("pause", "outage"):
            agenda += [
                (event.at, _held(event.change, event.machine, 1)),
                (event.at + event.lasts, _held(event.change, event.machine, -1)),
            ]
        else:
            agenda.append((event.at, _changed(event.change, event.machine, event.value)))
    for who, machine in enumerate(history.machines):
        for begin, end in machine.store.plugged if machine.store else ():
            agenda += [(begin, _plugged(who, True)), (end, _plugged(who, False))]
    due = [entry for entry in agenda if entry[0] < history.horizon]
    return sorted(due, key=lambda entry: entry[0])


def _asked(number: int) -> Happening:
    def happen(world: _World, t: float, y: Vector) -> None:
        job = world.history.jobs[number]
        unit = world.units[job.machine]
        y[world.left + number] = job.amount
        if not unit.works:
            world.account.jobs[number] = Ended(t, "battery" if unit.dead else "churn", 0.0)
        elif job.act == "compute":
            world.running[number] = job

    return happen


def _begun(number: int) -> Happening:
    def happen(world: _World, t: float, y: Vector) -> None:
        if world.account.jobs[number] is None:
            world.running[number] = world.history.jobs[number]

    return happen


def _cancelled(number: int) -> Happening:
    def happen(world: _World, t: float, y: Vector) -> None:
        if number in world.running:
            world.end(number, t, "deadline", y)
        elif world.account.jobs[number] is None:
            world.account.jobs[number] = Ended(t, "deadline", 0.0)

    return happen


def _changed(change: str, who: int, value: float) -> Happening:
    def happen(world: _World, t: float, y: Vector) -> None:
        match change:
            case "bandwidth":
                world.bandwidth = value
            case "clock":
                world.units[who].point = int(value)
            case "leave":
                world.units[who].here = False
                if not world.units[who].dead:
                    world.drop(who, t, "churn", y)
            case _:
                world.units[who].here = True

    return happen


def _held(change: str, who: int, step: int) -> Happening:
    def happen(world: _World, t: float, y: Vector) -> None:
        unit = world.units[who]
        if change == "pause":
            unit.pauses += step
        else:
            unit.outages += step

    return happen


def _plugged(who: int, on: bool) -> Happening:
    def happen(world: _World, t: float, y: Vector) -> None:
        world.units[who].plugged = on
        world.units[who].full = False

    return happen
