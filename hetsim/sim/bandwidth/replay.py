"""A recorded bandwidth, played back from a file.

The file is a CSV with the columns `seconds` and a unit of rate such as `bit/s`. Each rate holds
until the next row; time counts from the first row. After the last row the trace starts again, the
last rate having held as long as the one before it, or stays as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import floor, inf
from typing import Literal

import numpy as np

from hetsim.core.quantities import Rate, Seconds
from hetsim.sim.bandwidth.base import Points

_NEAR: Seconds = 1e-9
_CLOSE = 1e-15
"""A change this close ahead, or this share of the time since 0, has come: it is only rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A trace file.

    Attributes:
        file: path of the CSV file, looked up beside the topology first.
        end: loop to start again after the last row, clamp to keep its rate.
        start: same for every link from the first row, random for each from a place of its own in
            the loop.
    """

    file: str
    end: Literal["loop", "clamp"] = "loop"
    start: Literal["same", "random"] = "same"

    def __post_init__(self) -> None:
        if not self.file:
            raise ValueError("file is empty")
        if self.start == "random" and self.end == "clamp":
            raise ValueError("a trace that does not loop cannot start anywhere: use `end: loop`")

    def signal(self, points: Points | None, rng: np.random.Generator) -> Recording:
        """The recording from its first row, or from a random place."""
        if points is None:
            raise ValueError("a replay needs the content of its file")
        recording = Recording(points, loop=self.end == "loop")
        if self.start == "random":
            recording.offset = float(rng.random()) * recording.period
        return recording


class Recording:
    """A signal that follows points.

    Attributes:
        period: after which it repeats; infinite if it does not.
        offset: where in the period it starts.
    """

    def __init__(self, points: Points, *, loop: bool) -> None:
        times, self._points = points.times, points
        again = 2.0 * times[-1] - times[-2] - times[0] if loop and len(times) > 1 else inf
        self.period: Seconds = again
        self.offset: Seconds = 0.0

    def at(self, now: Seconds) -> tuple[Rate, Seconds]:
        """The rate of the last row that has come."""
        times = self._points.times
        place = (now + self.offset) * (1.0 + _CLOSE) + _NEAR
        begin = floor(place / self.period) * self.period if self.period < inf else 0.0
        row = bisect_right(times, place - begin + times[0]) - 1
        ends = times[row + 1] - times[0] if row + 1 < len(times) else self.period
        return self._points.rates[row], begin + ends - self.offset
