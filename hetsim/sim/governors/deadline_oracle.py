"""The mix of settings with the fewest joules in time, for who knows what each of them takes.

Where the settings are true to the device this is the bound for every policy: items are whole and so
is the mix, which is exact. Where a job is not of whole items, it is the mix of divided ones. The
faster settings come first. Asked again, it goes on with its mix, and makes a new one only if it
would be late.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Joules, Seconds
from hetsim.sim.governors._mix import blend, front, mix
from hetsim.sim.governors._paced import Paced
from hetsim.sim.governors._pacing import Settings, Stretch

_LATE = 1e-9
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineOracle(Paced):
    """The exact mix by what the device is said to take."""

    def pacer(self, settings: Settings) -> Oracle:
        """A pacer that takes `settings` for true."""
        return Oracle(settings)


class Oracle:
    """Does each job by the exact mix of settings."""

    def __init__(self, settings: Settings) -> None:
        self._front = front(settings.times, settings.energies)
        self._times = [settings.times[i] for i in self._front]
        self._energies = [settings.energies[i] for i in self._front]
        self._plan: list[tuple[int, float]] = []

    def begin(self, items: float, seconds: Seconds) -> None:
        """A job begins: nothing is planned yet."""
        self._plan = []

    def next(self, items: float, seconds: Seconds) -> Stretch:
        """The next setting of the mix and its items; a new mix if the last one would be late."""
        planned = sum(count for _, count in self._plan)
        needed = sum(self._times[i] * count for i, count in self._plan)
        if abs(planned - items) > _NOTHING * items or needed > seconds * (1.0 + _LATE):
            self._plan = self._mixed(items, seconds)
        place, count = self._plan[0]
        return Stretch(self._front[place], count)

    def told(self, stretch: Stretch, seconds: Seconds, energy: Joules) -> None:
        """What it took: so much of the mix is done."""
        if self._plan:
            place, count = self._plan[0]
            left = count - stretch.items
            self._plan[:1] = [(place, left)] if left > _NOTHING * count else []

    def _mixed(self, items: float, seconds: Seconds) -> list[tuple[int, float]]:
        if items == round(items):
            counts = mix(self._times, self._energies, round(items), seconds)
            return [(place, float(count)) for place, count in counts.items()]
        return blend(self._times, self._energies, items, seconds)
