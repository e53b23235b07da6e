"""How much of what could be had in time and energy a set of settings has, and what one more adds.

The *hypervolume* of points (seconds, joules) below a reference point is the area of all pairs that
some point is no worse than in both. For a candidate of which time and energy are only expected,
independent and normal, its expected gain is exact. Let the front run from t_1 < ... < t_n with
e_1 > ... > e_n, t_0 = -inf, t_n+1 the time and e_0 the energy of the reference. Above each stretch
of time between two neighbours, what is not yet had ends at the energy of the left one, so that

    gain = sum_i (psi_t(t_i+1) - psi_t(t_i)) psi_e(e_i),
    psi_y(b) = E max(b - y, 0) = (b - m) Phi(z) + s phi(z),   z = (b - m) / s

for a mean m and a standard deviation s of y.

Source: Emmerich, Deutz and Klinkenberg, Hypervolume-based expected improvement, CEC 2011; Yang,
Emmerich, Deutz and Bäck, Multi-objective Bayesian global optimization using expected hypervolume
improvement gradient, Swarm and Evolutionary Computation 44, 2019.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special  # pyright: ignore[reportMissingTypeStubs]

from hetsim.sim.governors._mix import front

Floats = NDArray[np.float64]

_FAR = 38.0
"""Standard deviations beyond which nothing of a normal distribution is left in a float."""


def reference(points: Floats) -> Floats:
    """[2] the worst of each, and twice the mean distance further: max + 2 (max - min) / number."""
    worst = points.max(0)
    return worst + 2.0 * (worst - points.min(0)) / len(points)


def hypervolume(points: Floats, beyond: Floats) -> float:
    """Area (s J) that points ([n, 2]) have below a reference point."""
    inside = [(float(t), float(e)) for t, e in points if t < beyond[0] and e < beyond[1]]
    area, least = 0.0, float(beyond[1])
    for place in front([t for t, _ in inside], [e for _, e in inside]):
        time, energy = inside[place]
        area += (float(beyond[0]) - time) * (least - energy)
        least = energy
    return area


def pareto(points: Floats) -> Floats:
    """[k, 2] the points that none beats in both, from the fastest on."""
    return points[front(points[:, 0].tolist(), points[:, 1].tolist())]


def expected_gain(means: Floats, variances: Floats, known: Floats, beyond: Floats) -> Floats:
    """[candidates] expected growth (s J) of the hypervolume.

    Args:
        means: [2, candidates] of time and energy.
        variances: [2, candidates].
        known: [k, 2] a front, from the fastest on.
        beyond: [2] the reference point, no better than any of the front.
    """
    spreads = np.sqrt(np.maximum(variances, 1e-100))
    ends = np.append(known[:, 0], beyond[0])
    lids = np.append(beyond[1], known[:, 1])
    in_time = _short(ends, means[0], spreads[0])
    widths = np.diff(in_time, axis=0, prepend=0.0)
    return (widths * _short(lids, means[1], spreads[1])).sum(0)


def _short(bounds: Floats, mean: Floats, spread: Floats) -> Floats:
    """[bounds, candidates] by how much a normal quantity is expected to stay below each bound."""
    off = bounds[:, None] - mean
    z = np.clip(off / spread, -_FAR, _FAR)
    density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    return np.maximum(off * special.ndtr(z) + spread * density, 0.0)
