"""Frequency follows utilisation with a quarter of headroom (Linux cpufreq `schedutil`).

The rule is `f = 1.25 * f_now * busy`, with `busy` the share of time the domain works at `f_now`: a
saturated domain climbs by 1.25 a window, one that mostly waits settles where it is 80 % busy. The
kernel smooths utilisation with a half-life of 32 ms; here each window of that length takes one
step, which needs no state. GPU and memory clocks, which Linux governs by devfreq, follow the same
rule (assumed).

Source: Linux kernel documentation, admin-guide/pm/cpufreq, section schedutil; scheduler/schedutil.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Fraction, Seconds
from hetsim.sim.dvfs import Domain
from hetsim.sim.governors.base import Choice, View

HEADROOM = 1.25
"""Of the frequency that would just do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedutil:
    """Utilisation-driven frequency.

    Attributes:
        window: seconds between two steps.
    """

    window: Seconds = 0.032

    def __post_init__(self) -> None:
        """Refuse to step without pause."""
        if self.window <= 0.0:
            raise ValueError("window is 0; the governor needs time between two steps")

    def choose(self, view: View) -> Choice:
        """One step towards the frequency that leaves a fifth idle."""
        return Choice.step(view, self._point, self.window)

    def _point(self, domain: Domain, now: int, busy: Fraction) -> int:
        wanted = HEADROOM * domain.points[now].frequency * busy
        above = (i for i, point in enumerate(domain.points) if point.frequency >= wanted)
        return next(above, len(domain.points) - 1)
