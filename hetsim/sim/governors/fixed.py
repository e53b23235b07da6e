"""Frequencies set by hand, one for each kind of domain (Linux cpufreq `userspace`).

A domain runs at its highest operating point at or below the given frequency, at its lowest one
where all lie above it. Where a device has several domains of a kind (big and little cores), each
follows this rule. A kind that the device does not have is refused, and so is a frequency above the
highest or below the lowest point of all its domains of that kind by more than 0.1 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from hetsim.core.quantities import Hertz
from hetsim.sim.dvfs import DOMAIN_KINDS, Domain
from hetsim.sim.governors.base import Choice, View

_ROUNDING = 1.0 + 1e-9
_TOLERANCE = 1e-3
_GIGAHERTZ: Hertz = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """The highest point at or below a frequency.

    Attributes:
        cpu, gpu, memory: the frequency of each kind; left out, it runs at its highest.
    """

    cpu: Hertz = inf
    gpu: Hertz = inf
    memory: Hertz = inf

    def choose(self, view: View) -> Choice:
        """The same points whatever the load."""
        return Choice(tuple(self._point(domain) for domain in view.domains))

    def check(self, domains: Sequence[Domain]) -> None:
        """Refuse frequencies that mean nothing to a device with these domains.

        Raises:
            ValueError: a kind that it does not have, or a frequency out of its range.
        """
        for kind in DOMAIN_KINDS:
            wanted: Hertz = getattr(self, kind)
            if wanted == inf:
                continue
            points = [each.points for each in domains if each.kind == kind]
            if not points:
                known = ", ".join(sorted({each.kind for each in domains}))
                raise ValueError(f"{kind}: the device has no {kind} domain; it has: {known}")
            lowest = min(each[0].frequency for each in points)
            highest = max(each[-1].frequency for each in points)
            if not lowest * (1.0 - _TOLERANCE) <= wanted <= highest * (1.0 + _TOLERANCE):
                raise ValueError(
                    f"{kind}: {_gigahertz(wanted)} is not between {_gigahertz(lowest)} and "
                    f"{_gigahertz(highest)}, the lowest and highest point of the device"
                )

    def _point(self, domain: Domain) -> int:
        limit: Hertz = getattr(self, domain.kind)
        below = [i for i, point in enumerate(domain.points) if point.frequency <= limit * _ROUNDING]
        return below[-1] if below else 0


def _gigahertz(frequency: Hertz) -> str:
    return f"{frequency / _GIGAHERTZ:g} GHz"
