"""Charge counted in coulombs behind an open-circuit voltage that falls as the cell empties.

With q the charge, V(q) its open-circuit voltage, piecewise linear between the rows of a table, and
P the power at the terminals, the current is P / V(q):

    dq/dt = -P / V(q)        so that        dE/dt = -P   with   E(q) = integral of V from 0 to q

E is a quadratic of q between two rows, and its inverse a square root: constant power has a closed
form. The device stops where V falls to the cut-off; what is stored below stays there. The charge of
a full cell follows from its capacity in joules, Q = E(Q) / mean voltage.

The voltage is that of rest: the drop over the cell's inner resistance is part of the battery's
efficiency.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import inf, sqrt

from hetsim.core.quantities import Coulombs, Fraction, Joules, Seconds, Volts, Watts

Table = Sequence[tuple[Fraction, Volts]]
"""Rows of (charge, open-circuit voltage): charge from 0 to 1 rising, voltage not falling."""


class Voltage:
    """A cell with a table of open-circuit voltages.

    Attributes:
        capacity: joules from full down to no charge at all.
        stored: joules now.
    """

    def __init__(
        self, capacity: Joules, charge: Fraction, table: Table, cutoff: Volts = 0.0
    ) -> None:
        """Make a cell that holds the share `charge` of its coulombs.

        Raises:
            ValueError: the cut-off is not below the voltage of the full cell.
        """
        if cutoff >= table[-1][1]:
            raise ValueError("the cell is never above its cut-off voltage")
        self.capacity, self._table = capacity, tuple(table)
        areas = [(x1 - x0) * (v0 + v1) / 2 for (x0, v0), (x1, v1) in pairwise(table)]
        self.full: Coulombs = capacity / sum(areas)
        self._energies = [0.0]
        for area in areas:
            self._energies.append(self._energies[-1] + area * self.full)
        self._energies[-1] = capacity
        self._floor = self._energy(self._charge_at(cutoff))
        self.stored = self._energy(charge)

    @property
    def level(self) -> Fraction:
        """Share of the joules above the cut-off that is stored; negative below it."""
        return (self.stored - self._floor) / (self.capacity - self._floor)

    @property
    def charge(self) -> Coulombs:
        """Coulombs stored now."""
        row = self._row(self.stored)
        (x0, v0), (x1, v1) = self._table[row : row + 2]
        area = (self.stored - self._energies[row]) / self.full
        slope = (v1 - v0) / (x1 - x0)
        return self.full * (x0 + 2.0 * area / (v0 + sqrt(v0 * v0 + 2.0 * slope * area)))

    @property
    def voltage(self) -> Volts:
        """Open-circuit voltage now.

        >>> cell = Voltage(100.0, 0.5, [(0.0, 3.0), (1.0, 4.0)])
        >>> round(cell.voltage, 12), round(cell.charge / cell.full, 12)
        (3.5, 0.5)
        """
        row = self._row(self.stored)
        (x0, v0), (x1, v1) = self._table[row : row + 2]
        area = (self.stored - self._energies[row]) / self.full
        return sqrt(v0 * v0 + 2.0 * (v1 - v0) / (x1 - x0) * area)

    def advance(self, power: Watts, dt: Seconds) -> Joules:
        """Give `power` for `dt`, or take it if negative; returns the joules that left."""
        lowest = min(self._floor, self.stored)
        left = min(max(power * dt, self.stored - self.capacity), self.stored - lowest)
        self.stored -= left
        return left

    def until(self, level: Fraction, power: Watts) -> Seconds:
        """Seconds of `power` until `level`: 0 if it is there or past it, infinite if never."""
        gap = self.stored - self._stored_at(level)
        if power > 0.0:
            return max(gap, 0.0) / power
        return min(gap, 0.0) / power if power < 0.0 else inf

    def snap(self, level: Fraction) -> None:
        """Be at `level` exactly: only rounding is between."""
        self.stored = self._stored_at(level)

    def _stored_at(self, level: Fraction) -> Joules:
        return self._floor * (1.0 - level) + self.capacity * level

    def _row(self, stored: Joules) -> int:
        return min(bisect_right(self._energies, stored), len(self._table) - 1) - 1

    def _energy(self, charge: Fraction) -> Joules:
        """Joules below the share `charge`."""
        row = min(bisect_right(self._table, (charge, inf)), len(self._table) - 1) - 1
        (x0, v0), (x1, v1) = self._table[row : row + 2]
        x = charge - x0
        return self._energies[row] + self.full * x * (v0 + (v1 - v0) / (x1 - x0) * x / 2.0)

    def _charge_at(self, voltage: Volts) -> Fraction:
        """The lowest share at which the cell has `voltage`."""
        for (x0, v0), (x1, v1) in pairwise(self._table):
            if voltage <= v0:
                return x0
            if voltage < v1:
                return x0 + (voltage - v0) / (v1 - v0) * (x1 - x0)
        return 1.0
