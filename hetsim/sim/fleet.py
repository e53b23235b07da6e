"""A fleet in columns: devices by the million, of which only those that are asked are touched.

A device is a row: its kind, its cell, its rates, joules by kind, the charge of its battery, and the
instant up to which it has been charged for being there. A device that nobody asks draws its idle
power, so what it has drawn by any instant follows from that row in closed form, its battery running
empty included: it is brought up to date when somebody looks.

Those who are asked play one script (`hetsim.sim.columns`), side by side from the same instant on.
What a device computes takes it the time and the joules of `hetsim.sim.dvfs`, alone on its processor
at fixed clocks; what it moves shares the air of its cell (`hetsim.sim.network`) by max-min
fairness (`hetsim.sim._cell`); radio joules follow bytes, whatever the contention. So times and
joules are those of the same script played device by device, up to rounding.

Temperatures are kept from above: a radio is taken to send for as long as a transfer takes. A device
that may grow so warm that it slows down, or whose battery would not last, is refused, and so must
be played device by device; whoever is not refused never met a trip point. Batteries are tanks
without a charger, clocks are at their highest, and lines behind the cells never fill up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.core.cost import Cost
from hetsim.core.quantities import Celsius, Joules, Seconds
from hetsim.sim._cell import Wave, play
from hetsim.sim._hours import Hours
from hetsim.sim._warmth import Warmth
from hetsim.sim.availability.base import Away
from hetsim.sim.availability.windows import Windows
from hetsim.sim.columns import (
    EVERYONE,
    Array,
    Column,
    Move,
    NotTraceable,
    Party,
    Rest,
    Step,
    Work,
    alike,
    trace,
)
from hetsim.sim.device import Profile
from hetsim.sim.heat import ROOM
from hetsim.sim.requests import Script

Rows = NDArray[np.intp]
_KIND_OF_DOMAIN = {"cpu": "compute", "gpu": "compute", "memory": "memory"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Air that stations share: one channel for both directions, or one for each.

    Attributes:
        latency: one way to the server, lines included.
        share: dcf for equal throughput, airtime for equal time.
        apart: whether each direction has a channel of its own (LTE).
    """

    latency: Seconds
    share: Literal["dcf", "airtime"] = "dcf"
    apart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Who there is, a row each.

    Attributes:
        profiles: the kinds.
        kind: of each device, a place in `profiles`.
        cells: where they hang.
        cell: of each device, a place in `cells`.
        up, down: its rates, bytes/s.
        transmit, receive: watts of its radio above idle.
        charge: joules in its battery; infinite on mains.
        efficiency: share of a stored joule that reaches it.
        numbers: what a script may know of it, by name.
        ambient: temperature around them, at which they start.
        patterns: when devices are there; None for always. Left out, all are.
        pattern: of each device, a place in `patterns`.
    """

    profiles: Sequence[Profile]
    kind: Rows
    cells: Sequence[Cell]
    cell: Rows
    up: Array
    down: Array
    transmit: Array
    receive: Array
    charge: Array
    efficiency: Array
    numbers: Mapping[str, Array] = field(default_factory=dict[str, Array])
    ambient: Celsius = ROOM
    patterns: Sequence[Windows | None] = ()
    pattern: Rows = field(default_factory=lambda: np.empty(0, np.intp))

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A step of all who were asked, a row each; steps that a trace would leave out are none.

    Attributes:
        kind: what it is called in a trace.
        t0, t1: from when to when.
        energy: joules above base power.
        size: bytes moved.
        progress: share that was done.
        begun: who began it; the other rows mean nothing.
    """

    kind: str
    t0: Array
    t1: Array
    energy: Array
    size: Array
    progress: Array
    begun: NDArray[np.bool_]


class _Plan(NamedTuple):
    """What a step takes of each device.

    Attributes:
        lasts: seconds; of a flow, its latency.
        joules: above base, by kind.
        computing, radio: watts above base meanwhile.
        flow: level it needs, and air it takes a level; None without bytes.
        channel: of a flow, where each direction has its own.
    """

    lasts: Array
    joules: Mapping[str, Array]
    computing: Array
    radio: Array
    flow: tuple[Array, Array] | None = None
    channel: int = 0


