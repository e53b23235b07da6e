"""The cheapest mix of settings for what is left, corrected by what was measured so far.

A few items are done, then more and more at a time. Before each stretch the mix with the fewest
joules in the time that is left is made anew from what is known of all settings: what was believed
of them, the speed that this job turned out to have, and what those took that were really used
(`_experience`). Of the two settings of the mix the faster one comes first.

Settings that were never used may be better than believed. In a part of each job's items such a
setting counts as cheaper by `hope` times as much as beliefs have been off; if the mix then calls
for it, one item is done there, which tells.

A stretch begins only while the highest clocks could still do the rest in time, by what is known of
them, with `caution` standard deviations to spare for all that is not known; else it is halved, and
if not one item can be done, the highest clocks do the next ones.

Counts are whole where the items left are; else a thirty-second of the job is the least.

It has the fewest joules of its own device until the deadline in mind, not the fewest of a run. A
device that takes longer keeps the others waiting, the server too, all at idle power, so the joules
of a whole run can rise while those of each device's work fall: see active joules and those of
participants, and say with `rest` what power the device has when it is done.

What a kind of work has shown of the device's speed and watts is where the next new kind begins.

Own rule (assumed). The guard is that of Guo et al., BoFL, Middleware 2022, with a margin that is
learnt; correcting by measured speed with weights that halve is that of common feedback governors.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, sqrt

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction, Joules, Seconds
from hetsim.sim.governors._experience import Experience
from hetsim.sim.governors._mix import blend, hull
from hetsim.sim.governors._paced import Paced
from hetsim.sim.governors._pacing import Settings, Stretch

_MOST = 500
"""Settings that are considered: of more, those nearest above the hull of what is believed."""
_PART = 0.25
"""Largest part of what is left that is done without another look."""
_GRAIN = 32
"""Parts of a job that is not of whole items."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineFeedback(Paced):
    """Plans, measures, plans again.

    Attributes:
        caution: standard deviations that are kept free before the deadline.
        hope: standard deviations by which settings never used may be better than believed.
        trials: share of a job's items in which such settings may be tried.
    """

    caution: float = 2.5
    hope: float = 2.0
    trials: Fraction = 0.1

    def __post_init__(self) -> None:
        """Refuse what is below 0, and what no policy takes."""
        Paced.__post_init__(self)
        for name in ("caution", "hope", "trials"):
            if not getattr(self, name) >= 0.0:
                what = f"{name} is {getattr(self, name):g}; it must be 0 or more"
                usual = type(self).__dataclass_fields__[name].default
                raise SpecError(what, remedy=f"Give 0 or more, such as {usual:g}.")

    def pacer(self, settings: Settings) -> Feedback:
        """A pacer that has measured nothing yet."""
        return Feedback(self, settings)


class Feedback:
    """Paces jobs by what it knows."""

    def __init__(self, options: DeadlineFeedback, settings: Settings) -> None:
        self._options = options
        self._highest = settings.highest
        self._settings = _near(settings)
        self._known = Experience(settings, self._settings)
        self._stretches, self._trials, self._grain = 0, 0.0, 0.0

    def inherit(self, other: Feedback) -> None:
        """What another kind of work has shown of the device's speed and watts."""
        self._known.inherit(other._known)

    def begin(self, items: float, seconds: Seconds) -> None:
        """A job of so many items begins that has so many seconds, or infinitely many."""
        self._known.begin()
        self._stretches, self._trials = 0, self._options.trials * items
        self._grain = min(items / _GRAIN, 1.0)

    def told(self, stretch: Stretch, seconds: Seconds, energy: Joules) -> None:
        """What the items of `stretch` took; before the first job, what is known beforehand."""
        if stretch.items > 0.0 and seconds > 0.0:
            self._known.told(stretch.setting, stretch.items, seconds, energy)
            self._stretches += 1

    def next(self, items: float, seconds: Seconds) -> Stretch:
        """What to do next; so many items are left to do and so many seconds, which may be none."""
        whole = items == round(items)
        least = 1.0 if whole else min(self._grain, items)
        most = max(min(least * 2.0 ** min(self._stretches, 30), _PART * items), least)
        for setting, count, last in self._wanted(items, seconds):
            count = min(count, most if self._known.knows(setting) else least)
            if whole:
                count = float(floor(count + _ROUNDING) if last else ceil(count - _ROUNDING))
            elif count < least:
                count = 0.0 if last else least
            while count > 0.0 and not self._safe(setting, count, items, seconds):
                count = float(floor(count / 2.0)) if whole else count / 2.0
                if count < least:
                    count = 0.0
            if count > 0.0:
                return Stretch(setting, count)
        return Stretch(self._highest, float(ceil(most)) if whole else most)

    def _wanted(self, items: float, seconds: Seconds) -> list[tuple[int, float, bool]]:
        """The settings of the best mix, items at each, and whether fewer may be done there.

        Those that were never used come first, then the faster one.
        """
        hope = self._options.hope if self._trials > 0.0 else 0.0
        counts = blend(*self._known.table(hope), items, seconds)
        plan = [(self._settings[i], count, bool(place)) for place, (i, count) in enumerate(counts)]
        plan.sort(key=lambda each: self._known.knows(each[0]))
        if not self._known.knows(plan[0][0]):
            self._trials -= 1.0
        return plan

    def _safe(self, setting: int, count: float, items: float, seconds: Seconds) -> bool:
        """Whether the highest clocks could do the rest in time after so many items here."""
        if not isfinite(seconds):
            return True
        here, unsure = self._known.time(setting)
        there, doubtful = self._known.time(self._highest)
        rest, noise = items - count, self._known.noise
        variance = (count * here) ** 2 * (unsure + noise / count)
        variance += there**2 * rest * (rest * doubtful + noise)
        needed = count * here + rest * there + self._options.caution * sqrt(variance)
        return needed <= seconds * (1.0 + _ROUNDING)


def _near(settings: Settings) -> list[int]:
    """The highest clocks and the settings nearest above the hull of what is believed."""
    times, energies = settings.times, settings.energies
    corners = hull(times, energies)
    order = sorted(range(len(settings)), key=lambda i: (times[i], energies[i], i))
    above: dict[int, Joules] = {}
    place = 0
    for i in order:
        while place + 1 < len(corners) and times[corners[place + 1]] <= times[i]:
            place += 1
        above[i] = energies[i] - _line(settings, corners[place:], i)
    above[settings.highest] = 0.0
    near = set(sorted(order, key=lambda i: above[i])[:_MOST])
    return [i for i in order if i in near]


def _line(settings: Settings, corners: list[int], i: int) -> Joules:
    """Joules of the hull at the time of setting i; `corners` begins with the last one before it."""
    times, energies = settings.times, settings.energies
    first = corners[0]
    if len(corners) == 1:
        return energies[first]
    after = corners[1]
    slope = (energies[after] - energies[first]) / (times[after] - times[first])
    return energies[first] + slope * (times[i] - times[first])
