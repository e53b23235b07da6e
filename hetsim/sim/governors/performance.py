"""Every domain at its highest operating point, always (Linux cpufreq `performance`)."""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.sim.governors.base import Choice, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Highest points."""

    def choose(self, view: View) -> Choice:
        """The last point of each domain."""
        return Choice(tuple(len(domain.points) - 1 for domain in view.domains))
