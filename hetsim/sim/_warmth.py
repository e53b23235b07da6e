"""Temperatures of a fleet in columns: `hetsim.sim.heat` for constant power, a row each.

A column is no cooler than the device, and as warm where power was constant. It decides who is
refused, so its exponentials are sums and products, the same on every machine; the vectorised ones
of numpy differ between processors in the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.sim.columns import Array, NotTraceable
from hetsim.sim.device import Profile

Rows = NDArray[np.intp] | slice
_LN2 = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""log(2) as a sum whose first part has so few bits that small multiples of it are exact."""
_TERMS = tuple((-1.0) ** n / factorial(n) for n in range(13, 0, -1))
"""Of exp(-x) - 1, the last first; enough for x up to log(2) / 2."""
_OVER = 60.0
"""Time constants after which nothing is left."""


class Stretch(NamedTuple):
    """A time of constant power, or of a message, a row each.

    Attributes:
        lasts: seconds.
        computing: watts of computing above base.
        besides: watts of all else above base; of a message at most.
        joules: of a message above base; None where the power is constant.
        least: watts of a message above base at least.
    """

    lasts: Array
    computing: Array
    besides: Array
    joules: Array | None = None
    least: Array | None = None


class Warmth:
    """Bodies of all devices.

    Attributes:
        temperature: of each, at the instant up to which it is charged; ambient without a body.
    """

    def __init__(
        self, profiles: Sequence[Profile], kind: NDArray[np.intp], ambient: Array,
        temperature: Array, idle: Array,
    ) -> None:  # fmt: skip
        """Bodies at a temperature, in surroundings at `ambient`, of devices that draw `idle`.

        Raises:
            NotTraceable: one slows down before it is asked for anything.
        """
        bodies = [profile.heat for profile in profiles]
        self._ambient, self._kind = ambient, kind
        self._any = any(bodies)
        self._resistance = np.array([body.resistance if body else 0.0 for body in bodies])
        self._constant = np.array([b.resistance * b.capacity if b else inf for b in bodies])
        self._all = np.array([body is not None and body.power == "all" for body in bodies])
        self._trip = np.array(
            [min((trip.at for trip in body.trips), default=inf) if body else inf for body in bodies]
        )
        self.temperature = temperature.copy()
        if self._any:
            steady = ambient + idle * (self._resistance * self._all)[kind]
            trip = self._trip[kind]
            for hot, when in ((temperature >= trip, "at the start"), (steady >= trip, "idle")):
                if hot.any():
                    name = profiles[int(kind[np.argmax(hot)])].name
                    raise NotTraceable(f"{name} is so warm {when} that it slows down")

    def trip(self, rows: Rows) -> Array:
        """Where devices slow down first."""
        return self._trip[self._kind[rows]]

    def follow(self, rows: Rows, idle: Array, stretches: Sequence[Stretch]) -> None:
        """Let devices be as warm as `after` says."""
        self.temperature[rows] = self.after(rows, idle, stretches)

    def cool(self, rows: Rows, seconds: Array) -> None:
        """Let devices draw nothing."""
        if self._any:
            nothing = np.zeros(len(seconds))
            self.follow(rows, nothing, [Stretch(seconds, nothing, nothing)])

    def after(
        self, rows: Rows, idle: Array, stretches: Sequence[Stretch],
        warm: Array | None = None,
    ) -> Array:  # fmt: skip
        """How warm devices are after stretches of constant power.

        Args:
            rows: which devices.
            idle: their base power.
            stretches: what they draw above that.
            warm: from which temperature on; None for their own.
        """
        warm = self.temperature[rows] if warm is None else warm
        if not self._any:
            return warm
        kind = self._kind[rows]
        whole, resistance, constant = self._all[kind], self._resistance[kind], self._constant[kind]
        for stretch in stretches:
            watts = stretch.computing + (idle + stretch.besides) * whole
            steady = self._ambient[rows] + watts * resistance
            warm = warm + (steady - warm) * _settled(stretch.lasts / constant)
        return warm


def _settled(constants: Array) -> Array:
    """Share of a change that is done after so many time constants x: 1 - exp(-x).

    With x = k log(2) + r and e = exp(-r) - 1, it is 1 - 2^-k - 2^-k e.
    """
    x = np.minimum(constants, _OVER)
    turns = np.rint(x / (_LN2[0] + _LN2[1]))
    rest = x - turns * _LN2[0] - turns * _LN2[1]
    total = np.zeros(len(x))
    for term in _TERMS:
        total = total * rest + term
    scale = np.ldexp(1.0, -turns.astype(np.intc))
    return 1.0 - scale - scale * (total * rest)
