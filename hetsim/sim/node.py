"""A node in action: base state, joules by kind, clocks, memory, and its physical parts.

At every instant a node draws exactly one base state (off, sleep, idle) and, above it, its steady
draws, what its activities draw and what it pays for the load of lines. Joules are exact whatever
the rates did in between: base and steady power are charged by time, and the rest by progress. What
goes by time is charged when someone asks or it changes; the rest, and a step of the "power_w"
counter, whenever an activity of the node begins or ends. The counter holds the mean between two
such steps.

A node with parts that follow its power at every instant (a battery, heat) is `watching`: it is
redrawn whenever a rate of its activities changes, so that its power is constant between two
settlements. A part says in closed form when it wants to be looked at (empty, a trip point), and the
node wakes at the earliest of these instants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

import simpy

from hetsim.core.cost import Cost
from hetsim.core.errors import si
from hetsim.core.quantities import Bytes, Fraction, Joules, Seconds, Watts
from hetsim.core.rng import entropy
from hetsim.core.trace import BASE_KINDS, Counter, Note, Trace
from hetsim.sim.battery import BatteryState
from hetsim.sim.clock import Call
from hetsim.sim.device import Profile
from hetsim.sim.dvfs import ADDING, Domain, Effort, effort
from hetsim.sim.governors.base import Governor, Outlook, Planning, View, allowed, begun
from hetsim.sim.heat import HeatState
from hetsim.sim.memory import MemoryState
from hetsim.sim.pause import Pause
from hetsim.sim.sharing import Activity, Resource

if TYPE_CHECKING:
    from hetsim.sim.job import Job

_NEAR: Seconds = 60.0
"""From this time before a part wants to be looked at, the alarm is set to the very instant."""
_SAME = 1e-12
"""Relative change of a counter that is rounding, not news."""
_KIND_OF_DOMAIN = {"cpu": "compute", "gpu": "compute", "memory": "memory"}
_DRAWN = tuple(dict.fromkeys(_KIND_OF_DOMAIN.values()))
_NOTHING = Cost()


class Part(Protocol):
    """Something physical that what the node draws drives, exact while that is constant.

    Attributes:
        track: name of its counter.
        grain: change of its value that is worth a point there.
    """

    @property
    def track(self) -> str:
        """See above."""
        ...

    @property
    def grain(self) -> float:
        """See above."""
        ...

    @property
    def value(self) -> float:
        """What its counter shows."""
        ...

    def advance(self, used: Mapping[str, Joules], dt: Seconds) -> Joules:
        """Follow the use of joules by kind, even over `dt`; returns joules lost beside them."""
        ...

    def moment(self, share: Fraction, dt: Seconds) -> Seconds:
        """When `share` of the change of its value over the last `dt` was done."""
        ...

    def horizon(self, draw: Mapping[str, Watts]) -> Seconds:
        """Seconds until it wants to be looked at, if the draw stays as it is."""
        ...

    def reach(self, draw: Mapping[str, Watts]) -> bool:
        """Be there, only rounding is between; returns whether the node has to do something."""
        ...


class _Task(NamedTuple):
    """A job's part on a node, for who governs it (`hetsim.sim.governors.base.Task`)."""

    job: Job
    node: Node

    @property
    def cost(self) -> Cost:
        """All of it; a stream may have several stages here."""
        first, *others = self.job.costs_on(self.node)
        return sum(others, first)

    @property
    def items(self) -> float:
        """Steps, or items of a stream."""
        return self.job.pipe.items if self.job.pipe else self.cost.steps or 1.0

    @property
    def elsewhere(self) -> tuple[Seconds, Seconds]:
        """At least so long it is in other places: between its items here, and after them."""
        return self.job.elsewhere(self.node)

    @property
    def done(self) -> Fraction:
        """Share that is done."""
        return self.job.done


