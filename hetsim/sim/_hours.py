"""Windows of a fleet in columns: how long devices were there, without one event a window.

The seconds in which a device is there up to t, S(t), are piecewise linear and repeat with the
period, but for what a whole one adds. With idle watts p and watts q while away, a device draws
E(t) = p S(t) + q (t - S(t)), which is turned round to find when a battery has run empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Seconds
from hetsim.sim.availability.windows import Windows
from hetsim.sim.columns import Array

Rows = NDArray[np.intp] | slice


class Hours:
    """When all devices are there.

    Attributes:
        pattern: of each device, a place among the patterns.
    """

    def __init__(self, patterns: Sequence[Windows | None], pattern: NDArray[np.intp]) -> None:
        self.pattern = pattern
        self._tables = [_Table(each) if each else None for each in patterns]

    def seconds(self, rows: Rows, when: Array) -> Array:
        """How long devices were there from 0 to `when`."""
        found = when.copy()
        for place, table in self._by_table(rows):
            found[place] = table.seconds(when[place])
        return found

    def leave(self, rows: Rows, when: Array) -> Array:
        """Until when devices stay that are there at `when`; `when` itself of those that are not."""
        found = np.full(len(when), inf)
        for place, table in self._by_table(rows):
            found[place] = table.leave(when[place])
        return found

    def spent(self, rows: Rows, since: Array, joules: Array, idle: Array, away: Array) -> Array:
        """When devices have drawn joules from `since` on; infinite if they draw nothing."""
        found = since + np.divide(joules, idle, out=np.full(len(since), inf), where=idle > 0.0)
        for place, table in self._by_table(rows):
            for row in place:
                terms = [float(each[row]) for each in (since, joules, idle, away)]
                found[row] = table.spent(*terms)
        return found

    def _by_table(self, rows: Rows) -> list[tuple[NDArray[np.intp], _Table]]:
        pattern = self.pattern[rows]
        return [
            (place, table) for number, table in enumerate(self._tables)
            if table and len(place := np.flatnonzero(pattern == number))
        ]  # fmt: skip


class _Table:
    """Edges of one pattern within its period, and the seconds present up to each."""

    def __init__(self, windows: Windows) -> None:
        self.period = windows.period
        self.edges = np.array([0.0, *(edge for pair in windows.on for edge in pair), self.period])
        present = np.arange(len(self.edges) - 1) % 2 == 1
        self.here = np.concatenate(([0.0], np.cumsum(np.diff(self.edges) * present)))
        self.stays: list[tuple[Seconds, Seconds]] = []
        for begin, end in reversed(windows.on):
            joins = bool(self.stays) and self.stays[-1][0] == end
            self.stays.append((begin, self.stays[-1][1] if joins else end))
        self.always = self.here[-1] >= self.period

    def seconds(self, when: Array) -> Array:
        """S at instants."""
        whole = np.floor(when / self.period)
        return whole * self.here[-1] + np.interp(when - whole * self.period, self.edges, self.here)

    def leave(self, when: Array) -> Array:
        """End of the stay at instants."""
        if self.always:
            return np.full(len(when), inf)
        start = np.floor(when / self.period) * self.period
        inside, found = when - start, when.copy()
        first, after = self.stays[-1]
        for begin, end in self.stays:
            stay = end + after if end == self.period and first == 0.0 else end  # it goes on
            found = np.where((begin <= inside) & (inside < end), start + stay, found)
        return found

    def spent(self, since: Seconds, joules: float, idle: float, away: float) -> Seconds:
        """When so many joules are drawn."""
        drawn = idle * self.here + away * (self.edges - self.here)
        if drawn[-1] <= 0.0:
            return inf
        whole = since // self.period
        target = whole * float(drawn[-1]) + joules
        target += float(np.interp(since - whole * self.period, self.edges, drawn))
        turns = target // float(drawn[-1])
        rest = target - turns * float(drawn[-1])
        edge = int(np.searchsorted(drawn, rest, side="left"))
        if drawn[edge] == rest:
            return float(turns * self.period + self.edges[edge])
        slope = (drawn[edge] - drawn[edge - 1]) / (self.edges[edge] - self.edges[edge - 1])
        into = (rest - drawn[edge - 1]) / slope
        return float(turns * self.period + self.edges[edge - 1] + into)
