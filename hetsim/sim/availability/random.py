"""Leaves and comes back after exponentially distributed times; each device has its own draws.

With a mean time up U and down D a device is there U / (U + D) of the time (alternating renewal
process).
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Seconds
from hetsim.sim.availability.base import Away, Changes, Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Leaves and comes back at random.

    Attributes:
        up: mean time present.
        down: mean time away.
        away: what it is while away: off, asleep, or idle.
    """

    up: Seconds
    down: Seconds
    away: Away = "off"

    def __post_init__(self) -> None:
        """Refuse times that would never end an instant."""
        if self.up <= 0.0 or self.down <= 0.0:
            raise ValueError('up and down must be above zero; write times such as "2 h".')

    def changes(self, about: Circumstances) -> Changes:
        """Alternating times of both means."""
        now, present = 0.0, True
        while True:
            now += float(about.rng.exponential(self.up if present else self.down))
            present = not present
            yield now, present
