"""The pause of a clock change: how long the domains of a device stand still for new points.

A change at t stops all domains until t + `length`: the phase-locked loop and the regulator settle.
Meanwhile they draw nothing above the device's idle power, for nothing is clocked; a job on them
takes that much longer. A change within a pause begins another from its own instant. Changes of one
instant are one change, from the points before the first to those after the last, and none if these
are equal.
"""

from __future__ import annotations

from math import inf

from hetsim.core.quantities import Seconds


class Pause:
    """When the domains of one device go on.

    Attributes:
        length: of a pause.
        until: end of the present or last one.
    """

    def __init__(self, length: Seconds) -> None:
        self.length, self.until = length, -inf
        self._instant: Seconds = -inf
        self._points: tuple[int, ...] = ()
        self._before: Seconds = -inf

    def change(self, now: Seconds, old: tuple[int, ...], new: tuple[int, ...]) -> None:
        """Points change from `old` to `new`."""
        if now != self._instant:
            self._instant, self._points, self._before = now, old, self.until
        self.until = self._before if new == self._points else now + self.length
