"""A random little world and what happens to it: plain data, played by whoever wants to be checked.

Machines with clocks, batteries and heat share a processor each and a cell that leads over a
backbone to the server. Jobs begin, are cancelled, machines leave and come back, clocks and
bandwidths change. Every number is drawn from the seed, so a history has a number and no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np

from hetsim.core.quantities import Bytes, Celsius, Flops, Fraction, Rate, Seconds, Watts
from hetsim.core.rng import rng

_MAINS, _LINEAR, _VOLTAGE, _KIBAM = "mains", "linear", "voltage", "kibam"
Cell = Literal["ethernet", "wifi", "lte"]
Act = Literal["compute", "upload", "download"]
Change = Literal["clock", "bandwidth", "leave", "return", "pause", "outage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A battery.

    Attributes:
        model: linear, voltage or kibam.
        capacity: when full: joules, or coulombs for the voltage model.
        charge: share of it at t = 0.
        efficiency: delivered share of what leaves it.
        charge_efficiency: stored share of what is put in.
        voltages: open-circuit voltage by share of charge, straight lines between; voltage model.
        available: share of the capacity in the available well; kibam.
        rate: k of the exchange between the wells, 1/s; kibam.
        cutoff: voltage at which it is empty; voltage model.
        restart: level (share of what can be used) from which a machine that ran empty works again.
        charger: watts of the charger.
        plugged: when it is plugged in.
    """

    model: str
    capacity: float
    charge: Fraction
    efficiency: Fraction
    charge_efficiency: Fraction
    voltages: tuple[tuple[Fraction, float], ...] = ()
    available: Fraction = 1.0
    rate: float = 0.0
    cutoff: float = 0.0
    restart: Fraction = 0.05
    charger: Watts = 0.0
    plugged: tuple[tuple[Seconds, Seconds], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """Above `at` the machine runs no faster than `point`, until it is below `resume`."""

    at: Celsius
    resume: Celsius
    point: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A machine's heat: K/W to ambient, J/K, the air, and its trips; it begins at idle's heat."""

    resistance: float
    capacity: float
    ambient: Celsius
    trips: tuple[Trip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A device.

    Attributes:
        idle, off: base power.
        points: (flops a second, watts above idle while busy) of each operating point.
        point: the one at t = 0.
        line: its own rate in the cell, both ways.
        transmit, receive: watts above idle while its bytes are in the air.
        store: none on mains.
        body: none if it never gets warm.
    """

    idle: Watts
    off: Watts
    points: tuple[tuple[float, Watts], ...]
    point: int
    line: Rate
    transmit: Watts
    receive: Watts
    store: Store | None
    body: Body | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Flops or bytes that a machine asks for at `at`, given up at `cancel` unless done."""

    at: Seconds
    machine: int
    act: Act
    amount: Flops | Bytes
    cancel: Seconds = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something from outside.

    Attributes:
        change: a machine's clock, leaving or return, pause or outage of its line, or the
            backbone's bandwidth.
        machine: whose; -1 for the backbone's.
        value: the operating point, or the bandwidth.
        lasts: of a pause or an outage.
    """

    at: Seconds
    change: Change
    machine: int = -1
    value: float = 0.0
    lasts: Seconds = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A world and its fate until `horizon`.

    Attributes:
        cell: how machines share the way to the backbone.
        latency: from a machine to the server.
        bandwidth: of the backbone at t = 0, in each direction or of both together.
        shared: whether both directions are one line.
    """

    number: int
    machines: tuple[Machine, ...]
    cell: Cell
    latency: Seconds
    bandwidth: Rate
    shared: bool
    jobs: tuple[Job, ...]
    events: tuple[Event, ...]
    horizon: Seconds


def draw(number: int) -> History:
    """History `number`."""
    stream = rng(number, "sim/history")
    horizon = float(stream.uniform(200.0, 1500.0))
    machines = tuple(_machine(stream, horizon) for _ in range(int(stream.integers(1, 5))))
    bandwidth = float(stream.uniform(0.5, 3.0)) * 1e6
    jobs = [_job(stream, machines, horizon) for _ in range(int(stream.integers(2, 13)))]
    events = [
        event
        for _ in range(int(stream.integers(0, 9)))
        for event in _events(stream, machines, bandwidth, horizon)
    ]
    return History(
        number=number,
        machines=machines,
        cell=("ethernet", "wifi", "lte")[int(stream.integers(3))],
        latency=float(stream.uniform(0.0, 0.2)),
        bandwidth=bandwidth,
        shared=bool(stream.integers(2)),
        jobs=tuple(sorted(jobs, key=lambda job: job.at)),
        events=tuple(sorted(events, key=lambda event: event.at)),
        horizon=horizon,
    )


def _machine(stream: np.random.Generator, horizon: Seconds) -> Machine:
    speed, watts = 1e9 * stream.uniform(0.5, 4.0), stream.uniform(1.0, 8.0)
    shares = np.sort(stream.uniform(0.15, 1.0, int(stream.integers(1, 5))))
    idle = float(stream.uniform(0.2, 3.0))
    points = tuple((float(speed * share), float(watts * share**2)) for share in shares)
    return Machine(
        idle=idle,
        off=float(idle * stream.uniform(0.0, 0.5)) if stream.integers(2) else 0.0,
        points=points,
        point=int(stream.integers(len(points))),
        line=float(stream.uniform(0.2, 4.0)) * 1e6,
        transmit=float(stream.uniform(0.2, 2.0)),
        receive=float(stream.uniform(0.1, 1.0)),
        store=_store(stream, idle + watts, horizon),
        body=_body(stream, idle, points) if stream.integers(2) else None,
    )


def _store(stream: np.random.Generator, power: Watts, horizon: Seconds) -> Store | None:
    model = (_MAINS, _LINEAR, _VOLTAGE, _KIBAM)[int(stream.integers(4))]
    if model == _MAINS:
        return None
    joules = float(power * horizon * stream.uniform(0.1, 1.5))
    shares = (0.0, *np.sort(stream.uniform(0.05, 0.95, 3)).tolist(), 1.0)
    volts = np.sort(stream.uniform(3.2, 4.3, len(shares))).tolist()
    plugged: tuple[tuple[Seconds, Seconds], ...] = ()
    if stream.integers(2):
        begin, end = np.sort(stream.uniform(0.0, horizon, 2)).tolist()
        plugged = ((begin, end),)
    return Store(
        model=model,
        capacity=joules / 3.8 if model == _VOLTAGE else joules,
        charge=float(stream.uniform(0.2, 1.0)),
        efficiency=float(stream.uniform(0.8, 1.0)),
        charge_efficiency=float(stream.uniform(0.8, 1.0)),
        voltages=tuple(zip(shares, volts, strict=True)) if model == _VOLTAGE else (),
        available=float(stream.uniform(0.3, 0.8)) if model == _KIBAM else 1.0,
        rate=float(10 ** stream.uniform(-4.0, -2.0)) if model == _KIBAM else 0.0,
        cutoff=float(np.interp(0.1, shares, volts)) if model == _VOLTAGE else 0.0,
        charger=float(power * stream.uniform(0.3, 1.5)) if plugged else 0.0,
        plugged=plugged,
    )


def _body(
    stream: np.random.Generator, idle: Watts, points: tuple[tuple[float, Watts], ...]
) -> Body:
    """Warm enough that most of these machines throttle when they work for long."""
    ambient, resistance = float(stream.uniform(10.0, 35.0)), float(stream.uniform(3.0, 10.0))
    least, most = (ambient + resistance * (idle + watts) for _, watts in (points[0], points[-1]))
    trips: list[Trip] = []
    for point in sorted(set(stream.integers(0, len(points), 2).tolist()), reverse=True):
        at = float(stream.uniform(0.5 * (ambient + least), 0.9 * most + 0.1 * least))
        trips.append(Trip(at=at, resume=at - float(stream.uniform(2.0, 6.0)), point=point))
    return Body(
        resistance=resistance,
        capacity=float(stream.uniform(5.0, 40.0)),
        ambient=ambient,
        trips=tuple(trips),
    )


def _job(stream: np.random.Generator, machines: tuple[Machine, ...], horizon: Seconds) -> Job:
    who = int(stream.integers(len(machines)))
    act: Act = ("compute", "upload", "download")[int(stream.integers(3))]
    speed = machines[who].points[-1][0] if act == "compute" else machines[who].line
    at = float(stream.uniform(0.0, 0.8 * horizon))
    cancel = at + float(stream.uniform(0.0, 0.5 * horizon)) if stream.uniform() < 0.25 else inf
    amount = float(speed * horizon * stream.uniform(0.01, 0.4))
    return Job(at=at, machine=who, act=act, amount=amount, cancel=cancel)


def _events(
    stream: np.random.Generator, machines: tuple[Machine, ...], bandwidth: Rate, horizon: Seconds
) -> list[Event]:
    at = float(stream.uniform(0.0, horizon))
    who = int(stream.integers(len(machines)))
    match int(stream.integers(6)):
        case 0:
            share = 0.0 if stream.uniform() < 0.2 else float(stream.uniform(0.1, 1.5))
            return [Event(at=at, change="bandwidth", value=share * bandwidth)]
        case 1:
            back = at + float(stream.uniform(0.0, 0.3 * horizon))
            return [
                Event(at=at, change="leave", machine=who),
                Event(at=back, change="return", machine=who),
            ]
        case 2 | 3 as kind:
            change: Change = "pause" if kind == 2 else "outage"
            lasts = float(stream.uniform(0.0, 0.3 * horizon))
            return [Event(at=at, change=change, machine=who, lasts=lasts)]
        case _:
            point = int(stream.integers(len(machines[who].points)))
            return [Event(at=at, change="clock", machine=who, value=point)]
