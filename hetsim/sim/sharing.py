"""Fluid sharing: activities progress at weighted max-min fair rates of the resources they use.

Rates change only at events. Changes of one instant are solved together, just before the clock
moves, and only for the component of resources they touch; each component owns one wake-up, at the
first completion in it. A flow that uses `1 / r` seconds of a radio cell's one second of airtime a
second, at its own rate r, makes a slow station slow down the others.

A resource is shared once two activities use it at a time; until then it is a ceiling of its only
user, so a star of n devices is one bundle over the line they share, whatever their own lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from math import inf

import simpy

from hetsim.core.quantities import Bytes, Joules, Seconds
from hetsim.sim.activity import Activity, Drawn, Resource, Tariff
from hetsim.sim.bundle import Bundle
from hetsim.sim.clock import SOLVE, Call
from hetsim.sim.component import Component

_FULL = 1.0 - 1e-9
"""Of a capacity: less is more than rounding."""
_CLOSE = 1e-14
"""Completions this close together, as a share of the time since 0, are one instant."""


class Sharing:
    """All activities of a run.

    Attributes:
        solves: how often a component was solved, for tests and benchmarks.
        item: bytes of an item of the first stream; 0 as long as there was none.
        tell: called at an instant with a resource that those who share it take all of from then on,
            or do no longer.
    """

    def __init__(
        self,
        env: simpy.Environment,
        tell: Callable[[Seconds, Resource], None] = lambda now, line: None,
    ) -> None:
        self.env, self.tell = env, tell
        self.solves = 0
        self.item: Bytes = 0.0
        self._serial = count(1).__next__
        self._bundles: dict[tuple[tuple[Resource, ...], bool], Bundle] = {}
        self._loose: dict[Bundle, None] = {}
        self._touched: dict[Component, None] = {}
        self._payers: dict[Drawn, None] = {}
        self._flushing = self._torn = False

    def start(self, activity: Activity) -> None:
        """Let `activity` progress from now on.

        Raises:
            ValueError: it uses no resource, so nothing decides its rate.
        """
        if not activity.uses:
            raise ValueError("an activity that uses no resource has no rate")
        activity.born = self._serial()
        self._join(activity)

    def stop(self, activity: Activity) -> float:
        """End `activity` now; returns the share of it that was done."""
        now = self.env.now
        activity.settle(now)
        self._part(activity, now)
        return min(activity.done / activity.amount, 1.0)

    def reprice(
        self,
        activity: Activity,
        uses: Mapping[Resource, float],
        payers: Mapping[Drawn, Mapping[str, Joules]],
        weight: float | None,
        cap: float,
    ) -> None:
        """Change what a unit of `activity` takes, from now on."""
        now = self.env.now
        activity.settle(now)
        activity.round_off()
        self._part(activity, now)
        activity.take(uses, payers, weight, cap)
        self._join(activity)

    def resize(self, resource: Resource, capacity: float) -> None:
        """Change the capacity of `resource` from now on."""
        owner = resource.owner
        if owner:
            self._detach(owner, self.env.now)
        resource.capacity = capacity
        if owner:
            self._enter(owner, self.env.now)
        for bundle in resource.bundles:
            if bundle.component:
                self._touched[bundle.component] = None
        self._schedule()
        for follow in list(resource.followers.values()):
            follow()

    def bill(self, resource: Resource, tariff: Tariff | None) -> None:
        """Change who pays what for the load of `resource` from now on."""
        now, users = self.env.now, list(resource.users)
        for activity in users:
            activity.settle(now)
            self._part(activity, now)
        if tariff:
            tariff[0].charge(now)
        resource.tariff = tariff
        for activity in users:
            self._join(activity)

    # --- coming and going -----------------------------------------------------------------------

    def _join(self, activity: Activity) -> None:
        """Use its resources from now on."""
        now = self.env.now
        price, watched = 0.0, False
        for payer, kinds in activity.payers.items():
            payer.charge(now)
            payer.activities[activity] = activity.done
            for joules in kinds.values():
                price += joules
            if payer.watching:
                watched = True
                self._payers[payer] = None
        for line, use in activity.uses.items():
            line.count += 1
            if line.metered and line.tariff:
                price += use * line.tariff[2]
            owner = line.owner
            if owner:  # is no longer alone
                self._detach(owner, now)
                self._enter(owner, now)
        activity.price, activity.watched = price, watched
        self._enter(activity, now)

    def _part(self, activity: Activity, now: Seconds) -> None:
        """Use its resources no longer; settle first."""
        for line in activity.uses:
            line.count -= 1
            if line.full and line.count < 2:
                line.full = False
                self.tell(now, line)
            if line.owner is activity:
                line.leave(now)
        self._leave(activity)
        for payer in activity.payers:
            payer.charge(now)
            del payer.activities[activity]
            if payer.watching:
                self._payers[payer] = None

    def _enter(self, activity: Activity, now: Seconds) -> None:
        """Find its bundle, by what it shares now; if it is alone, by its first resource."""
        key: tuple[Resource, ...] = ()
        for line in activity.uses:
            if line.count > 1:
                key += (line,)
        key = key or (next(iter(activity.uses)),)
        ceiling = activity.cap
        if len(key) < len(activity.uses):
            for line, use in activity.uses.items():
                if line.count == 1 and line is not key[0]:
                    line.own(activity, now)
                    if line.capacity < ceiling * use:
                        ceiling = line.capacity / use
        activity.ceiling = ceiling
        bundle = self._bundles.get((key, activity.equal))
        if bundle is None:
            bundle = Bundle(key, activity.equal, now, self._serial)
            self._bundles[key, activity.equal] = bundle
            self._loose[bundle] = None
            for line in key:
                line.bundles[bundle] = None
        elif bundle.component:
            self._touched[bundle.component] = None
        bundle.add(activity, now)
        if not self._flushing:
            self._schedule()

    def _detach(self, activity: Activity, now: Seconds) -> None:
        """Leave its bundle for another one."""
        activity.settle(now)
        if activity.watched:
            self._payers.update((payer, None) for payer in activity.payers if payer.watching)
        for line in activity.uses:
            if line.owner is activity:
                line.leave(now)
        self._leave(activity)

    def _leave(self, activity: Activity) -> None:
        """Leave its bundle; settle first."""
        bundle = activity.bundle
        assert bundle, "the activity has not started or has ended"
        bundle.remove(activity)
        component = bundle.component
        if component:
            self._touched[component] = None
        if not bundle.open and not bundle.capped:
            self._drop(bundle)
        if not self._flushing:
            self._schedule()

    def _drop(self, bundle: Bundle) -> None:
        """Nobody is left in `bundle`."""
        del self._bundles[bundle.key, bundle.equal]
        self._loose.pop(bundle, None)
        for line in bundle.key:
            if len(line.bundles) == 1:
                line.leave(self.env.now)
                if line.tariff and line.tariff[0].watching:
                    self._payers[line.tariff[0]] = None
            del line.bundles[bundle]
        component = bundle.component
        if component:
            del component.bundles[bundle]
            if len(bundle.key) > 1:
                component.stale = self._torn = True
            if not component.bundles:
                component.dissolve()
                self._touched.pop(component, None)

    # --- solving --------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._flushing:
            self._flushing = True
            Call(self.env, self._flush, priority=SOLVE)

    def _flush(self) -> None:
        self._solve(self.env.now)

    def _solve(self, now: Seconds) -> None:
        """Solve what has changed at this instant."""
        self._flushing = False
        touched, self._touched = self._touched, {}
        if self._loose or self._torn:
            touched = self._regroup(touched)
        payers = self._payers
        for component in touched:
            component.solve(now, payers)
            self.solves += 1
            for line in component.lines:
                if line.told:
                    self._look(line, now)
            self._alert(component, now)
        if payers:
            self._payers = {}
            for payer in payers:
                payer.redraw(now)

    def _look(self, line: Resource, now: Seconds) -> None:
        """See whether a resource that is shared is full."""
        full = line.count > 1 and line.load >= _FULL * line.capacity
        if full != line.full:
            line.full = full
            self.tell(now, line)

    def _regroup(self, touched: dict[Component, None]) -> dict[Component, None]:
        """Put new bundles, and those of components that may have fallen apart, into components."""
        loose, self._loose, self._torn = self._loose, {}, False
        for component in touched:
            if component.stale:
                loose.update(dict.fromkeys(component.bundles))
        fresh: dict[Component, None] = {}
        for bundle in loose:
            if bundle.component is None or bundle.component.stale:
                fresh[_component(bundle)] = None
        fresh.update((component, None) for component in touched if not component.stale)
        return fresh

    def _alert(self, component: Component, now: Seconds) -> None:
        """Have its first completion noticed; a wake-up that comes too early asks again."""
        sole = component.sole
        due = sole.due() if sole else component.due()
        if due < component.rings:
            delay = due - now if due > now else 0.0
            wake = component.wake
            if wake and component.rings == inf:
                wake.again(delay)
            else:
                if wake:
                    wake.cancel()
                component.wake = Call(self.env, partial(self._wake, component), delay)
            component.rings = due

    def _wake(self, component: Component) -> None:
        now = self.env.now
        component.rings = inf
        ready: list[Activity] = []
        for bundle in component.bundles:
            bundle.ready(now, now * (1.0 + _CLOSE), ready)
        if not ready:
            self._alert(component, now)
            return
        scheduled, self._flushing = self._flushing, True
        if len(ready) == 1:
            [activity] = ready
            self._part(activity, now)
            _finish(activity)
        else:
            ready.sort(key=lambda activity: activity.born)
            for activity, serial in [(activity, activity.serial) for activity in ready]:
                if activity.bundle and activity.serial == serial:  # no earlier one stopped it
                    self._part(activity, now)
                    _finish(activity)
        if not scheduled:
            if self.env.peek() > now:
                self._solve(now)
            else:
                self._flushing = False
                self._schedule()


def _finish(activity: Activity) -> None:
    """Say that it has ended, once: whoever is told may hold it, which would be a cycle."""
    finish, activity.finish = activity.finish, _ended
    finish()


def _ended() -> None:
    """There is nothing to say any more."""


def _component(bundle: Bundle) -> Component:
    """The bundles connected to `bundle`, taken from the components they were in."""
    bundles: dict[Bundle, float] = {bundle: 0.0}
    lines: dict[Resource, None] = {}
    queue = [bundle]
    while queue:
        for line in queue.pop().key:
            if line not in lines:
                lines[line] = None
                for other in line.bundles:
                    if other not in bundles:
                        bundles[other] = 0.0
                        queue.append(other)
    component = Component(bundles, list(lines))
    for each in bundles:
        if each.component:
            each.component.dissolve()
        each.component = component
    return component
