"""How far the flows in one air are (`hetsim.sim._cell`), read off from who was in it when.

While flows of the demands u are in the air, the level rises by 1 / sum of u a second. So begins and
ends tell it for every instant: it is a straight line from one of them to the next.
"""

from __future__ import annotations

import numpy as np

from hetsim.core.quantities import Joules, Seconds, Watts
from hetsim.sim.columns import Array


class Level:
    """The level of an air since its first flow."""

    def __init__(self, begins: Array, ends: Array, demand: Array) -> None:
        """Flows by begin, end and air that they take a level; those that never begin do so at inf.

        >>> level = Level(np.array([0.0, 2.0]), np.array([6.0, 5.0]), np.array([1.0, 2.0]))
        >>> level.when((0.0, 6.0), 5.0, 1.0, 1.0)
        2.75
        """
        begun = np.isfinite(begins)
        count = int(begun.sum())
        when = np.concatenate((begins[begun], ends[begun]))
        turn = np.concatenate((np.ones(count), -np.ones(count)))
        order = np.argsort(when, kind="stable")
        self._when, turn = when[order], turn[order]
        taken = np.cumsum(turn * np.concatenate((demand[begun], demand[begun]))[order])
        busy = np.cumsum(turn)[:-1] > 0.0
        rise = np.divide(np.diff(self._when), taken[:-1], out=np.zeros(len(busy)), where=busy)
        self._level = np.concatenate(([0.0], np.cumsum(rise)))

    def when(
        self, flow: tuple[Seconds, Seconds], joules: Joules, watts: Watts, price: Joules
    ) -> Seconds:
        """When so many joules are drawn during a flow of this air; at its end, if not before.

        Args:
            flow: its begin and end.
            joules: some.
            watts: what is drawn whatever it moves.
            price: joules a level.
        """
        begin, end = flow
        first = int(np.searchsorted(self._when, begin))
        last = int(np.searchsorted(self._when, end, side="right"))
        when, level = self._when[first:last], self._level[first:last]
        drawn = watts * (when - begin) + price * (level - level[0])
        place = int(np.searchsorted(drawn, joules))
        if place == len(drawn):  # but for rounding it would be there
            return end
        if place == 0:
            return begin
        share = (joules - drawn[place - 1]) / (drawn[place] - drawn[place - 1])
        return float(when[place - 1] + share * (when[place] - when[place - 1]))
