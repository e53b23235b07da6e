"""There only while something charges its battery: the phone that trains on its charger at night.

Phones are asked to train while they are plugged in and idle, so that nobody finds an empty battery.
Source: Bonawitz et al., "Towards federated learning at scale: system design", MLSys 2019, sec. 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Watts
from hetsim.sim.availability.base import Away, Changes, Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class Charging:
    """There while its charger or panel offers power.

    Attributes:
        least: watts from which it counts as charging.
        away: what it is while nothing charges it: off, asleep, or idle.
    """

    least: Watts = 0.0
    away: Away = "sleep"

    def changes(self, about: Circumstances) -> Changes:
        """Where the offer passes `least`; ask only where it does so now and then."""
        present = True
        steps = [(0.0, 0.0)]
        first = next(about.offered, None)
        if first is not None and first[0] == 0.0:
            steps = [first]
        elif first is not None:
            steps.append(first)
        for source in (steps, about.offered):
            for when, watts in source:
                charging = watts > self.least
                if charging is not present:
                    present = charging
                    yield when, present
