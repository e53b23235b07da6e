"""A battery with what charges it: who carries the load, what is stored, what is lost.

A source (a charger, a panel) offers S watts, the node draws L. The source carries the load first:

    L > S    the battery delivers L - S, and (L - S) / efficiency leaves the store
    L < S    (S - L) charge_efficiency enters the store until it is full; the rest is not taken

What the battery loses on the way out is the node's, of the kind "loss"; what is lost on the way in
is the source's. So with E the joules stored, over any stretch of time,

    E(end) - E(start) = charged - (drawn by the node, losses included - supplied)

A battery that has run empty stays `empty` until it has been charged to the level `restart`, so that
a device does not come back only to stop again at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol

from hetsim.core.quantities import Fraction, Joules, Seconds, Volts, Watts
from hetsim.sim.stores.kibam import Kibam
from hetsim.sim.stores.linear import Linear
from hetsim.sim.stores.voltage import Voltage

Model = Literal["linear", "voltage", "kibam"]
_CLOSE = 1e-14
"""A distance to a level that is rounding: no shorter wait would bring the battery closer."""
MODELS: tuple[Model, ...] = ("linear", "voltage", "kibam")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wells:
    """Numbers of the KiBaM model (`hetsim.sim.stores.kibam`).

    Attributes:
        available: share of the available well in the capacity (c).
        rate: at which the heights of the wells come together (k), 1/s.
    """

    available: Fraction
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryPack:
    """A battery as sold.

    Attributes:
        capacity: joules from full to nothing.
        efficiency: share of a stored joule that reaches the device.
        charge_efficiency: share of a joule from the charger that is stored.
        restart: level from which a device whose battery ran empty starts again.
        model: how it holds its energy.
        voltage: rows of (charge, open-circuit voltage), for the model of that name.
        cutoff: voltage at which the device stops, for the same.
        wells: for the model "kibam".
    """

    capacity: Joules
    efficiency: Fraction = 1.0
    charge_efficiency: Fraction = 1.0
    restart: Fraction = 0.05
    model: Model = "linear"
    voltage: tuple[tuple[Fraction, Volts], ...] = ()
    cutoff: Volts = 0.0
    wells: Wells | None = None

    @property
    def models(self) -> tuple[Model, ...]:
        """The models that it has numbers for."""
        known = {"linear": True, "voltage": bool(self.voltage), "kibam": self.wells is not None}
        return tuple(model for model in MODELS if known[model])

    def charged(self, charge: Fraction) -> BatteryState:
        """This battery with the share `charge` of its charge in it, at rest."""
        match self.model:
            case "linear":
                store = Linear(capacity=self.capacity, stored=self.capacity * charge)
            case "voltage":
                store = Voltage(self.capacity, charge, self.voltage, self.cutoff)
            case "kibam":
                assert self.wells
                store = Kibam(
                    capacity=self.capacity, stored=self.capacity * charge,
                    share=self.wells.available, rate=self.wells.rate,
                )  # fmt: skip
        return BatteryState(
            store=store,
            efficiency=self.efficiency,
            charge_efficiency=self.charge_efficiency,
            restart=self.restart,
        )


class Store(Protocol):
    """How a battery holds its energy; see `hetsim.sim.stores`."""

    @property
    def capacity(self) -> Joules:
        """Joules when full."""
        ...

    @property
    def stored(self) -> Joules:
        """Joules now."""
        ...

    @property
    def level(self) -> Fraction:
        """0 where nothing can be taken any more, 1 where nothing more goes in."""
        ...

    def advance(self, power: Watts, dt: Seconds) -> Joules:
        """Give `power` for `dt`, or take it if negative; returns the joules that left."""
        ...

    def until(self, level: Fraction, power: Watts) -> Seconds:
        """Seconds of `power` until `level`: 0 if it is there or past it, infinite if never."""
        ...

    def snap(self, level: Fraction) -> None:
        """Be at `level` exactly: only rounding is between."""
        ...


@dataclass(slots=True, kw_only=True)
class BatteryState:
    """A battery in use.

    Attributes:
        store: what holds the energy.
        efficiency, charge_efficiency, restart: as of `BatteryPack`.
        supply: what the sources offer now.
        charged: joules that have entered the store.
        supplied: joules that went from the sources straight to the load.
        empty: whether it has run empty and was not charged to `restart` since.
        full: whether it was charged to the brim and not used since.
    """

    store: Store
    efficiency: Fraction = 1.0
    charge_efficiency: Fraction = 1.0
    restart: Fraction = 0.05
    supply: Watts = 0.0
    charged: Joules = 0.0
    supplied: Joules = 0.0
    empty: bool = False
    full: bool = False

    @property
    def track(self) -> str:
        """Name of its counter."""
        return "charge_j"

    @property
    def capacity(self) -> Joules:
        """Joules when full."""
        return self.store.capacity

    @property
    def charge(self) -> Joules:
        """Joules stored now."""
        return self.store.stored

    @property
    def value(self) -> Joules:
        """What its track shows."""
        return self.store.stored

    @property
    def grain(self) -> Joules:
        """Change of the value that is worth a point in the trace."""
        return self.store.capacity / 200.0

    def advance(self, used: Mapping[str, Joules], dt: Seconds) -> Joules:
        """Let the node use joules evenly over `dt`; returns the joules lost on the way out.

        >>> battery = BatteryState(store=Linear(capacity=100.0, stored=50.0), efficiency=0.5)
        >>> battery.supply = 3.0
        >>> battery.advance({"idle": 14.0}, 2.0), battery.charge
        (8.0, 34.0)
        >>> battery.advance({"idle": 2.0}, 2.0), battery.charge, battery.supplied
        (0.0, 38.0, 8.0)
        """
        load = sum(used.values()) / dt
        self.supplied += min(load, self.supply) * dt
        net = self._net(load)
        left = self.store.advance(net, dt)
        self.full = self.full and net <= 0.0
        if net <= 0.0:
            self.charged -= left
            return 0.0
        return self.loss(load) * dt

    def loss(self, load: Watts) -> Watts:
        """What is lost on the way out at a load."""
        net = self._net(load)
        return net - (load - self.supply) if net > 0.0 else 0.0

    def moment(self, share: Fraction, dt: Seconds) -> Seconds:
        """When `share` of the change over `dt` is done; charge is drawn straight between events."""
        return share * dt

    def horizon(self, draw: Mapping[str, Watts]) -> Seconds:
        """Seconds until it is empty, full or ready to start again, if the draw stays as it is."""
        return self._next(draw)[0]

    def reach(self, draw: Mapping[str, Watts]) -> bool:
        """Be where `horizon` said; returns whether it stops the device or lets it start again."""
        _, level = self._next(draw)
        here = self.store.level
        if here > 0.0 if level == 0.0 else here < level:  # not where it started below its cut-off,
            self.store.snap(level)  # nor where a rest has brought it past the level
        was, self.empty = self.empty, level == 0.0
        self.full = level == 1.0
        return self.empty != was

    def _next(self, draw: Mapping[str, Watts]) -> tuple[Seconds, Fraction]:
        net = self._net(sum(draw.values()))
        if net > 0.0 and not self.empty:
            level = 0.0
        elif net < 0.0 and self.empty:
            level = self.restart
        elif net < 0.0 and not self.full:
            level = 1.0
        else:
            return inf, 1.0
        if abs(self.store.level - level) <= _CLOSE:
            return 0.0, level
        return self.store.until(level, net), level

    def _net(self, load: Watts) -> Watts:
        """What leaves the store at this load; negative for what enters it."""
        gap = load - self.supply
        return gap / self.efficiency if gap > 0.0 else gap * self.charge_efficiency
