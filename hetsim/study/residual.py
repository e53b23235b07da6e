"""What the physics form leaves: a Gaussian process on the logarithm of measured over physics.

    log(measured / physics) ~ GP(0, s^2 Matern_5/2(log f; one length scale a clock) + noise)

Its mean falls back to zero, so to the physics form, away from what was measured, and it is never
carried beyond the largest deviation seen. Hyperparameters maximise the marginal likelihood, from
one fixed start; length scales are bounded below, so that noise is not taken for structure.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5.
"""

from __future__ import annotations

import warnings
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from hetsim.core.rng import rng

Floats = NDArray[np.float64]

_LENGTH = (0.2, 30.0)
"""Bounds of a length scale, in standard deviations of the log frequency."""
_MOST = 300
"""Rows that the hyperparameters are taken from, drawn evenly: the search costs their number cubed,
again and again; the process itself sees all rows."""
_SIGNAL = (1e-2, 1e2)
_WHITE = (1e-4, 1.0)
"""Bounds of the two variances, in mean squares of the residual."""


class Residual:
    """A factor by which the physics form is off, by clock."""

    def __init__(self, clocks: Floats, measured: Floats, physics: Floats) -> None:
        """Learn it from measured rows.

        Args:
            clocks: [rows, 3] Hz.
            measured: seconds or joules.
            physics: the same as the physics form has it.
        """
        logs = np.log(clocks)
        spread = logs.std(axis=0)
        self._centre, self._spread = logs.mean(axis=0), np.where(spread > 1e-12, spread, 1.0)
        target = np.log(measured / physics)
        self._scale = max(float(np.sqrt((target**2).mean())), 1e-9)
        self._low, self._high = min(target.min(), 0.0), max(target.max(), 0.0)
        kernel = ConstantKernel(1.0, _SIGNAL) * Matern(cast(Any, np.ones(3)), _LENGTH, nu=2.5)
        self._process = GaussianProcessRegressor(kernel + WhiteKernel(1e-2, _WHITE))
        features, scaled = self._features(clocks), target / self._scale
        some = rng(0, "sim/calibrate/residual").permutation(len(scaled))[:_MOST]
        some.sort()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound is an answer
            self._process.fit(features[some], scaled[some])
        if len(some) < len(scaled):
            process = cast(Any, self._process)
            known = GaussianProcessRegressor(process.kernel_, optimizer=cast(Any, None))
            self._process = known.fit(features, scaled)

    def __call__(self, clocks: Floats) -> Floats:
        """The factor at `clocks`."""
        mean = self._scale * np.asarray(self._process.predict(self._features(clocks)))
        return np.exp(np.clip(mean, self._low, self._high))

    def _features(self, clocks: Floats) -> Floats:
        return (np.log(clocks) - self._centre) / self._spread
