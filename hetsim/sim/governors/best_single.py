"""The one setting that does a job in time with the fewest joules, by what is believed.

What mixing settings saves is seen against it. Asked again, for what is left of a job, it chooses
anew only if its setting would be late.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Joules, Seconds
from hetsim.sim.governors._mix import front
from hetsim.sim.governors._paced import Paced
from hetsim.sim.governors._pacing import Settings, Stretch

_LATE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class BestSingle(Paced):
    """The cheapest single setting in time."""

    def pacer(self, settings: Settings) -> Single:
        """A pacer that takes `settings` for true."""
        return Single(settings)


class Single:
    """Does each job at one setting."""

    def __init__(self, settings: Settings) -> None:
        self._times = settings.times
        self._front = front(settings.times, settings.energies)
        self._setting: int | None = None

    def begin(self, items: float, seconds: Seconds) -> None:
        """A job begins: its setting is not chosen yet."""
        self._setting = None

    def next(self, items: float, seconds: Seconds) -> Stretch:
        """All that is left at the cheapest setting in time; at the fastest if none is."""
        late = seconds * (1.0 + _LATE)
        if self._setting is None or items * self._times[self._setting] > late:
            in_time = [i for i in self._front if items * self._times[i] <= late]
            self._setting = in_time[-1] if in_time else self._front[0]
        return Stretch(self._setting)

    def told(self, stretch: Stretch, seconds: Seconds, energy: Joules) -> None:
        """What it took; what is believed is taken for true."""
