"""Two wells (KiBaM): what is available at once, and what is bound and follows at a limited rate.

With y1 the available and y2 the bound joules, c the share of the available well and heights
h1 = y1 / c and h2 = y2 / (1 - c), power P at the terminals gives

    dy1/dt = -P + k c (1 - c) (h2 - h1)        dy2/dt = -k c (1 - c) (h2 - h1)

In Y = y1 + y2 and d = h2 - h1 this is dY/dt = -P and dd/dt = P / c - k d, so for constant P

    Y(t) = Y0 - P t        d(t) = d0 exp(-k t) + P / (c k) (1 - exp(-k t))        h1 = Y - (1 - c) d

It is empty when h1 reaches 0, with joules left in the bound well that a pause makes available. The
available well is full at h1 = capacity: from then on a charger gives no more than flows on into the
bound well, which fills as d(t) = d0 exp(-k c t) < 0.

Source: Manwell and McGowan, Lead acid battery storage model for hybrid energy systems, Solar Energy
50(5), 1993; the form in heights is that of Jongerden and Haverkort, Which battery model to use?,
IET Software 3(6), 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, inf

from hetsim.core.quantities import Fraction, Joules, Seconds, Watts


@dataclass(slots=True, kw_only=True)
class Kibam:
    """Two wells, made at rest.

    Attributes:
        capacity: joules of both when full.
        stored: joules of both now.
        share: of the available well in the capacity (c), between 0 and 1.
        rate: at which the heights come together (k), 1/s.
        gap: how much higher the bound well stands, J.
    """

    capacity: Joules
    stored: Joules
    share: Fraction
    rate: float
    gap: Joules = 0.0

    @property
    def level(self) -> Fraction:
        """Height of the available well, as a share of the capacity."""
        return (self.stored - (1.0 - self.share) * self.gap) / self.capacity

    @property
    def available(self) -> Joules:
        """Joules of the available well (y1)."""
        return self.share * (self.stored - (1.0 - self.share) * self.gap)

    @property
    def bound(self) -> Joules:
        """Joules of the bound well (y2)."""
        return (1.0 - self.share) * (self.stored + self.share * self.gap)

    def advance(self, power: Watts, dt: Seconds) -> Joules:
        """Give `power` for `dt`, or take it if negative; returns the joules that left.

        >>> wells = Kibam(capacity=100.0, stored=50.0, share=0.5, rate=0.1)
        >>> wells.advance(2.0, 5.0), wells.stored, round(wells.available, 6)
        (10.0, 40.0, 16.065307)
        """
        if power < 0.0:
            filling = min(self._seconds(1.0, power), dt)
            self._flow(power, filling)
            left = power * filling
            if filling < dt:
                left -= self._top_up(dt - filling)
            return left
        left = min(power * dt, self.stored)
        self._flow(power, dt)
        if self.level < 0.0:
            self.snap(0.0)
        return left

    def until(self, level: Fraction, power: Watts) -> Seconds:
        """Seconds of `power` until `level`: 0 if it is there or past it, infinite if never."""
        if power == 0.0:
            return inf
        past = self.level <= level if power > 0.0 else self.level >= level
        return 0.0 if past else self._seconds(level, power)

    def snap(self, level: Fraction) -> None:
        """Be at `level` exactly: only rounding is between."""
        self.gap = (self.stored - level * self.capacity) / (1.0 - self.share)

    def _flow(self, power: Watts, dt: Seconds) -> None:
        gone = expm1(-self.rate * dt)
        self.gap += (self.gap - power / (self.share * self.rate)) * gone
        self.stored = min(max(self.stored - power * dt, 0.0), self.capacity)

    def _top_up(self, dt: Seconds) -> Joules:
        """Fill the bound well through the full available one; returns the joules that came in."""
        self.snap(1.0)
        before = self.gap
        self.gap *= exp(-self.rate * self.share * dt)
        came = (1.0 - self.share) * (self.gap - before)
        self.stored = min(self.stored + came, self.capacity)
        return came

    def _seconds(self, level: Fraction, power: Watts) -> Seconds:
        """Seconds until h1 falls (or rises, if charged) through `level`.

        Charging is discharging seen in a mirror: capacity less height in place of height.
        """
        height, gap = self.stored - level * self.capacity, self.gap
        if power < 0.0:
            height, gap, power = -height, -gap, -power
        return _root(height, power, gap, self.share, self.rate)


def _root(height: Joules, power: Watts, gap: Joules, share: Fraction, rate: float) -> Seconds:
    """When height - power t - (1 - share) d(t) falls through zero.

    The function is convex and falls where the gap is below its limit, else concave; Newton's steps
    from the left, or from the right end, therefore never pass the root, and end when rounding stops
    them.
    """
    limit = power / (share * rate)
    bound = 1.0 - share

    def value(t: Seconds) -> Joules:
        return height - power * t - bound * (gap + (gap - limit) * expm1(-rate * t))

    def slope(t: Seconds) -> Watts:
        return bound * rate * (gap - limit) * exp(-rate * t) - power

    convex = gap <= limit
    t = 0.0 if convex else max(height / power, 0.0)
    while t < inf:  # a power of 1e-310 W takes for ever
        here = value(t)
        if (here <= 0.0) if convex else (here >= 0.0):
            return t
        following = max(t - here / slope(t), 0.0)
        if (following <= t) if convex else (following >= t):
            return t
        t = following
    return inf