class Node:
    """Anything that draws power: a device, a gateway, a server or a link.

    Attributes:
        name, role, profile_name, power_scope: what it is.
        base: power of each base state by kind, {"idle": {"idle": 2.3, "radio_idle": 0.1}, ...}.
        state: the base state it is in.
        present: whether it may be given work; a node that is away may still be awake.
        absences: what keeps it away, each with the base state it asks for.
        energy: joules so far by kind; call `settle` before reading it.
        activities: work in progress that draws power here, and how much of each is charged; kept
            by the sharing.
        meters: lines whose load it pays for, and how much of each is charged; kept by the lines.
        watching: whether a part of it needs its power at every instant; change it only while it
            pays for nothing.
        processor: its processor seconds a second, shared by jobs; none during a pause.
        pause: of the latest change of its operating points.
        points: operating point of each domain.
        plans: whether its governor asks for more than how busy it is.
        deadline: instant by which its jobs should be done, for a governor that plans.
        ahead: work that is announced to it, less that of the jobs begun since.
        on_empty: called when the battery is empty.
        on_charged: called when an empty battery has been charged enough to start again.
    """

    __slots__ = (
        "_accrued", "_alarm", "_constant", "_due", "_effort", "_fed", "_going_on", "_known",
        "_parts", "_review", "_settled", "_shown", "_steady", "_watts", "absences", "activities",
        "ahead", "base", "battery", "busy", "deadline", "domains", "energy", "env", "governor",
        "heat", "jobs", "memory", "meters", "name", "on_charged", "on_empty", "pause", "plans",
        "points", "power_scope", "present", "processor", "profile_name", "role", "state", "timing",
        "trace", "watching",
    )  # fmt: skip

    def __init__(
        self,
        env: simpy.Environment,
        trace: Trace,
        name: str,
        role: str,
        *,
        base: Mapping[str, Mapping[str, Watts]],
        profile: Profile | None = None,
        power_scope: str = "",
        governor: Governor | Planning | None = None,
        battery: BatteryState | None = None,
        heat: HeatState | None = None,
        seed: int = 0,
    ) -> None:
        self.env, self.trace, self.name, self.role = env, trace, name, role
        self.profile_name = profile.name if profile else ""
        self.power_scope = profile.power_scope if profile else power_scope
        self.base, self.state = base, "idle"
        self.present = True
        self.absences: dict[str, str] = {}
        self.domains: tuple[Domain, ...] = profile.domains if profile else ()
        self.timing = profile.timing if profile else ADDING
        self.memory = MemoryState(capacity=profile.memory if profile else 0.0)
        self.battery, self.heat = battery, heat
        stream = entropy(seed, "sim/governor", name)
        self.governor = begun(governor, stream) if governor else None
        self.plans = isinstance(governor, Planning)
        self.on_empty: Callable[[], None] = lambda: None
        self.on_charged: Callable[[], None] = lambda: None
        self.processor = Resource(f"{name}/processor", 1.0, told=False)
        self.activities: dict[Activity, float] = {}
        self.meters: dict[Resource, float] = {}
        self._parts: list[tuple[Part, Callable[[], None]]] = []
        if battery:
            self._parts.append((battery, self._battery_changed))
        if heat:
            self._parts.append((heat, self._heat_changed))
        self.watching = bool(self._parts)
        self.jobs: dict[Job, None] = {}
        self.points = tuple(0 for _ in self.domains)
        self.deadline: Seconds = inf
        self.ahead = Cost()
        self.energy: dict[str, Joules] = {}
        self._watts: Watts = 0.0
        self._shown = inf
        self.busy: Seconds = 0.0
        self._steady: dict[str, tuple[str, Watts]] = {}
        self._constant: dict[str, Watts] = {}
        self._settled = self._accrued = env.now
        self._alarm: Call | None = None
        self._due = inf
        self._fed = False
        self._review: Call | None = None
        self._effort: tuple[Cost, tuple[int, ...], Effort] = (
            Cost(), self.points, Effort(duration=0.0, busy=(), joules=()),
        )  # fmt: skip
        self.pause = Pause(profile.switch if profile else 0.0)
        self._going_on: Call | None = None
        self._known: dict[str, float] = {}
        for part, _ in self._parts:
            self._count(part.track, part.value, env.now)
        if heat and any(heat.tripped):
            self._count("throttled", 1.0, env.now)
        self.govern()
        self._renew(env.now)

    def __repr__(self) -> str:
        return f"<Node {self.name}>"

    # --- energy ---------------------------------------------------------------------------------

    def settle(self, now: Seconds) -> None:
        """Charge all that was drawn up to now."""
        self.charge(now)
        dt = now - self._accrued
        if dt > 0.0:
            self._accrued = now
            energy = self.energy
            for kind, watts in self._constant.items():
                energy[kind] = energy.get(kind, 0.0) + watts * dt

    def charge(self, now: Seconds) -> None:
        """Charge what activities and lines have drawn; what is drawn by time alone may wait."""
        dt = now - self._settled
        if dt <= 0.0:
            return
        watts = self._watts
        if self._parts:
            watts += self._follow(now, dt) / dt
        elif self.activities or self.meters:
            watts += self._collect(now, self.energy) / dt
        if abs(watts - self._shown) > _SAME * watts:
            self._shown = watts
            self.trace.counters.append(Counter(self._settled, self.name, "power_w", watts))
        if self.jobs:
            self.busy += dt
        self._settled = now

    def _collect(self, now: Seconds, used: dict[str, Joules]) -> Joules:
        """Add the joules of what has progressed to `used`, by kind; returns how many they are."""
        drawn, activities = 0.0, self.activities
        for activity, charged in activities.items():
            if activity.bundle:
                activity.settle(now)
            done = activity.done
            if done != charged:
                activities[activity] = done
                for kind, price in activity.payers[self].items():
                    joules = (done - charged) * price
                    drawn += joules
                    used[kind] = used.get(kind, 0.0) + joules
        for line, charged in self.meters.items():
            carried = line.carried(now)
            if carried != charged and line.tariff:
                self.meters[line] = carried
                _, kind, price = line.tariff
                joules = (carried - charged) * price
                drawn += joules
                used[kind] = used.get(kind, 0.0) + joules
        return drawn

    def _follow(self, now: Seconds, dt: Seconds) -> Joules:
        """The same for a node with parts, which follow all that is drawn."""
        used: dict[str, Joules] = {}
        drawn = self._collect(now, used)
        for kind, joules in used.items():
            self.energy[kind] = self.energy.get(kind, 0.0) + joules
        for kind, watts in self._constant.items():
            used[kind] = used.get(kind, 0.0) + watts * dt
        for part, _ in self._parts:
            before = part.value
            lost = part.advance(used, dt)
            if lost:
                self.energy["loss"] = self.energy.get("loss", 0.0) + lost
            after, grain = part.value, part.grain
            if abs(after - before) >= grain or abs(after - self._known[part.track]) >= grain:
                self._draw_curve(part, before, dt)
        return drawn

    def redraw(self, now: Seconds) -> None:
        """Settle the past: a rate has changed. Then watch what the power drives."""
        self.settle(now)
        if self._parts:
            self._watch(now)

    def _renew(self, now: Seconds) -> None:
        """Settle the past: what is drawn by time has changed. Then take it anew."""
        self.settle(now)
        self._constant = {}
        draws = (*self.base[self.state].items(), *self._steady.values())
        if self._can_draw(sum(watts for _, watts in draws)):
            for kind, watts in draws:
                if watts:
                    self._constant[kind] = self._constant.get(kind, 0.0) + watts
        self._watts = sum(self._constant.values())
        if self._parts:
            self._watch(now)

    def _can_draw(self, watts: Watts) -> bool:
        """Whether its battery, or the source that charges an empty one, can give `watts`."""
        battery = self.battery
        return battery is None or not battery.empty or battery.supply >= watts

    def steady(self, source: str, kind: str, watts: Watts) -> None:
        """Draw `watts` above base for `source` from now on, whatever else happens; 0 ends it."""
        self.settle(self.env.now)
        if watts:
            self._steady[source] = (kind, watts)
        else:
            self._steady.pop(source, None)
        self._renew(self.env.now)

    def power(self) -> dict[str, Watts]:
        """What it draws at this instant, by kind."""
        drawn = dict(self._constant)
        for activity in self.activities:
            for kind, joules in activity.payers[self].items():
                drawn[kind] = drawn.get(kind, 0.0) + joules * activity.rate
        for line in self.meters:
            if line.tariff:
                _, kind, joules = line.tariff
                drawn[kind] = drawn.get(kind, 0.0) + joules * line.load
        return drawn

    @property
    def total(self) -> Joules:
        """All joules up to the last settlement."""
        return sum(self.energy.values())

    def drawn(self, now: Seconds) -> Joules:
        """All joules up to now; only who works must be settled to know them."""
        if self.activities or self.meters:
            self.settle(now)
            return self.total
        lost = self.battery.loss(self._watts) * (now - self._settled) if self.battery else 0.0
        return self.total + self._watts * (now - self._accrued) + lost

    @property
    def active(self) -> Joules:
        """Joules above base, with the battery's losses on them."""
        above = sum(joules for kind, joules in self.energy.items()
                    if kind not in BASE_KINDS and kind != "loss")  # fmt: skip
        lost = self.energy.get("loss", 0.0)
        return above * (1.0 + lost / (self.total - lost)) if lost else above

    # --- physical parts -------------------------------------------------------------------------

    def feed(self, changes: Iterator[tuple[Seconds, Watts]]) -> None:
        """Charge the battery from a source: (instant, watts from then on), in order."""
        battery = self.battery
        assert battery

        def follow() -> None:
            when, watts = next(changes, (inf, 0.0))
            self._fed = when < inf
            if when <= self.env.now:
                offer(watts)
            elif self._fed:
                Call(self.env, partial(offer, watts), when - self.env.now)

        def offer(watts: Watts) -> None:
            self.settle(self.env.now)
            battery.supply = watts
            self._renew(self.env.now)
            follow()

        follow()

    @property
    def lost(self) -> bool:
        """Whether its battery is empty and nothing will ever charge it."""
        battery = self.battery
        return battery is not None and battery.empty and not self.fed

    @property
    def fed(self) -> bool:
        """Whether something charges its battery, now or later."""
        return self.battery is not None and bool(self._fed or self.battery.supply)

    def _watch(self, now: Seconds) -> None:
        """Make sure that the node wakes when a part wants to be looked at.

        The alarm only moves forward. Far from that instant it rings halfway, to look again, so that
        a small rise in power does not move it.
        """
        draw, left = self.power(), inf
        for part, _ in self._parts:
            left = min(left, part.horizon(draw))
        if now + left >= self._due:
            return
        if self._alarm:
            self._alarm.cancel()
        wait = left if left < _NEAR else left / 2
        self._alarm, self._due = Call(self.env, self._look, wait), now + wait

    def _look(self) -> None:
        """See which parts are where they wanted to be looked at, and do what follows from it."""
        now = self.env.now
        self._alarm, self._due = None, inf
        self.settle(now)
        for part, follow in self._parts:
            draw = self.power()
            if now + part.horizon(draw) <= now:
                changed = part.reach(draw)
                self._count(part.track, part.value, now)
                if changed:
                    follow()
        self._renew(now)

    def _battery_changed(self) -> None:
        assert self.battery
        if self.battery.empty:
            self.on_empty()
        else:
            self.on_charged()

    def _draw_curve(self, part: Part, before: float, dt: Seconds) -> None:
        """Points of a part's counter over the `dt` since the last settlement."""
        change = part.value - before
        steps = int(abs(change) / part.grain) + 1
        for step in range(1, steps):
            when = self._settled + part.moment(step / steps, dt)
            self._count(part.track, before + change * step / steps, when)
        if abs(part.value - self._known[part.track]) >= part.grain:
            self._count(part.track, part.value, self._settled + dt)

    def _heat_changed(self) -> None:
        """A trip begins or ends: follow it; whoever reads is told of the first one."""
        assert self.heat
        if not self.heat.throttled:
            text = f"throttles for the first time, at {self.heat.temperature:.1f} °C"
            self.trace.notes.append(Note(self.env.now, self.name, "heat", text))
        self._count("throttled", float(any(self.heat.tripped)), self.env.now)
        self.govern()

    def switch(self, state: str) -> None:
        """Enter a base state: "off", "sleep" or "idle"; memory is lost with the power."""
        self.settle(self.env.now)
        self.state = state
        if state == "off":
            self.forget()
        self._renew(self.env.now)

    def forget(self) -> None:
        """Lose what is held in memory."""
        if lost := self.memory.lose():
            text = f"lost {si(lost)}B that it held in memory"
            self.trace.notes.append(Note(self.env.now, self.name, "memory", text))

    # --- clocks ---------------------------------------------------------------------------------

    def effort(self, cost: Cost) -> Effort:
        """Time and joules of `cost` at the present operating points."""
        known, points, found = self._effort
        if known is not cost or points != self.points:
            found = effort(self.domains, self.points, cost, self.timing)
            self._effort = cost, self.points, found
        return found

    def kinds(self, work: Effort) -> dict[str, Joules]:
        """Joules of a job by kind of energy."""
        kinds: dict[str, Joules] = {}
        for domain, joules in zip(self.domains, work.joules, strict=True):
            kind = _KIND_OF_DOMAIN[domain.kind]
            kinds[kind] = kinds.get(kind, 0.0) + joules
        return kinds

    def besides(self, work: Cost) -> Cost:
        """What has been announced to it besides a piece of work that is part of it."""
        return _less(self.ahead, work)

    def enter(self, job: Job) -> None:
        """A job starts: the governor is asked before it runs."""
        self.charge(self.env.now)
        self.jobs[job] = None
        if self.ahead != _NOTHING:
            for cost in job.costs_on(self):
                self.ahead = _less(self.ahead, cost)
        self.govern()

    def leave(self, job: Job) -> None:
        """A job ended."""
        self.charge(self.env.now)
        del self.jobs[job]
        self.govern()

    def govern(self) -> None:
        """Ask the governor for operating points, and let the jobs follow them."""
        if not self.governor or not self.domains:
            return
        if self._review:
            self._review.cancel()
            self._review = None
        before, domains = self.points, self.domains
        if self.heat:
            limits = self.heat.limits(domains)
            domains, self.points = allowed(domains, limits), tuple(map(min, before, limits))
        busy = self._busy_shares()
        choice = self.governor.choose(
            View(domains=domains, points=self.points, busy=busy, outlook=self._outlook)
        )
        self.points = tuple(  # the hardware obeys no governor that asks for more
            min(point, len(domain.points) - 1)
            for point, domain in zip(choice.points, domains, strict=True)
        )
        changed = self.points != before
        if changed and self.pause.length:
            self.pause.change(self.env.now, before, self.points)
            self._hold()
        if choice.review < inf:
            self._review = Call(self.env, self.govern, choice.review)
        if changed:
            for job in self.jobs:
                job.refresh()
        for domain, point in zip(self.domains, self.points, strict=True):
            frequency = domain.points[point].frequency
            self._count(f"frequency_hz.{domain.name}", frequency, self.env.now)

    def _outlook(self) -> Outlook:
        """What is to be done, for a governor that plans."""
        now = self.env.now
        self.charge(now)
        return Outlook(
            now=now,
            tasks=tuple([_Task(job, self) for job in self.jobs]),
            ahead=self.ahead,
            deadline=self.deadline,
            timing=self.timing,
            switch=self.pause.length,
            base={state: sum(kinds.values()) for state, kinds in self.base.items()},
            drawn=sum([self.energy.get(kind, 0.0) for kind in _DRAWN]),
        )

    def _hold(self) -> None:
        """Let no job progress until the pause of a clock change is over."""
        if self._going_on:
            self._going_on.cancel()
        left = self.pause.until - self.env.now
        if left > 0.0:
            self._going_on = Call(self.env, self._go_on, left)
            self._let_work(0.0)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._going_on = None
        self._let_work(1.0)

    def _let_work(self, capacity: float) -> None:
        sharing = next((job.sharing for job in self.jobs), None)
        if sharing:
            sharing.resize(self.processor, capacity)
        else:
            self.processor.capacity = capacity

    def _busy_shares(self) -> tuple[Fraction, ...]:
        """Share of time each domain works; jobs on the node get equal time."""
        shares = [0.0] * len(self.domains)
        costs = [cost for job in self.jobs for cost in job.costs_on(self)]
        for cost in costs:
            work = self.effort(cost)
            if work.duration > 0.0:
                for i, seconds in enumerate(work.busy):
                    shares[i] += seconds / work.duration / len(costs)
        return tuple(shares)

    # --- memory and trace -----------------------------------------------------------------------

    def fits(self, size: Bytes) -> bool:
        """Whether a job of this peak would fit into the empty node."""
        return size <= self.memory.capacity

    def _count(self, track: str, value: float, since: Seconds) -> None:
        """Record that `track` keeps `value` from `since` on, unless only rounding tells it."""
        known = self._known.get(track)
        if known is None or abs(value - known) > _SAME * abs(value):
            self._known[track] = value
            self.trace.counters.append(Counter(since, self.name, track, value))


def _less(cost: Cost, part: Cost) -> Cost:
    """What is left of a cost without a part of it, none of it below 0."""
    left = cost + part * -1.0
    return Cost(
        flops=max(left.flops, 0.0),
        traffic=max(left.traffic, 0.0),
        steps=max(left.steps, 0.0),
        samples=max(left.samples, 0.0),
        operators=max(left.operators, 0.0),
    )
