"""A battery as an energy store: charge falls at power / efficiency until it is empty."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from hetsim.core.quantities import Fraction, Joules, Seconds, Watts

_EMPTY = 1e-12
"""Share of the capacity below which rounding, not charge, is left."""


@dataclass(slots=True, kw_only=True)
class BatteryState:
    """A battery in use.

    Attributes:
        capacity: when full.
        charge: stored now; never negative.
        efficiency: delivered share of what leaves the store.
    """

    capacity: Joules
    charge: Joules
    efficiency: Fraction = 1.0

    def drain(self, power: Watts, dt: Seconds) -> Joules:
        """Deliver `power` for `dt`; returns the joules lost on the way.

        >>> battery = BatteryState(capacity=100.0, charge=100.0, efficiency=0.5)
        >>> battery.drain(10.0, 2.0), battery.charge
        (20.0, 60.0)
        """
        delivered = power * dt
        self.charge = max(self.charge - delivered / self.efficiency, 0.0)
        return delivered / self.efficiency - delivered

    def time_to_empty(self, power: Watts) -> Seconds:
        """Seconds until empty at `power`, delivered."""
        if self.empty:
            return 0.0
        return self.charge * self.efficiency / power if power > 0.0 else inf

    @property
    def empty(self) -> bool:
        """Whether nothing but rounding is left."""
        return self.charge <= _EMPTY * self.capacity
