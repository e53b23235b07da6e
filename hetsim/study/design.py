"""Which clock settings to measure first, from the grid of settings alone.

Before anything is measured, the logarithm of a step's time or joules is taken as a smooth surface
over the log frequencies: a quadratic trend, nearly free, and a Gaussian process around it
(Matern 5/2, length scale one standard deviation of the grid). Settings are chosen one by one, each
the one after which the variance that is left, averaged over the grid, is smallest:

    gain(j) = sum over settings i of cov(i, j)^2 / (var(j) + noise)

Source: I-optimal (IMSE) design, Sacks, Welch, Mitchell and Wynn, Statistical Science 4(4), 1989.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process.kernels import Matern

from hetsim.core.rng import rng

Floats = NDArray[np.float64]

_TREND = 3.0
"""Variance of each coefficient of the trend, in variances of the process around it."""
_NOISE = 0.05
"""Variance of a measurement, likewise; more than measured boards show, so that points spread."""
_REFERENCE = 1000
"""Settings over which the variance is averaged: all of a smaller grid."""


def design(clocks: Floats, size: int) -> NDArray[np.intp]:
    """Rows of the `size` settings most worth measuring, the most worthwhile first.

    The answer is a set of settings: the order of the rows has no influence on it.

    Args:
        clocks: [rows, 3] Hz, distinct.
        size: how many, at most the rows.
    """
    order = np.lexsort(clocks.T[::-1])
    features = _features(clocks[order])
    reference = features
    if len(order) > _REFERENCE:
        some = rng(0, "sim/calibrate/design").permutation(len(order))[:_REFERENCE]
        reference = features[np.sort(some)]
    left = _covariance(reference, features)
    variance = np.array([_covariance(row[None], row[None])[0, 0] for row in features])
    factors = np.empty((size, len(order)))
    chosen: list[int] = []
    for step in range(size):
        gain = (left**2).sum(axis=0) / (variance + _NOISE)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        along = _covariance(features[[best]], features)[0] - factors[:step, best] @ factors[:step]
        scale = variance[best] + _NOISE
        left -= np.outer(left[:, best], along) / scale
        factors[step] = along / np.sqrt(scale)
        variance = variance - factors[step] ** 2
    return order[chosen]


def _features(clocks: Floats) -> Floats:
    """[rows, 3 + 9]: standardised log frequencies, then the trend's terms; constant ones zero."""
    logs = _standard(np.log(clocks))
    pairs = [logs[:, i] * logs[:, j] for i in range(3) for j in range(i, 3)]
    return np.column_stack([logs, _standard(np.column_stack([logs, *pairs]))])


def _covariance(one: Floats, other: Floats) -> Floats:
    trend = _TREND * (1.0 + one[:, 3:] @ other[:, 3:].T)
    return Matern(nu=2.5)(one[:, :3], other[:, :3]) + trend


def _standard(columns: Floats) -> Floats:
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0)
