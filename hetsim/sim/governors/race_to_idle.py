"""Every clock at its highest until the work is done, then rest."""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Joules, Seconds
from hetsim.sim.governors._paced import Paced
from hetsim.sim.governors._pacing import Settings, Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceToIdle(Paced):
    """Highest clocks, then rest: the fewest joules where each second of work costs much.

    Unlike `performance` it is at the lowest clocks when there is nothing to do.
    """

    def pacer(self, settings: Settings) -> Still:
        """A pacer that knows nothing but which clocks are the highest."""
        return Still(settings.highest)


class Still:
    """Does everything at one setting."""

    def __init__(self, setting: int) -> None:
        self._setting = setting

    def begin(self, items: float, seconds: Seconds) -> None:
        """A job begins; nothing depends on it."""

    def next(self, items: float, seconds: Seconds) -> Stretch:
        """All that is left, at the one setting."""
        return Stretch(self._setting)

    def told(self, stretch: Stretch, seconds: Seconds, energy: Joules) -> None:
        """What it took; nothing depends on it."""
