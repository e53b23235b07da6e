"""Activities that share the same resources, and so progress along one level.

As long as a rising member i is below its ceiling, it progresses at rate w_i * pace: all that tells
the members apart is their weight. The level V of a bundle is the integral of its pace; member i,
which came at level V_i with a_i units to do, is complete at level V_i + a_i / w_i, whatever the
pace does until then. A member whose ceiling c_i is below w_i * pace is capped: it progresses by the
clock, and is a constant for all others. Two queues tell who is complete first, two more who crosses
over first as the pace changes, so an event costs O(log n) for n members.

Source: virtual time of fair queueing, Parekh and Gallager, IEEE/ACM Trans. Networking 1(3), 1993.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from hetsim.core.quantities import Seconds
from hetsim.sim.queue import Queue
from hetsim.sim.sum import Sum

if TYPE_CHECKING:
    from hetsim.sim.activity import Activity, Resource
    from hetsim.sim.component import Component

_SLACK = 1.0 + 1e-12
"""A capped member stays capped up to this share above its fair rate: rounding moves nobody."""
FULL = 1e-12
"""Share of a capacity by which ceilings may exceed it before they limit each other."""
_FEW = 64
"""Steps of the level after which it need not be counted anew, however few members there are."""


class Bundle:
    """Activities with the same shared resources.

    Attributes:
        key: the resources.
        equal: whether the members ask for an equal part; then `scale` is that part.
        pace: growth of the level a second.
        level, at: the level at that time.
        open: members that rise with the pace, by serial number.
        capped: members at their ceiling, by serial number.
        sums: of each resource, what the open members use of it a unit of pace, and what the capped
            ones use of it a second.
        watched: open members whose rate someone must know.
        component: what it is solved with; None until the next solution.
    """

    __slots__ = (
        "_ceilings", "_ends", "_floors", "_serial", "_steps", "_targets", "at", "capped",
        "component", "equal", "key", "level", "open", "pace", "scale", "sums", "watched",
    )  # fmt: skip

    def __init__(
        self, key: tuple[Resource, ...], equal: bool, now: Seconds, serial: Callable[[], int]
    ) -> None:
        self.key, self.equal, self.scale = key, equal, 1.0
        self.pace = self.level = 0.0
        self.at = now
        self.open: dict[int, Activity] = {}
        self.capped: dict[int, Activity] = {}
        self.sums = {line: (Sum(), Sum()) for line in key}
        self.watched: dict[Activity, None] = {}
        self.component: Component | None = None
        self._serial = serial
        self._steps = 0
        self._targets, self._ceilings = Queue(self.open), Queue(self.open)
        self._ends, self._floors = Queue(self.capped), Queue(self.capped)

    def load(self, line: Resource) -> float:
        """Units of `line` a second in use."""
        demand, taken = self.sums[line]
        if not self.open:
            return taken.total + taken.error
        return taken.total + taken.error + (demand.total + demand.error) * self.pace

    # --- members --------------------------------------------------------------------------------

    def add(self, activity: Activity, now: Seconds) -> None:
        """Take a member in."""
        if now > self.at:
            self.advance(now)
        activity.bundle = self
        serial = activity.serial = self._serial()
        level, weight = self.level, activity.weight
        activity.capped, activity.mark = False, level
        self.open[serial] = activity
        left = activity.amount - activity.done
        self._targets.push(level + left / weight if left > 0.0 else level, serial)
        ceiling = activity.ceiling
        if ceiling < inf:
            self._ceilings.push(ceiling / weight, serial)
        uses = activity.uses
        for line, (demand, _) in self.sums.items():
            demand.add(uses[line] * weight)
        if activity.watched:
            self.watched[activity] = None

    def remove(self, activity: Activity) -> None:
        """Let a member go, settled."""
        activity.bundle = None
        uses = activity.uses
        if activity.capped:
            del self.capped[activity.serial]
            ceiling = activity.ceiling
            for line, (_, taken) in self.sums.items():
                taken.add(-uses[line] * ceiling)
            if not self.capped:
                self._rest_capped()
            return
        del self.open[activity.serial]
        weight = activity.weight
        for line, (demand, _) in self.sums.items():
            demand.add(-uses[line] * weight)
        if activity.watched:
            del self.watched[activity]
        if not self.open:
            self._rest_open()

    def _rest_open(self) -> None:
        """Nobody rises: forget what rounding left."""
        for demand, _ in self.sums.values():
            demand.clear()
        self._targets.clear()
        self._ceilings.clear()
        self.level, self._steps = 0.0, 0

    def _rest_capped(self) -> None:
        """Nobody is capped: forget what rounding left."""
        for _, taken in self.sums.values():
            taken.clear()
        self._ends.clear()
        self._floors.clear()

    # --- crossing over --------------------------------------------------------------------------

    @property
    def lowest(self) -> float:
        """Pace above which an open member is at its ceiling."""
        return self._ceilings.first()

    def alone(self, line: Resource) -> float:
        """The pace at which its open members fill `line`, which only its members use."""
        demand, taken = self.sums[line]
        free = (line.capacity - taken.total) - taken.error
        if self.open and (wanted := demand.total + demand.error) > 0.0:
            return free / wanted if free > 0.0 else 0.0
        return inf if free >= -FULL * line.capacity else 0.0

    def solve(self, now: Seconds) -> bool:
        """Take the pace at which its members, whom no one else meets, fill their only resource.

        Returns whether that was all there is to do; if not, nothing has changed.
        """
        line = self.key[0]
        if len(self.key) > 1 or line.metered or self.watched:
            return False
        if now > self.at:
            self.advance(now)
        pace = self.alone(line)
        if self._ceilings.least < pace or -self._floors.least > pace * _SLACK:
            return False
        self.pace = pace if self.open else 0.0
        return True

    def fits(self, pace: float) -> bool:
        """Whether all members are on the right side of `pace`, as far as can be seen at once."""
        ceilings = self._ceilings
        if ceilings.least < pace and ceilings.first() < pace:
            return False
        return -self._floors.least <= pace * _SLACK

    def fit(self, pace: float, most: int, moved: dict[Activity, None]) -> None:
        """Let members cross over that are on the wrong side of `pace`.

        Of those that rise again, `most` at a time: each one lowers what the others give up.
        """
        bar, floors = -pace * _SLACK, self._floors
        while most and floors.least < bar and floors.first() < bar:
            self._reopen(floors.pop(), moved)
            most -= 1
        self.cap(pace, moved)

    def cap(self, pace: float, moved: dict[Activity, None]) -> None:
        """Hold all open members whose ceiling is below `pace`."""
        ceilings = self._ceilings
        while ceilings.least < pace and ceilings.first() < pace:
            activity = ceilings.pop()
            activity.settle(self.at)
            self._hold(activity)
            if activity.watched:
                moved[activity] = None

    def _hold(self, activity: Activity) -> None:
        """Let an open member, settled, progress at its ceiling from now on."""
        serial, ceiling, weight, at = activity.serial, activity.ceiling, activity.weight, self.at
        del self.open[serial]
        self.capped[serial] = activity
        activity.capped, activity.mark = True, at
        left = activity.amount - activity.done
        if left <= 0.0:
            self._ends.push(at, serial)
        elif ceiling > 0.0:
            self._ends.push(at + left / ceiling, serial)
        self._floors.push(-ceiling / weight, serial)
        uses = activity.uses
        for line, (demand, taken) in self.sums.items():
            use = uses[line]
            demand.add(-use * weight)
            taken.add(use * ceiling)
        if activity.watched:
            del self.watched[activity]
        if not self.open:
            self._rest_open()

    def release(self, moved: dict[Activity, None]) -> None:
        """Let all capped members rise."""
        for activity in list(self.capped.values()):
            self._reopen(activity, moved)

    def _reopen(self, activity: Activity, moved: dict[Activity, None]) -> None:
        activity.settle(self.at)
        self.remove(activity)
        self.add(activity, self.at)
        if activity.watched:
            moved[activity] = None

    # --- time -----------------------------------------------------------------------------------

    def advance(self, now: Seconds) -> None:
        """Bring the level up to now."""
        dt = now - self.at
        if dt <= 0.0:
            return
        self.at = now
        if self.open and self.pace:
            self.level += self.pace * dt
            self._steps += 1
            if self._steps > 2 * len(self.open) + _FEW:
                self._rebase()

    def _rebase(self) -> None:
        """Count the level from here: it has grown large beside what the members have left."""
        self._steps = 0
        targets: list[tuple[float, int]] = []
        for serial, activity in self.open.items():
            activity.settle(self.at)
            activity.mark = 0.0
            targets.append(((activity.amount - activity.done) / activity.weight, serial))
        self._targets.clear(targets)
        self.level = 0.0

    def due(self) -> Seconds:
        """When its first member will be complete at this pace."""
        due, target = inf, self._targets.first()
        if target < inf and self.pace > 0.0:
            left = target - self.level
            due = self.at + left / self.pace if left > 0.0 else self.at
        elif target <= self._top:
            due = self.at
        return due if due < self._ends.least else min(due, self._ends.first())

    @property
    def _top(self) -> float:
        """The level that was reached when the pace fell to nothing, rounding included."""
        return self.level * (1.0 + FULL)

    def ready(self, now: Seconds, limit: Seconds, ready: list[Activity]) -> None:
        """Be at `now`; complete the members that will be by `limit`, and add them to `ready`."""
        self.advance(now)
        queue = self._ends
        while queue.least <= limit and queue.first() <= limit:
            activity = queue.pop()
            activity.complete(now)
            ready.append(activity)
        pace, level, queue = self.pace, self.level, self._targets
        top = level + (limit - now) * pace if pace > 0.0 else self._top
        while queue.least <= top and queue.first() <= top:
            activity = queue.pop()
            activity.complete(level)
            ready.append(activity)
