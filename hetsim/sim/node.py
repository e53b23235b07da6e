"""A node in action: base state, joules by kind, battery, clocks, memory.

At every instant a node draws exactly one base state (off, sleep, idle) and, above it, what its
activities draw. Power is constant between events, so joules are integrated exactly: every change
first settles the past. A battery-powered node wakes itself at the instant its battery empties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING

import simpy

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes, Fraction, Joules, Seconds, Watts
from hetsim.core.trace import BASE_KINDS, Trace
from hetsim.sim.battery import BatteryState
from hetsim.sim.clock import Call
from hetsim.sim.device import Profile
from hetsim.sim.dvfs import Domain, Effort, effort
from hetsim.sim.governors.base import Governor, View
from hetsim.sim.memory import MemoryState
from hetsim.sim.sharing import Activity, Resource

if TYPE_CHECKING:
    from hetsim.sim.job import Job

_NEAR: Seconds = 60.0
"""From this time before a battery is empty on, its alarm is set to the very instant."""
_KIND_OF_DOMAIN = {"cpu": "compute", "gpu": "compute", "memory": "memory"}


class Node:
    """Anything that draws power: a device, a gateway, a server or a link.

    Attributes:
        name, role, profile_name, power_scope: what it is.
        base: power of each base state by kind, {"idle": {"idle": 2.3, "radio_idle": 0.1}, ...}.
        state: the base state it is in.
        energy: joules so far by kind; call `settle` before reading it.
        activities: work in progress that draws power here.
        processor: its processor seconds a second, shared by jobs.
        points: operating point of each domain.
        on_empty: called when the battery is empty.
    """

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
        governor: Governor | None = None,
        battery: BatteryState | None = None,
    ) -> None:
        self.env, self.trace, self.name, self.role = env, trace, name, role
        self.profile_name = profile.name if profile else ""
        self.power_scope = profile.power_scope if profile else power_scope
        self.base, self.state = base, "idle"
        self.domains: tuple[Domain, ...] = profile.domains if profile else ()
        self.overhead: Seconds = profile.overhead if profile else 0.0
        self.memory = MemoryState(capacity=profile.memory if profile else 0.0)
        self.battery, self.governor = battery, governor
        self.on_empty: Callable[[], None] = lambda: None
        self.processor = Resource(f"{name}/processor", 1.0)
        self.activities: dict[Activity, None] = {}
        self.jobs: dict[Job, None] = {}
        self.points = tuple(0 for _ in self.domains)
        self.energy: dict[str, Joules] = {}
        self.busy: Seconds = 0.0
        self._draw: dict[str, Watts] = {}
        self._power: Watts = 0.0
        self._settled: Seconds = env.now
        self._alarm: Call | None = None
        self._due = inf
        self._review: Call | None = None
        self._known: dict[str, float] = {}
        self._govern()
        self.redraw(env.now)

    def __repr__(self) -> str:
        return f"<Node {self.name}>"

    # --- energy ---------------------------------------------------------------------------------

    def settle(self, now: Seconds) -> None:
        """Charge the time since the last settlement at the power of that time."""
        dt = now - self._settled
        if dt <= 0.0:
            return
        for kind, power in self._draw.items():
            if power:
                self.energy[kind] = self.energy.get(kind, 0.0) + power * dt
        if self.battery:
            lost = self.battery.drain(self._power, dt)
            if lost:
                self.energy["loss"] = self.energy.get("loss", 0.0) + lost
        if self.jobs:
            self.busy += dt
        self._settled = now

    def redraw(self, now: Seconds) -> None:
        """Settle the past, then take the power from the base state and the activities."""
        self.settle(now)
        empty = self.battery is not None and self.battery.empty
        draw = {} if empty else dict(self.base[self.state])
        for activity in self.activities:
            for kind, joules in activity.payers[self].items():
                draw[kind] = draw.get(kind, 0.0) + joules * activity.rate
        self._draw, self._power = draw, sum(draw.values())
        self._count("power_w", self._power)
        if self.battery:
            self._count("charge_j", self.battery.charge)
            self._watch(now)

    @property
    def total(self) -> Joules:
        """All joules up to the last settlement."""
        return sum(self.energy.values())

    @property
    def active(self) -> Joules:
        """Joules above base, with the battery's losses on them."""
        above = sum(joules for kind, joules in self.energy.items()
                    if kind not in BASE_KINDS and kind != "loss")  # fmt: skip
        return above / self.battery.efficiency if self.battery else above

    def _watch(self, now: Seconds) -> None:
        """Make sure that the node wakes when its battery empties.

        The alarm only moves forward. Far from the end it rings halfway, to look again, so that a
        small rise in power does not move it.
        """
        assert self.battery
        left = self.battery.time_to_empty(self._power)
        if now + left >= self._due or (self.battery.empty and self.state == "off"):
            return
        if self._alarm:
            self._alarm.cancel()
        wait = left if left < _NEAR else left / 2
        self._alarm, self._due = Call(self.env, self._check_battery, wait), now + wait

    def _check_battery(self) -> None:
        assert self.battery
        now = self.env.now
        self._alarm, self._due = None, inf
        self.settle(now)
        if now + self.battery.time_to_empty(self._power) <= now:  # only rounding is left
            self.battery.charge = 0.0
            self.on_empty()
        else:
            self._watch(now)

    def switch(self, state: str) -> None:
        """Enter a base state: "off", "sleep" or "idle"."""
        self.settle(self.env.now)
        self.state = state
        self.redraw(self.env.now)

    # --- clocks ---------------------------------------------------------------------------------

    def effort(self, cost: Cost) -> Effort:
        """Time and joules of `cost` at the present operating points."""
        return effort(self.domains, self.points, cost, self.overhead)

    def kinds(self, work: Effort) -> dict[str, Joules]:
        """Joules of a job by kind of energy."""
        kinds: dict[str, Joules] = {}
        for domain, joules in zip(self.domains, work.joules, strict=True):
            kind = _KIND_OF_DOMAIN[domain.kind]
            kinds[kind] = kinds.get(kind, 0.0) + joules
        return kinds

    def enter(self, job: Job) -> None:
        """A job starts: the governor is asked before it runs."""
        self.settle(self.env.now)
        self.jobs[job] = None
        self._govern()

    def leave(self, job: Job) -> None:
        """A job ended."""
        self.settle(self.env.now)
        del self.jobs[job]
        self._govern()

    def _govern(self) -> None:
        if not self.governor or not self.domains:
            return
        if self._review:
            self._review.cancel()
            self._review = None
        choice = self.governor.choose(
            View(domains=self.domains, points=self.points, busy=self._busy_shares())
        )
        changed, self.points = choice.points != self.points, choice.points
        if choice.review < inf:
            self._review = Call(self.env, self._govern, choice.review)
        if changed:
            for job in self.jobs:
                job.refresh()
        for domain, point in zip(self.domains, self.points, strict=True):
            self._count(f"frequency_hz.{domain.name}", domain.points[point].frequency)

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

    def _count(self, track: str, value: float) -> None:
        if self._known.get(track) != value:
            self._known[track] = value
            self.trace.count(self.env.now, self.name, track, value)
