"""Temperatures of a fleet in columns: `hetsim.sim.heat` for constant power, a row each.

A column is no cooler than the device, and as warm where power was constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Celsius
from hetsim.sim.columns import Array, NotTraceable
from hetsim.sim.device import Profile

Rows = NDArray[np.intp] | slice


class Warmth:
    """Bodies of all devices.

    Attributes:
        temperature: of each, at the instant up to which it is charged; ambient without a body.
    """

    def __init__(self, profiles: Sequence[Profile], kind: NDArray[np.intp], ambient: Celsius):
        bodies = [profile.heat for profile in profiles]
        self._ambient, self._kind = ambient, kind
        self._any = any(bodies)
        self._resistance = np.array([body.resistance if body else 0.0 for body in bodies])
        self._constant = np.array([b.resistance * b.capacity if b else inf for b in bodies])
        self._all = np.array([body is not None and body.power == "all" for body in bodies])
        self._trip = np.array(
            [min((trip.at for trip in body.trips), default=inf) if body else inf for body in bodies]
        )
        for profile, trip, resistance, whole in zip(
            profiles, self._trip, self._resistance, self._all, strict=True
        ):
            if ambient + resistance * profile.idle * whole >= trip:
                raise NotTraceable(f"{profile.name} slows down for heat while it is idle")
        self.temperature = np.full(len(kind), ambient)

    def rest(self, rows: Rows, idle: Array, there: Array, away: Array) -> None:
        """Let devices draw their idle power for `there` seconds, and nothing for `away`."""
        if self._any:
            kind = self._kind[rows]
            warm = self._toward(kind, self.temperature[rows], idle * self._all[kind], there)
            self.temperature[rows] = self._toward(kind, warm, 0.0 * idle, away)

    def after(
        self, rows: Rows, idle: Array, waited: Array, steps: Sequence[tuple[Array, Array, Array]]
    ) -> Array:
        """How warm devices are that were idle for `waited` seconds and then do `steps`.

        Args:
            rows: which devices.
            idle: their idle power.
            waited: since they were looked at.
            steps: seconds, and watts of computing and of the radio.

        Raises:
            NotTraceable: one may reach a trip point.
        """
        warm = self.temperature[rows]
        if not self._any:
            return warm
        kind = self._kind[rows]
        whole = self._all[kind]
        warm = self._toward(kind, warm, idle * whole, waited)
        for lasts, computing, radio in steps:
            warm = self._toward(kind, warm, computing + (idle + radio) * whole, lasts)
            if (warm >= self._trip[kind]).any():
                raise NotTraceable("some who are asked may grow so warm that they slow down")
        return warm

    def _toward(self, kind: NDArray[np.intp], warm: Array, watts: Array, seconds: Array) -> Array:
        """Temperatures after seconds of constant power."""
        steady = self._ambient + watts * self._resistance[kind]
        return warm - (steady - warm) * np.expm1(-seconds / self._constant[kind])
