"""Crashes at random, each followed by a reboot of a fixed length.

The time from a start to the next crash is exponentially distributed, so that a device that has run
for long is no more likely to crash than a fresh one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetsim.core.quantities import Seconds
from hetsim.sim.availability.base import Away, Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboots:
    """How often a device crashes.

    Attributes:
        every: mean time from a start to the next crash.
        reboot: how long it is away, at its idle power.
    """

    every: Seconds
    reboot: Seconds

    @property
    def away(self) -> Away:
        """It is awake while it boots."""
        return "idle"

    def changes(self, rng: np.random.Generator) -> Changes:
        """Alternating crashes and returns."""
        now = 0.0
        while True:
            now += float(rng.exponential(self.every))
            yield now, False
            now += self.reboot
            yield now, True
