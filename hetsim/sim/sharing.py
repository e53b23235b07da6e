"""Fluid sharing: activities progress at weighted max-min fair rates of the resources they use.

Everything that takes time is an activity: a flow over links, a job on a processor, a pipeline over
both. Activity i progresses at rate x_i and uses c_ir * x_i of each resource r it needs, of capacity
C_r a second. Rates are weighted max-min fair: x_i = w_i * level, the level rising for all until a
resource is full or a cap is reached, which fixes the activities concerned.

Rates change only at events. Changes of one instant are solved together, just before the clock
moves, and only for the component of resources they touch; each component owns one wake-up, at the
first completion in it. A flow that uses `1 / r` seconds of a radio cell's one second of airtime a
second, at its own rate r, makes a slow station slow down the others.

Source: progressive filling, Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from heapq import heapify, heappop, heappush
from math import inf
from typing import Protocol

import simpy

from hetsim.core.quantities import Joules, Seconds
from hetsim.sim.clock import SOLVE, Call

_CLOSE = 1e-14
"""Completions this close together, as a share of the time since 0, are one instant."""


class Drawn(Protocol):
    """Whatever pays joules for an activity (a node)."""

    def redraw(self, now: Seconds) -> None:
        """Settle the past, then take the new power from the activities it pays for."""


class Resource:
    """Something of limited capacity a second.

    Attributes:
        name: for people.
        capacity: units a second (bytes, airtime seconds, processor seconds).
        users: activities in progress, with what they use of it a unit of progress.
    """

    __slots__ = ("capacity", "name", "users")

    def __init__(self, name: str, capacity: float) -> None:
        self.name, self.capacity = name, capacity
        self.users: dict[Activity, float] = {}

    @property
    def load(self) -> float:
        """Units a second in use."""
        return sum(activity.rate * use for activity, use in self.users.items())


class Activity:
    """Work in progress: `amount` units of it, at a `rate` that sharing decides.

    Attributes:
        uses: what it takes of each resource a unit of progress.
        weight: its share at a common bottleneck; None for an equal part of its only resource.
        cap: fastest rate on its own.
        payers: joules a unit of progress, by who pays: {node: {kind: joules}}.
        done, rate, settled: progress at the instant `settled`, and the rate since.
        joules: what it has drawn above base so far.
        eta: when it will be complete at this rate.
    """

    __slots__ = (
        "_price", "amount", "cap", "component", "done", "equal", "eta", "finish", "joules",
        "payers", "rate", "settled", "uses", "weight",
    )  # fmt: skip

    def __init__(
        self,
        amount: float,
        uses: dict[Resource, float],
        finish: Callable[[], None],
        *,
        weight: float | None = 1.0,
        cap: float = inf,
        payers: dict[Drawn, dict[str, Joules]] | None = None,
    ) -> None:
        self.amount, self.uses, self.finish = amount, uses, finish
        self.equal, self.weight, self.cap = weight is None, weight or 0.0, cap
        self.payers = payers or {}
        self._price = _total(self.payers)
        self.done = self.rate = self.settled = self.joules = 0.0
        self.eta = inf
        self.component: Component | None = None

    def settle(self, now: Seconds) -> None:
        """Account for the time since the last settlement at the rate of that time."""
        step = self.rate * (now - self.settled)
        self.done += step
        self.joules += step * self._price
        self.settled = now

    def complete(self, now: Seconds) -> None:
        """Settle, and take what rounding left as done."""
        self.settle(now)
        self.joules += (self.amount - self.done) * self._price
        self.done = self.amount

    def reprice(
        self,
        uses: dict[Resource, float],
        payers: dict[Drawn, dict[str, Joules]],
        weight: float | None,
        cap: float,
    ) -> None:
        """Change what a unit of progress takes from now on; settle first."""
        self.uses, self.payers = uses, payers
        self.equal, self.weight, self.cap = weight is None, weight or 0.0, cap
        self._price = _total(payers)


def _total(payers: dict[Drawn, dict[str, Joules]]) -> Joules:
    return sum(joules for kinds in payers.values() for joules in kinds.values())


class Component:
    """Activities that share resources, directly or through others; lives until re-solved."""

    __slots__ = ("activities", "due", "wake")

    def __init__(self, activities: list[Activity]) -> None:
        self.activities = activities
        self.due = min(activity.eta for activity in activities)
        self.wake: Call | None = None

    def dissolve(self) -> None:
        """Its rates are no longer valid, so its first completion is none."""
        if self.wake:
            self.wake.cancel()


class Sharing:
    """All activities of a run.

    Attributes:
        solves: how often a component was solved, for tests and benchmarks.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.solves = 0
        self._touched: dict[Resource, None] = {}
        self._payers: dict[Drawn, None] = {}
        self._flushing = False

    def start(self, activity: Activity) -> None:
        """Let `activity` progress from now on.

        Raises:
            ValueError: it uses no resource, so nothing decides its rate.
        """
        if not activity.uses:
            raise ValueError("an activity that uses no resource has no rate")
        activity.settled = self.env.now
        for resource, use in activity.uses.items():
            resource.users[activity] = use
        self._touch(activity)

    def stop(self, activity: Activity) -> float:
        """End `activity` now; returns the share of it that was done."""
        activity.settle(self.env.now)
        self._remove(activity)
        return min(activity.done / activity.amount, 1.0)

    def reprice(
        self,
        activity: Activity,
        uses: dict[Resource, float],
        payers: dict[Drawn, dict[str, Joules]],
        weight: float | None,
        cap: float,
    ) -> None:
        """Change what a unit of `activity` takes, from now on."""
        activity.settle(self.env.now)
        for resource in activity.uses:
            del resource.users[activity]
        self._touch(activity)
        activity.reprice(uses, payers, weight, cap)
        for resource, use in uses.items():
            resource.users[activity] = use
        self._touch(activity)

    def resize(self, resource: Resource, capacity: float) -> None:
        """Change the capacity of `resource` from now on."""
        resource.capacity = capacity
        self._touched[resource] = None
        self._schedule()

    def _touch(self, activity: Activity) -> None:
        for resource in activity.uses:
            self._touched[resource] = None
        for payer in activity.payers:
            self._payers[payer] = None
        self._schedule()

    def _remove(self, activity: Activity) -> None:
        for resource in activity.uses:
            del resource.users[activity]
        self._touch(activity)
        activity.rate = 0.0
        if activity.component:
            activity.component.dissolve()
            activity.component = None

    def _schedule(self) -> None:
        if not self._flushing:
            self._flushing = True
            Call(self.env, self._flush, priority=SOLVE)

    def _flush(self) -> None:
        now = self.env.now
        self._flushing = False
        touched, self._touched = self._touched, {}
        payers, self._payers = self._payers, {}
        seen: dict[Activity, None] = {}
        for resource in touched:
            group = _component(resource, seen)
            if not group:
                continue
            before = [activity.rate for activity in group]
            for activity in group:
                activity.settle(now)
                if activity.component:
                    activity.component.dissolve()
            solve(group)
            self.solves += 1
            for activity, rate in zip(group, before, strict=True):
                left = max(activity.amount - activity.done, 0.0)
                activity.eta = now + left / activity.rate if activity.rate else inf
                if activity.rate != rate:
                    for payer in activity.payers:
                        payers[payer] = None
            component = Component(group)
            for activity in group:
                activity.component = component
            if component.due < inf:
                wake = partial(self._wake, component)
                component.wake = Call(self.env, wake, max(component.due - now, 0.0))
        for payer in payers:
            payer.redraw(now)

    def _wake(self, component: Component) -> None:
        now = self.env.now
        limit = component.due * (1.0 + _CLOSE)
        ready = [activity for activity in component.activities if activity.eta <= limit]
        for activity in ready:
            activity.complete(now)
        for activity in ready:
            if activity.component is component:  # what an earlier one set off did not stop it
                self._remove(activity)
                activity.finish()


