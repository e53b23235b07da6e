"""A tank of joules: dE/dt = -P, from full to nothing.

Of all models the one that needs no more than a capacity.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from hetsim.core.quantities import Fraction, Joules, Seconds, Watts


@dataclass(slots=True, kw_only=True)
class Linear:
    """A tank.

    Attributes:
        capacity: when full.
        stored: now; from 0 to `capacity`.
    """

    capacity: Joules
    stored: Joules

    @property
    def level(self) -> Fraction:
        """Share of the capacity that is stored."""
        return self.stored / self.capacity

    def advance(self, power: Watts, dt: Seconds) -> Joules:
        """Give `power` for `dt`, or take it if negative; returns the joules that left.

        >>> tank = Linear(capacity=100.0, stored=80.0)
        >>> tank.advance(10.0, 2.0), tank.advance(-30.0, 2.0), tank.stored
        (20.0, -40.0, 100.0)
        """
        left = power * dt
        left = min(max(left, self.stored - self.capacity), self.stored)
        self.stored -= left
        return left

    def until(self, level: Fraction, power: Watts) -> Seconds:
        """Seconds of `power` until `level`: 0 if it is there or past it, infinite if never."""
        gap = self.stored - level * self.capacity
        if power > 0.0:
            return max(gap, 0.0) / power
        return min(gap, 0.0) / power if power < 0.0 else inf

    def snap(self, level: Fraction) -> None:
        """Be at `level` exactly: only rounding is between."""
        self.stored = level * self.capacity