class Fleet:
    """Devices as rows of arrays, played in waves of those who are asked.

    Attributes:
        people: who there is.
        hub: name of the other end of their transfers.
        energy: joules by kind, a row each, as far as it was looked at; `settle` brings it up to
            date.
        charge: joules in each battery; infinite on mains.
        warmth: their temperatures.
        hours: when they are there.
        since: instant up to which each device is charged.
        flows: transfers so far.
        solves: cells solved so far.
        touched: rows brought up to date so far.
    """

    def __init__(self, people: Population, hub: str = "server") -> None:
        self.people, self.hub = people, hub
        count = len(people)
        self.energy: dict[str, Array] = {"idle": np.zeros(count)}
        self.charge = people.charge.copy()
        self.warmth = Warmth(people.profiles, people.kind, people.ambient)
        self.since = np.zeros(count)
        self.flows = self.solves = self.touched = 0
        self._idle = np.array([profile.idle for profile in people.profiles])[people.kind]
        patterns, pattern = (people.patterns, people.pattern) if people.patterns else (
            (None,), np.zeros(count, np.intp)
        )  # fmt: skip
        self.hours = Hours(patterns, pattern)
        self._states: list[Away] = [each.away if each else "idle" for each in patterns]
        self._state = np.array(self._states)[pattern]
        watts = [[getattr(each, state) for state in self._states] for each in people.profiles]
        self._away = np.array(watts)[people.kind, pattern]
        self._by_time = np.array([cell.share == "airtime" for cell in people.cells])
        self._latency = np.array([cell.latency for cell in people.cells])

    # --- being there ----------------------------------------------------------------------------

    def settle(self, rows: Rows | slice, now: Seconds | Array) -> None:
        """Charge devices for being there up to now; one whose battery runs empty stops.

        Raises:
            ValueError: some are charged up to a later instant, that at which their script ends.
        """
        since, until = self.since[rows], np.broadcast_to(now, self.since[rows].shape)
        if (since > until).any():
            raise ValueError("some who were asked are not through yet")
        charge, share = self.charge[rows], self.people.efficiency[rows]
        here, away = self._stay(rows, until)
        drawn = self._draw(rows, here, away)
        empty = np.flatnonzero(drawn >= charge * share)
        if len(empty):
            gone = np.arange(len(self.people))[rows][empty]
            died = self._dies(gone)
            here[empty], away[empty] = self._stay(gone, np.minimum(died, until[empty]))
            drawn = self._draw(rows, here, away)
        self._charge(rows, "idle", self._idle[rows] * here)
        for state in dict.fromkeys(self._states):
            mine = (self._state[rows] == state) & (away > 0.0)
            if mine.any():
                self._charge(rows, state, np.where(mine, self._away[rows] * away, 0.0))
        lasted = here + away
        self.warmth.rest(rows, self._idle[rows], lasted, until - since - lasted)
        self.since[rows] = until
        self._drain(rows, drawn, charge, share)
        self.charge[np.arange(len(self.people))[rows][empty]] = 0.0
        self.touched += len(drawn)

    def present(self, rows: Rows | slice, now: Seconds) -> NDArray[np.bool_]:
        """Who is there at `now`, with a battery that lasts until then; changes nothing."""
        until = np.full(self.since[rows].shape, now)
        drawn = self._draw(rows, *self._stay(rows, until))
        lasts = drawn < self.charge[rows] * self.people.efficiency[rows]
        return lasts & (self.hours.leave(rows, until) > now)

    def _stay(self, rows: Rows | slice, until: Array) -> tuple[Array, Array]:
        """Seconds from the instant up to which devices are charged, there and away."""
        since = self.since[rows]
        here = self.hours.seconds(rows, until) - self.hours.seconds(rows, since)
        return here, np.maximum(until - since - here, 0.0)

    def _draw(self, rows: Rows | slice, here: Array, away: Array) -> Array:
        """Joules for being there and for being away."""
        return self._idle[rows] * here + self._away[rows] * away

    def _dies(self, rows: Rows) -> Array:
        """When batteries run empty."""
        stored = self.charge[rows] * self.people.efficiency[rows]
        return self.hours.spent(rows, self.since[rows], stored, self._idle[rows], self._away[rows])

    def _charge(self, rows: Rows | slice, kind: str, joules: Array) -> None:
        if kind not in self.energy:
            self.energy[kind] = np.zeros(len(self.people))
        self.energy[kind][rows] += joules

    def _drain(self, rows: Rows | slice, used: Array, charge: Array, share: Array) -> None:
        """Take what the devices used out of their batteries, losses included."""
        fed = charge < inf
        if not fed.any():
            return
        lost = np.where(fed, used / share - used, 0.0)
        self._charge(rows, "loss", lost)
        self.charge[rows] = np.maximum(charge - np.where(fed, used + lost, 0.0), 0.0)

    # --- being asked ----------------------------------------------------------------------------

    def play(
        self,
        script: Callable[[Party], Script[Any]],
        rows: Rows,
        now: Seconds,
        until: Seconds = inf,
    ) -> list[Phase]:
        """Let devices play a script side by side from now on.

        Args:
            script: of one device; it is played once, for all.
            rows: who is asked, each once.
            now: when.
            until: instant at which all stop. A device also stops when it leaves.

        Returns:
            its steps in order, each with a row a device.

        Raises:
            NotTraceable: the script must be played device by device, or a battery would not last;
                nothing has changed then.
        """
        numbers = {name: Column(column[rows]) for name, column in self.people.numbers.items()}
        steps = trace(script(Party(EVERYONE, numbers)), self.hub)
        if not self.present(rows, now).all():
            raise NotTraceable("some who are asked are away, or have an empty battery")
        stop = np.minimum(self.hours.leave(rows, np.full(len(rows), now)), until)
        phases, used, end, powers = self._phases(steps, rows, now, stop)
        self._check(rows, end, used)
        warm = self.warmth.after(rows, self._idle[rows], now - self.since[rows], powers)
        self.settle(rows, end)
        self.warmth.temperature[rows] = warm
        share, charge = self.people.efficiency[rows], self.charge[rows]
        for kind, joules in used.items():
            self._charge(rows, kind, joules)
        if used:
            self._drain(rows, np.sum(list(used.values()), axis=0), charge, share)
        return phases

    def _check(self, rows: Rows, end: Array, used: Mapping[str, Array]) -> None:
        """Refuse if a battery would run empty before its device is through."""
        wanted = self._draw(rows, *self._stay(rows, end))
        for joules in used.values():
            wanted = wanted + joules
        if (wanted >= self.charge[rows] * self.people.efficiency[rows]).any():
            raise NotTraceable("the battery of some who are asked would not last")

    def _phases(
        self, steps: Sequence[Step], rows: Rows, now: Seconds, until: Array
    ) -> tuple[list[Phase], dict[str, Array], Array, list[tuple[Array, Array, Array]]]:
        """What each step takes, the joules above base by kind, and when each device is through.

        Also of each step its seconds and watts above base, those of computing and of the radio.
        """
        plans = self._plan(steps, rows)
        waves, pause = list[Wave](), np.zeros(len(rows))
        for plan in plans:
            pause = pause + plan.lasts
            if plan.flow:
                waves.append(Wave(pause, *plan.flow, plan.channel))
                pause = np.zeros(len(rows))
        moved = iter(zip(*self._share(waves, rows, now, until), strict=True))
        phases: list[Phase] = []
        used: dict[str, Array] = {}
        powers: list[tuple[Array, Array, Array]] = []
        t0 = np.full(len(rows), now)
        begun = np.ones(len(rows), np.bool_)
        for step, plan in zip(steps, plans, strict=True):
            end, done = next(moved) if plan.flow else _timed(t0, plan.lasts, until)
            t1 = np.minimum(end, until)
            done = np.where(begun, done, 0.0)
            drawn = np.zeros(len(rows))
            for kind, joules in plan.joules.items():
                drawn = drawn + joules * done
                used[kind] = used.get(kind, 0.0) + joules * done
            if plan.flow or (step.kind and not isinstance(step, Move) and plan.lasts.any()):
                size = step.size if isinstance(step, Move) else 0.0
                phases.append(
                    Phase(
                        kind=step.kind, t0=t0, t1=t1, energy=drawn, size=size * done, progress=done,
                        begun=begun,
                    )
                )  # fmt: skip
            powers.append((t1 - t0, plan.computing, plan.radio))
            t0, begun = t1, begun & (done == 1.0)
        return phases, used, t0, powers

    def _plan(self, steps: Sequence[Step], rows: Rows) -> list[_Plan]:
        """What each step takes of each device, if all of it is done."""
        nothing = np.zeros(len(rows))
        latency = self._latency[self.people.cell[rows]]
        plans: list[_Plan] = []
        for step in steps:
            match step:
                case Work(cost=cost):
                    lasts, kinds = self._work(cost, rows)
                    joules = sum(kinds.values(), nothing)
                    watts = np.divide(joules, lasts, out=nothing.copy(), where=lasts > 0.0)
                    plans.append(_Plan(lasts, kinds, watts, nothing))
                case Rest(duration=duration):
                    plans.append(_Plan(np.full(len(rows), duration), {}, nothing, nothing))
                case Move(size=0.0):
                    plans.append(_Plan(latency, {}, nothing, nothing))
                case Move(size=size, up=up):
                    work, demand, price, watts = self._flow(rows, up)
                    flow = size * work, demand
                    plans.append(
                        _Plan(latency, {"radio": size * price}, nothing, watts, flow, int(up))
                    )
        return plans

    def _work(self, cost: Cost, rows: Rows) -> tuple[Array, dict[str, Array]]:
        """Seconds of a work, and joules by kind; counted once for all who are alike."""
        place, examples = alike(cost, self.people.kind[rows])
        lasts: list[Seconds] = []
        kinds: dict[str, list[Joules]] = {"compute": [], "memory": []}
        for kind, each in examples:
            profile = self.people.profiles[kind]
            if each.memory > profile.memory:
                raise NotTraceable(f"the work does not fit into the memory of {profile.name}")
            effort = profile.effort(each, profile.highest)
            lasts.append(effort.duration)
            for joules in kinds.values():
                joules.append(0.0)
            for domain, joules in zip(profile.domains, effort.joules, strict=True):
                kinds[_KIND_OF_DOMAIN[domain.kind]][-1] += joules
        tables = {kind: np.array(joules)[place] for kind, joules in kinds.items() if any(joules)}
        return np.array(lasts)[place], tables

    def _flow(self, rows: Rows, up: bool) -> tuple[Array, Array, Array, Array]:
        """Of each device: level a byte, air a level, radio joules a byte, radio watts."""
        people = self.people
        rate = people.up[rows] if up else people.down[rows]
        watts = people.transmit[rows] if up else people.receive[rows]
        cell = people.cell[rows]
        weight = np.where(self._by_time[cell], rate, 1.0)
        return 1.0 / weight, weight / rate, watts / rate, watts

    def _share(
        self, waves: Sequence[Wave], rows: Rows, now: Seconds, until: Array
    ) -> tuple[list[Array], list[Array]]:
        """When each flow ends, and how much of it was moved, cell by cell."""
        ends = [np.empty(len(rows)) for _ in waves]
        shares = [np.empty(len(rows)) for _ in waves]
        if not waves:
            return ends, shares
        cell = self.people.cell[rows]
        number = np.min_scalar_type(len(self.people.cells))  # small numbers are sorted by counting
        order = np.argsort(cell.astype(number), kind="stable")
        ordered = [wave.of(order) for wave in waves]
        stops = until[order]
        bounds = np.flatnonzero(np.diff(cell[order], prepend=-1, append=-1))
        for first, last in pairwise(bounds.tolist()):
            part = slice(first, last)
            apart = self.people.cells[int(cell[order[first]])].apart
            there = [wave.of(part) for wave in ordered]
            if not apart:
                there = [wave._replace(channel=0) for wave in there]
            times, moved = play(now, there, stops[part])
            for place in range(len(waves)):
                ends[place][order[part]] = times[place]
                shares[place][order[part]] = moved[place]
            self.solves += 1
        self.flows += len(waves) * len(rows)
        return ends, shares


def _timed(begun: Array, lasts: Array, until: Array) -> tuple[Array, Array]:
    """When steps of known length end, and the share that is done by `until`."""
    end = begun + lasts
    left = np.maximum(until - begun, 0.0)
    part = np.divide(left, lasts, out=np.ones_like(lasts), where=lasts > left)
    return end, np.where(end <= until, 1.0, part)
