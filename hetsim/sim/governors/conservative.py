"""Frequency follows utilisation in small steps (Linux cpufreq `conservative`).

A domain that is busy for more than `up` of a window rises by a twentieth of its highest frequency,
one that is busy for less than `down` falls by as much, unless that would make it busier than `up`;
between the two it stays. Where `schedutil` jumps to what the load asks for, this one takes its
time, so short jobs run slowly. GPU and memory clocks follow the same rule (assumed). Linux's
`ondemand` is left out: it leaps between two points for ever under a constant load, and kernels have
replaced it by `schedutil`.

Source: Linux kernel documentation, admin-guide/pm/cpufreq, section conservative: thresholds of 80
and 20 %, steps of 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Fraction, Seconds
from hetsim.sim.dvfs import Domain
from hetsim.sim.governors.base import Choice, View

_STEP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Conservative:
    """Small steps.

    Attributes:
        up: busy share above which a domain rises.
        down: busy share below which it falls.
        window: seconds between two steps.
    """

    up: Fraction = 0.8
    down: Fraction = 0.2
    window: Seconds = 0.02

    def __post_init__(self) -> None:
        """Refuse to step without pause or in both directions at once."""
        if self.window <= 0.0:
            raise ValueError("window is 0; the governor needs time between two steps")
        if self.down >= self.up:
            raise ValueError(f"down, {self.down:g}, is not below up, {self.up:g}")

    def choose(self, view: View) -> Choice:
        """One step up, one down, or none."""
        return Choice.step(view, self._point, self.window)

    def _point(self, domain: Domain, now: int, busy: Fraction) -> int:
        points = domain.points
        step, frequency = _STEP * points[-1].frequency, points[now].frequency
        if busy > self.up:
            above = (i for i, each in enumerate(points) if each.frequency >= frequency + step)
            return next(above, len(points) - 1)
        if busy < self.down:
            below = [i for i, each in enumerate(points) if each.frequency <= frequency - step]
            lower = below[-1] if below else 0
            if busy * frequency <= self.up * points[lower].frequency:
                return lower
        return now
