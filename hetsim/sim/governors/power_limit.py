"""Power limits set by hand, as `nvidia-smi -pl` sets one: the fastest state at or below each.

For domains whose profile lists states under power limits (server GPUs). Every other domain runs at
its highest point. A kind of domain without such states is refused, and so is a limit below the
lowest that the device knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from hetsim.core.quantities import Watts
from hetsim.sim.dvfs import DOMAIN_KINDS, Domain
from hetsim.sim.governors.base import Choice, View

_ROUNDING = 1.0 + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLimit:
    """The highest state within a limit.

    Attributes:
        cpu, gpu, memory: the limit of each kind; left out, it has none.
    """

    cpu: Watts = inf
    gpu: Watts = inf
    memory: Watts = inf

    def choose(self, view: View) -> Choice:
        """The same points whatever the load."""
        return Choice(tuple(self._point(domain) for domain in view.domains))

    def check(self, domains: Sequence[Domain]) -> None:
        """Refuse limits that mean nothing to a device with these domains.

        Raises:
            ValueError: a kind that has no states under power limits, or a limit below them all.
        """
        for kind in DOMAIN_KINDS:
            wanted: Watts = getattr(self, kind)
            if wanted == inf:
                continue
            lowest = [
                each.points[0].limit
                for each in domains
                if each.kind == kind and each.points[0].limit < inf
            ]
            if not lowest:
                raise ValueError(f"{kind}: the device has no {kind} states under power limits")
            if wanted * _ROUNDING < max(lowest):
                raise ValueError(
                    f"{kind}: {wanted:g} W is below {max(lowest):g} W, the lowest limit of the "
                    "device"
                )

    def _point(self, domain: Domain) -> int:
        if domain.points[0].limit == inf:
            return len(domain.points) - 1
        wanted: Watts = getattr(self, domain.kind)
        held = [i for i, point in enumerate(domain.points) if point.limit <= wanted * _ROUNDING]
        return held[-1] if held else 0
