"""Every domain at its lowest operating point, always (Linux cpufreq `powersave`)."""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.sim.governors.base import Choice, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Powersave:
    """Lowest points."""

    def choose(self, view: View) -> Choice:
        """The first point of each domain."""
        return Choice(tuple(0 for _ in view.domains))
