"""Sunlight on a flat panel under a clear sky, and days that are less than clear.

With latitude L, day of the year n and hour angle h = 2 pi (t / day - 1/2) of solar time t,

    declination    D = 23.45 deg sin(2 pi (284 + n) / 365)
    sun's height   s = sin L sin D + cos L cos D cos h
    irradiance     1098 s exp(-0.057 / s) W/m2 where s > 0, else 0

A panel of peak power p, rated at 1000 W/m2, then gives p / 1000 of the irradiance, averaged over
steps of five minutes by Simpson's rule; the clearness of a day, drawn evenly between two bounds,
scales it.

Source: declination, Cooper, The absorption of radiation in solar stills, Solar Energy 12(3), 1969;
irradiance, Haurwitz, Insolation in relation to cloudiness and cloud density, J. Meteorology 2(3),
1945. Haurwitz gives it for a cloudless sky at sea level; haze, panel temperature and tilt are left
out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from math import cos, exp, pi, sin

import numpy as np

from hetsim.core.quantities import Fraction, Seconds, Watts
from hetsim.sim.supply import Steps

DAY: Seconds = 86_400.0
_STEPS = 288
_ZENITH = 1098.0 * exp(-0.057)
_RATED = 1000.0
"""W/m2 at which a panel gives its peak power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sunlight:
    """A flat panel outdoors.

    Attributes:
        peak: power of the panel at 1000 W/m2.
        latitude: radians, north positive.
        day: of the year at t = 0, from 1.
        clock: solar time at t = 0, seconds after midnight.
        clearness: bounds of a day's share of clear-sky power.
        rng: draws the days; not used where the bounds are one.
    """

    peak: Watts
    latitude: float
    day: int = 172
    clock: Seconds = 0.0
    clearness: tuple[Fraction, Fraction] = (1.0, 1.0)
    rng: np.random.Generator

    @property
    def most(self) -> Watts:
        """At a sun in the zenith of the clearest day."""
        return self.peak * self.clearness[1] * _ZENITH / _RATED

    def changes(self) -> Steps:
        """Five-minute steps, day after day, from the time of day at t = 0 on."""
        held = 0.0
        for when, watts in self._days():
            if when > self.clock:
                if when - self.clock < DAY / _STEPS:
                    yield 0.0, held
                yield when - self.clock, watts
            elif when == self.clock:
                yield 0.0, watts
            held = watts

    def _days(self) -> Steps:
        """The same from midnight on."""
        low, high = self.clearness
        for number in count():
            clear = float(self.rng.uniform(low, high)) if low < high else low
            for step in range(_STEPS):
                begin, end = step / _STEPS, (step + 1) / _STEPS
                middle = (begin + end) / 2.0
                light = (
                    irradiance(self.latitude, self.day + number, begin)
                    + 4.0 * irradiance(self.latitude, self.day + number, middle)
                    + irradiance(self.latitude, self.day + number, end)
                ) / 6.0
                yield (number + begin) * DAY, self.peak * clear * light / _RATED


def irradiance(latitude: float, day: int, time: Fraction) -> float:
    """W/m2 on the ground under a clear sky.

    Args:
        latitude: radians.
        day: of the year.
        time: share of the day that is over, solar time.

    >>> round(irradiance(0.0, 81, 0.5)), irradiance(0.0, 81, 0.0)
    (1037, 0.0)
    """
    declination = 23.45 * pi / 180.0 * sin(2.0 * pi * (284 + day) / 365.0)
    height = sin(latitude) * sin(declination)
    height += cos(latitude) * cos(declination) * cos(2.0 * pi * (time - 0.5))
    return 1098.0 * height * exp(-0.057 / height) if height > 0.0 else 0.0
