"""Frequencies set by hand, one for each kind of domain (Linux cpufreq `userspace`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from hetsim.core.quantities import Hertz
from hetsim.sim.dvfs import Domain
from hetsim.sim.governors.base import Choice, View

_ROUNDING = 1.0 + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """The highest point at or below a frequency; the lowest one where all lie above it.

    Attributes:
        cpu, gpu, memory: the frequency of each kind; left out, it runs at its highest.
    """

    cpu: Hertz = inf
    gpu: Hertz = inf
    memory: Hertz = inf

    def choose(self, view: View) -> Choice:
        """The same points whatever the load."""
        return Choice(tuple(self._point(domain) for domain in view.domains))

    def _point(self, domain: Domain) -> int:
        limit = {"cpu": self.cpu, "gpu": self.gpu, "memory": self.memory}[domain.kind]
        below = [i for i, point in enumerate(domain.points) if point.frequency <= limit * _ROUNDING]
        return below[-1] if below else 0
