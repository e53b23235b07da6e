"""Bundles that share resources, directly or through others, and their max-min fair paces.

Rates are weighted max-min fair: the level rises for all until a resource is full, which stops those
who use it, or until a member reaches its ceiling. For a given choice of capped members the paces
follow from progressive filling over the bundles. The choice of the last solution is tried first and
mended where it is wrong: an open member above its ceiling, or a capped one below its fair rate. A
choice without such a member is the solution, since max-min fair rates are unique. If mending does
not end soon, the choice is made from scratch: of an all-open start, always those are capped that
would reach their ceiling before the next resource is full.

Source: progressive filling, Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import repeat
from math import fsum, inf, nextafter

from hetsim.core.quantities import Seconds
from hetsim.sim.activity import Activity, Drawn, Resource
from hetsim.sim.bundle import FULL, Bundle
from hetsim.sim.clock import Call

_PATIENCE = 24
"""Rounds of mending before a solution from scratch."""


class Component:
    """Bundles that are solved together; lives until it grows or may have fallen apart.

    Attributes:
        bundles: those in it, with the pace that each is offered while it is solved.
        sole: the only bundle, if it is.
        stale: whether it must be put together anew.
        wake: calls at its first completion, or before; `rings` is when.
    """

    __slots__ = ("bundles", "lines", "rings", "sole", "stale", "wake")

    def __init__(self, bundles: dict[Bundle, float], lines: list[Resource]) -> None:
        self.bundles, self.lines = bundles, lines
        self.sole = next(iter(bundles)) if len(bundles) == 1 else None
        self.stale = False
        self.wake: Call | None = None
        self.rings: Seconds = inf

    def dissolve(self) -> None:
        """Its completions are no longer its own."""
        self.stale = True
        if self.wake:
            self.wake.cancel()
        self.wake, self.rings = None, inf

    def solve(self, now: Seconds, payers: dict[Drawn, None]) -> None:
        """Set the pace of every bundle; adds those who must be redrawn to `payers`."""
        if self.sole and self.sole.solve(now):  # mostly nobody crosses over
            return
        for bundle in self.bundles:
            if now > bundle.at:
                bundle.advance(now)
            if bundle.equal:
                bundle.scale = _part(bundle.key[0])
        moved: dict[Activity, None] = {}
        if not self._mend(moved):
            self._choose(moved)
        for bundle, offered in self.bundles.items():
            pace = offered if bundle.open else 0.0
            if pace != bundle.pace:
                bundle.pace = pace
                if bundle.watched:
                    moved.update(bundle.watched)
        if moved:
            for activity in moved:
                for payer in activity.payers:
                    if payer.watching:
                        payers[payer] = None
        for line in self.lines:
            if line.tariff and line.meter(now) and line.tariff[0].watching:
                payers[line.tariff[0]] = None

    def due(self) -> Seconds:
        """When the first of its activities is complete."""
        return min([bundle.due() for bundle in self.bundles])

    def _mend(self, moved: dict[Activity, None]) -> bool:
        """Correct the last choice of capped members; whether that came to an end.

        With one level every round raises it, so it does.
        """
        most, bundles = 1, self.bundles
        one = len(bundles) == 1 or len(self.lines) == 1
        for _ in repeat(None) if one else range(_PATIENCE):
            self._fill()
            crossed = False
            for bundle, pace in bundles.items():
                if not bundle.fits(pace):
                    bundle.fit(pace, most, moved)
                    crossed = True
            if not crossed:
                return True
            most *= 2
        return False

    def _choose(self, moved: dict[Activity, None]) -> None:
        """Choose the capped members from nothing, in the order in which they stop rising."""
        for bundle in self.bundles:
            bundle.release(moved)
        while True:
            self._fill()
            levels = {bundle: pace / bundle.scale for bundle, pace in self.bundles.items()}
            stops = {
                bundle: bundle.lowest / bundle.scale
                for bundle, pace in self.bundles.items()
                if bundle.lowest < pace
            }
            if not stops:
                return
            first = min(stops.values())
            full = min((level for level in levels.values() if level > first), default=inf)
            for bundle in stops:
                beyond = levels[bundle] > full
                bar = nextafter(full * bundle.scale, inf) if beyond else self.bundles[bundle]
                bundle.cap(bar, moved)

    def _fill(self) -> None:
        """Offer each bundle its pace if just the open members rise."""
        if len(self.lines) == 1:
            [line] = self.lines
            if len(self.bundles) == 1:
                [bundle] = self.bundles
                self.bundles[bundle] = bundle.alone(line)
            else:
                level = _level(line, {})
                for bundle in self.bundles:
                    self.bundles[bundle] = level * bundle.scale
            return
        paces: dict[Bundle, float] = {}
        # Fixing bundles at the lowest level lowers no other level, so a resource whose own has
        # risen since it was queued is queued again.
        limits = [(_level(line, paces), place) for place, line in enumerate(self.lines)]
        heapify(limits)
        while len(paces) < len(self.bundles):
            queued, place = heappop(limits)
            line = self.lines[place]
            rising = [bundle for bundle in line.bundles if bundle not in paces]
            if not rising:
                continue
            level = _level(line, paces)
            if level > queued:
                heappush(limits, (level, place))
            else:
                for bundle in rising:
                    paces[bundle] = level * bundle.scale
        self.bundles.update(paces)


def _level(line: Resource, paces: dict[Bundle, float]) -> float:
    """Where `line` is full if the bundles without a pace rise together."""
    terms, wanted = [line.capacity], 0.0
    for bundle in line.bundles:
        demand, taken = bundle.sums[line]
        terms += (-taken.total, -taken.error)
        if bundle.open:
            each = demand.total + demand.error
            pace = paces.get(bundle)
            if pace is None:
                wanted += each * bundle.scale
            else:
                terms.append(-each * pace)
    free = fsum(terms)
    if wanted > 0.0:
        return max(free, 0.0) / wanted
    return inf if free >= -FULL * line.capacity else 0.0


def _part(line: Resource) -> float:
    """What an equal member weighs on `line`: as much as the others on average."""
    others = [user.uses[line] * user.weight for user in line.users if not user.equal]
    return fsum(others) / len(others) if others else 1.0