def _component(resource: Resource, seen: dict[Activity, None]) -> list[Activity]:
    """Unseen activities connected to `resource`, in a fixed order; marks them seen."""
    group: list[Activity] = []
    queue = [resource]
    known = {resource}
    while queue:
        for activity in queue.pop().users:
            if activity not in seen:
                seen[activity] = None
                group.append(activity)
                for other in activity.uses:
                    if other not in known:
                        known.add(other)
                        queue.append(other)
    return group


def _even_out(resource: Resource) -> None:
    """Let each activity that asks for an equal part weigh as much here as the others on average."""
    others = [use * user.weight for user, use in resource.users.items() if not user.equal]
    part = sum(others) / len(others) if others else 1.0
    for user, use in resource.users.items():
        if user.equal:
            user.weight = part / use


def solve(activities: Iterable[Activity]) -> None:
    """Set the weighted max-min fair rate of each activity.

    >>> link = Resource("link", 10.0)
    >>> a = Activity(1.0, {link: 1.0}, lambda: None)
    >>> b = Activity(1.0, {link: 1.0}, lambda: None, cap=3.0)
    >>> link.users.update({a: 1.0, b: 1.0})
    >>> solve([a, b]); (a.rate, b.rate)
    (7.0, 3.0)
    """
    activities = list(activities)
    equal = [next(iter(activity.uses)) for activity in activities if activity.equal]
    for resource in dict.fromkeys(equal):
        _even_out(resource)
    open_ = set(activities)

    def level(resource: Resource) -> float:
        """Where `resource` is full if only it limits the activities that are open."""
        free, wanted = resource.capacity, 0.0
        for activity, use in resource.users.items():
            if activity in open_:
                wanted += use * activity.weight
            else:
                free -= use * activity.rate
        return max(free, 0.0) / wanted if wanted else inf

    # What may stop the rise next. Fixing an activity at the lowest level lowers no other level, so
    # a resource whose own has risen since it was queued is queued again.
    limits: list[tuple[float, int, Activity | Resource]] = [
        (activity.cap / activity.weight, place, activity)
        for place, activity in enumerate(activities)
        if activity.cap < inf
    ]
    resources = dict.fromkeys(resource for activity in activities for resource in activity.uses)
    limits += [
        (level(resource), place, resource)
        for place, resource in enumerate(resources, start=len(activities))
    ]
    heapify(limits)
    while open_:
        queued, place, limit = heappop(limits)
        if isinstance(limit, Activity):
            if limit in open_:
                limit.rate = limit.cap
                open_.remove(limit)
        elif (now := level(limit)) > queued:
            heappush(limits, (now, place, limit))
        else:
            for activity in limit.users:
                if activity in open_:
                    activity.rate = activity.weight * now
                    open_.remove(activity)
