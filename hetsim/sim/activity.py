"""Work in progress, what it uses, and who pays for it.

An activity is a flow over links, a job on a processor, a pipeline over both. At rate x it uses
c_r * x of each resource r a second. Its progress is read from the common level of its bundle (or,
at its ceiling, from the clock), so nothing is done for it when that level changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Protocol

from hetsim.core.quantities import Joules, Seconds

if TYPE_CHECKING:
    from hetsim.sim.bundle import Bundle

Tariff = tuple["Drawn", str, Joules]
"""Who pays for the load of a resource, the kind of energy, and the joules a unit."""


class Drawn(Protocol):
    """Whatever pays joules for activities and for the load of lines (a node).

    Attributes:
        activities: those it pays for, and how much of each is charged.
        meters: lines it pays for, and how much of each is charged.
        watching: whether it must be redrawn whenever a rate changes; change it only while it pays
            for nothing.
    """

    activities: dict[Activity, float]
    meters: dict[Resource, float]
    watching: bool

    def charge(self, now: Seconds) -> None:
        """Charge what activities and lines have drawn since that was last done."""
        ...

    def redraw(self, now: Seconds) -> None:
        """Settle the past, then take the new power from the activities it pays for."""
        ...


class Resource:
    """Something of limited capacity a second.

    To an activity that is alone on it, it is a ceiling; it is shared, and solved for, from the
    second one on.

    Attributes:
        name: for people.
        capacity: units a second (bytes, airtime seconds, processor seconds).
        count: how many activities use it; kept by the sharing.
        bundles: of activities that share it.
        owner: the activity whose ceiling it is.
        metered: whether it has a tariff.
        told: whether it is told of when it is full; a processor of one node need not be.
        full: whether those who share it, two or more, take all of it; kept by the sharing.
        followers: what to call when the capacity has changed, by who asked for it.
    """

    __slots__ = (
        "_carried", "_from", "_load", "_settled", "_tariff", "bundles", "capacity", "count",
        "followers", "full", "metered", "name", "owner", "told",
    )  # fmt: skip

    def __init__(self, name: str, capacity: float, *, told: bool = True) -> None:
        self.name, self.capacity, self.told = name, capacity, told
        self.count, self.metered, self.full = 0, False, False
        self.bundles: dict[Bundle, None] = {}
        self.owner: Activity | None = None
        self.followers: dict[object, Callable[[], None]] = {}
        self._tariff: Tariff | None = None
        self._carried = self._from = self._load = self._settled = 0.0

    def __repr__(self) -> str:
        return f"<Resource {self.name}>"

    @property
    def users(self) -> list[Activity]:
        """Activities in progress that use it."""
        if self.owner:
            return [self.owner]
        return [user for bundle in self.bundles
                for user in (*bundle.open.values(), *bundle.capped.values())]  # fmt: skip

    @property
    def load(self) -> float:
        """Units a second in use."""
        if self.owner:
            return self.owner.rate * self.owner.uses[self]
        return sum(bundle.load(self) for bundle in self.bundles)

    @property
    def tariff(self) -> Tariff | None:
        """Who pays for its load, as which kind of energy, and how many joules a unit.

        Set it before the resource is used; `Sharing.bill` changes it later.
        """
        return self._tariff

    @tariff.setter
    def tariff(self, tariff: Tariff | None) -> None:
        if self.count:
            raise ValueError(f"{self.name} is in use: change its tariff by `Sharing.bill`")
        if self._tariff:
            self._tariff[0].meters.pop(self, None)
        self._tariff, self.metered = tariff, tariff is not None
        if tariff:
            tariff[0].meters[self] = self._carried

    # --- what it has carried under a tariff, kept by the sharing ---------------------------------

    def carried(self, now: Seconds) -> float:
        """Units used up to now, while there was a tariff."""
        if self.owner:
            self.owner.settle(now)
            return self._carried + self.owner.uses[self] * (self.owner.done - self._from)
        self._carried += self._load * (now - self._settled)
        self._settled = now
        return self._carried

    def own(self, activity: Activity, now: Seconds) -> None:
        """`activity` is alone on it from now on."""
        if self._tariff:
            self._tariff[0].charge(now)
            self._from = activity.done
        self.owner = activity

    def leave(self, now: Seconds) -> None:
        """Nobody uses it for the moment, or its owner shares it from now on."""
        if self._tariff:
            self._tariff[0].charge(now)
            self._carried = self.carried(now)
            self._load, self._settled = 0.0, now
        self.owner = None

    def meter(self, now: Seconds) -> bool:
        """Charge the past if the load that is shared has changed."""
        load = self.load
        if not self._tariff or load == self._load:
            return False
        self._tariff[0].charge(now)
        self._carried = self.carried(now)
        self._load = load
        return True


_ROUNDING = 1e-12
"""Share of an activity below which what is left of it is what rounding left."""


class Activity:
    """Work in progress: `amount` units of it, at a `rate` that sharing decides.

    Attributes:
        uses: what it takes of each resource a unit of progress.
        weight: its share at a common bottleneck.
        equal: whether it asks for an equal part of its only resource instead (weight None).
        cap: fastest rate on its own.
        ceiling: fastest rate with what no one else uses; kept by the sharing.
        payers: joules a unit of progress, by who pays: {node: {kind: joules}}.
        price: joules a unit of progress, with the tariffs of its resources.
        watched: whether a payer must know at once when its rate changes.
        done, joules: progress, and what it has drawn above base, when it was last settled.
        born: a number that grows with the order of starts.
        bundle, serial, capped: its place among those it shares with, and whether it is at its
            ceiling; kept by the bundle.
        mark: level of the bundle, or time if capped, when it was last settled.
    """

    __slots__ = (
        "amount", "born", "bundle", "cap", "capped", "ceiling", "done", "equal", "finish",
        "joules", "mark", "payers", "price", "serial", "uses", "watched", "weight",
    )  # fmt: skip

    def __init__(
        self,
        amount: float,
        uses: Mapping[Resource, float],
        finish: Callable[[], None],
        *,
        weight: float | None = 1.0,
        cap: float = inf,
        payers: Mapping[Drawn, Mapping[str, Joules]] | None = None,
    ) -> None:
        self.amount, self.finish = amount, finish
        self.done = self.joules = self.mark = self.price = 0.0
        self.born = self.serial = 0
        self.capped = self.watched = False
        self.bundle: Bundle | None = None
        self.take(uses, payers or {}, weight, cap)

    def take(
        self,
        uses: Mapping[Resource, float],
        payers: Mapping[Drawn, Mapping[str, Joules]],
        weight: float | None,
        cap: float,
    ) -> None:
        """Say what a unit of progress takes from now on; settle first."""
        self.uses, self.payers = uses, payers
        self.equal, self.cap, self.ceiling = weight is None, cap, cap
        self.weight = 1.0 / (sum(uses.values()) or 1.0) if weight is None else weight

    @property
    def rate(self) -> float:
        """Units a second."""
        if self.bundle is None:
            return 0.0
        return self.ceiling if self.capped else self.weight * self.bundle.pace

    def settle(self, now: Seconds) -> None:
        """Bring `done` and `joules` up to now."""
        bundle = self.bundle
        if bundle is None:
            return
        dt = now - (self.mark if self.capped else bundle.at)
        if self.capped:
            step = self.ceiling * dt if dt > 0.0 else 0.0
            self.mark = now
        else:
            level = bundle.level + bundle.pace * dt if dt > 0.0 else bundle.level
            step = self.weight * (level - self.mark)
            self.mark = level
        self.done += step
        self.joules += step * self.price

    def round_off(self) -> None:
        """Settled, and with nothing but rounding left, it is done: no later rate can undo that."""
        if 0.0 < self.amount - self.done <= _ROUNDING * self.amount:
            self.complete(self.mark)

    def complete(self, mark: float) -> None:
        """Take what is left, and what rounding left, as done."""
        self.joules += (self.amount - self.done) * self.price
        self.done, self.mark = self.amount, mark
