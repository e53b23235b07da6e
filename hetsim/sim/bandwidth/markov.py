"""A made-up bandwidth with the spread and the persistence of a measured one.

The rate is one of three levels, with the chances 30, 40 and 30 %: the 10th, 50th and 90th
percentile of a measurement. These weights give the mean of many distributions closely from three
percentiles (Swanson's rule). The level is drawn anew after exponentially
distributed times of mean `dwell`, so that its autocorrelation falls as exp(-t / dwell).

Percentiles of measured traces, and the mean that the rule gives beside the measured one (Mbit/s):

    Lumos5G, 4G, 175 traces      5 / 30 / 94.5       41.9    40.4
    Lumos5G, 5G, 121 traces      44 / 429 / 1180     538.8   522.8
    Irish 5G, driving            0 / 8.1 / 84.8      28.7    27.6
    Norway, 3G, bus              1 / 2.248 / 4.1     2.43    2.43

Sources: Keefer and Bodily, "Three-point approximations for continuous random variables",
Management Science 29(5), 1983; github:SIGCOMM21-5G/artifact@35aaf28, Lumous5G;
github:uccmisl/5Gdataset@306d92e; github:confiwent/Real-world-bandwidth-traces@d28c4fd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetsim.core.quantities import Rate, Seconds
from hetsim.sim.bandwidth.base import Points

_LOW, _HIGH = 0.3, 0.7
"""Where the chances of the levels end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Markov:
    """Three levels.

    Attributes:
        low, median, high: 10th, 50th and 90th percentile.
        dwell: mean time between two draws (derived: the autocorrelation of the Lumos5G traces
            falls to 1/e after about 20 s, 4G and 5G).
    """

    low: Rate
    median: Rate
    high: Rate
    dwell: Seconds = 20.0

    def __post_init__(self) -> None:
        if not self.low <= self.median <= self.high:
            raise ValueError("low, median and high must rise")
        if not self.high:
            raise ValueError("high must be above zero")
        if not self.dwell > 0.0:
            raise ValueError("dwell must be above zero")

    @property
    def file(self) -> str:
        """It needs none."""
        return ""

    def signal(self, points: Points | None, rng: np.random.Generator) -> Draws:
        """Draws of its own for each link."""
        return Draws(self, rng)


class Draws:
    """A signal that is drawn as far as it was asked for."""

    def __init__(self, levels: Markov, rng: np.random.Generator) -> None:
        self._levels, self._rng = levels, rng
        self._until: Seconds = 0.0
        self._rate: Rate = 0.0

    def at(self, now: Seconds) -> tuple[Rate, Seconds]:
        """The level drawn last, up to now."""
        levels, rng = self._levels, self._rng
        while self._until <= now:
            chance = float(rng.random())
            self._rate = (
                levels.low if chance < _LOW else levels.median if chance < _HIGH else levels.high
            )
            self._until += float(rng.exponential(levels.dwell))
        return self._rate, self._until
