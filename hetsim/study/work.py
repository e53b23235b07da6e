"""A board at work: seconds and watts of a step by clock, in terms that other work scales.

Time is the overlapping form of `hetsim.study.physics`. Power is additive over domains, with v the
clock over its highest, U the share of the step in which a unit is busy, all coefficients >= 0:

    P = P0 + sum over units (a v + b v^e) U + sum over domains (a' v + b' v^e)

The units are the CPU, the GPU as a whole, its arithmetic alone, and the memory: a GPU that waits
for memory draws less than one that computes, and more than an idle one. e is 3 for CPU and memory
(f V^2, V in proportion to f). A GPU's voltage is flat over its low clocks and rises late, so its
exponent is chosen among `STEEPNESS`, by the fit. On full sweeps of two Jetson boards this leaves
1.7-2.5 % of the watts; the form of `PowerForm`, which a device profile can hold, leaves 2.5-3.3 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hetsim.study.physics import TimeForm, fit_time
from hetsim.study.sweep import Sweep

Floats = NDArray[np.float64]

ACTIVE = {"cpu": slice(1, 3), "gpu": slice(3, 7), "emc": slice(7, 9)}
"""The watts of a domain that are drawn while it works, in `Work.watts`."""
STEEPNESS = (3.0, 3.5, 4.0, 4.5, 5.0, 6.0)
"""Exponents of a GPU's clock in power that are tried."""
OUTLIER = 0.03
"""Relative error from which a row counts by its error and no longer by the square of it."""
_REWEIGHTED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The form with its numbers.

    Attributes:
        top: [3] hertz, the highest clocks of the sweep it was fitted on.
        time: seconds of a step.
        steepness: exponent of the GPU's clock in power.
        watts: [15] coefficients of `power_basis`, none negative.
    """

    top: Floats
    time: TimeForm
    steepness: float
    watts: Floats

    def predict(self, clocks: Floats) -> Floats:
        """[2, rows]: logarithms of seconds and of watts at these settings [rows, 3]."""
        power = power_basis(self.time, clocks, self.top, self.steepness) @ self.watts
        return np.log(np.stack([self.time(clocks), power]))

    def scaled(self, time: Floats, power: Floats) -> Work:
        """The same board under other work.

        Args:
            time: [4] logarithms of factors: on all seconds, and on the cycles of each domain.
            power: [4] logarithms of factors: on all watts, and on those of each of `ACTIVE`.
        """
        cpu, gpu, emc = np.array(self.time.cycles) * np.exp(time[0] + time[1:])
        overhead = self.time.overhead * float(np.exp(time[0]))
        other = replace(self.time, overhead=overhead, cycles=(float(cpu), float(gpu), float(emc)))
        factors = np.full(len(self.watts), power[0])
        for shift, places in zip(power[1:], ACTIVE.values(), strict=True):
            factors[places] += shift
        return replace(self, time=other, watts=self.watts * np.exp(factors))


def power_basis(time: TimeForm, clocks: Floats, top: Floats, steepness: float) -> Floats:
    """[rows, 15] functions whose non-negative sum is the power."""
    step = time(clocks)
    host, arithmetic, traffic = time.busy(clocks).T
    device = replace(time, overhead=0.0, cycles=(0.0, *time.cycles[1:]))(clocks)
    cpu, gpu, emc = (clocks / top).T
    columns = [np.ones(len(clocks))]
    for v, exponent, busy in (
        (cpu, 3.0, host / step),
        (gpu, steepness, device / step),
        (gpu, steepness, arithmetic / step),
        (emc, 3.0, traffic / step),
        (cpu, 3.0, 1.0),
        (gpu, steepness, 1.0),
        (emc, 3.0, 1.0),
    ):
        columns += [v * busy, v**exponent * busy]
    return np.stack(columns, axis=1)


def fit_work(sweep: Sweep) -> Work:
    """Fit the form on every row of a measured sweep, in relative errors, outliers damped."""
    clocks, power = sweep.clocks, sweep.energy / sweep.time
    top = clocks.max(axis=0)
    time = fit_time(clocks, sweep.time, overlapping=True)
    found = [_watts(power_basis(time, clocks, top, each), power) for each in STEEPNESS]
    best = min(range(len(STEEPNESS)), key=lambda each: found[each][1])
    return Work(top=top, time=time, steepness=STEEPNESS[best], watts=found[best][0])


def _watts(basis: Floats, power: Floats) -> tuple[Floats, float]:
    """Non-negative coefficients by reweighted least squares of relative errors, and their cost."""
    relative = basis / power[:, None]
    weights = np.ones(len(power))
    watts, cost = np.zeros(basis.shape[1]), np.inf
    for _ in range(_REWEIGHTED):
        watts, _ = nnls(relative * weights[:, None], weights, maxiter=1500)
        softened = np.sqrt(1.0 + ((relative @ watts - 1.0) / OUTLIER) ** 2)
        weights, cost = 1.0 / np.sqrt(softened), float(softened.mean() - 1.0)
    return watts, cost
