"""A Gaussian process over clock settings, and what it expects of settings not yet measured.

    y(x) ~ GP(m, s^2 Matern_5/2(r) + noise),   r^2 = sum_d ((x_d - x'_d) / l_d)^2
    Matern_5/2(r) = (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)

The mean m, the variance s^2 and a length scale l for each clock are learnt; the noise is given.
Variance and length scales have log-normal priors, whose logarithms are spread by 1 around those of
the starts; the mean has none. What is learnt maximises the marginal likelihood times the density of
the priors, by L-BFGS from the best of the values learnt last and ten draws of the prior for each of
them. Where little was observed there are several maxima, and the draws decide which one is found.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

Floats = NDArray[np.float64]

_DRAWS = 10
"""Of the prior, for each quantity that has one."""
_LEAST = 1e-12
"""Share of their squared mean that values vary by at least."""
_WIDEST = 8.0
"""How far from its start the logarithm of a quantity may go: eight standard deviations."""
_ROOT = 5.0**0.5
_optimize: Any = optimize


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a process learns.

    Attributes:
        mean: far from all observations, in the unit of what is observed.
        variance: the square of that unit.
        lengths: [clocks] how far one must go to see something new.
    """

    mean: float
    variance: float
    lengths: Floats

    @classmethod
    def start(cls, values: Floats, spans: Floats) -> Shape:
        """Where learning begins: lengths of a fifth of each range times the root of their number.

        Args:
            values: the first observations.
            spans: [clocks] range of each.
        """
        return cls(
            mean=float(values.mean()),
            variance=max(float(values.var()), _LEAST * float(values.mean() ** 2)) or 1.0,
            lengths=0.2 * len(spans) ** 0.5 * spans,
        )

    def between(self, some: Floats, others: Floats) -> Floats:
        """[some, others] covariances of two lists of settings ([n, clocks])."""
        return self.variance * _matern(_distance(_squares(some, others), self.lengths))[0]

    @property
    def logs(self) -> Floats:
        """[clocks + 1] logarithms of length scales and variance."""
        return np.log(np.append(self.lengths, self.variance))

    @classmethod
    def of(cls, vector: Floats) -> Shape:
        """From logarithms and the mean."""
        variance, mean = float(np.exp(vector[-2])), float(vector[-1])
        return cls(mean=mean, variance=variance, lengths=np.exp(vector[:-2]))


def learn(
    settings: Floats,
    values: Floats,
    *,
    last: Shape,
    prior: Shape,
    noise: float,
    random: np.random.Generator,
) -> Shape:
    """The most likely shape.

    Args:
        settings: [n, clocks] that were observed.
        values: [n] what was observed.
        last: what was learnt before.
        prior: around which variance and length scales are expected.
        noise: variance of an observation.
        random: draws the other starts.
    """
    loss = _Loss(settings, values, prior, noise)
    centre = prior.logs
    draws = centre + random.standard_normal((_DRAWS * len(centre), len(centre)))
    starts = [np.append(logs, last.mean) for logs in (last.logs, *draws)]
    start = min(starts, key=lambda each: loss(each)[0])
    bounds = [*((each - _WIDEST, each + _WIDEST) for each in centre), (None, None)]
    found = _optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return Shape.of(np.asarray(found.x, np.float64))


class _Loss:
    """Minus the logarithm of likelihood times prior, and its slope."""

    def __init__(self, settings: Floats, values: Floats, prior: Shape, noise: float) -> None:
        self.squares = _squares(settings, settings)
        self.values, self.noise, self.centre = values, noise, prior.logs

    def __call__(self, vector: Floats) -> tuple[float, Floats]:
        shape, count = Shape.of(vector), len(self.values)
        distance = _distance(self.squares, shape.lengths)
        alike, falling = _matern(distance)
        covariance = shape.variance * alike
        factor = np.linalg.cholesky(covariance + self.noise * np.eye(count))
        root = np.linalg.inv(factor)
        inverse, rest = root.T @ root, self.values - shape.mean
        weights = inverse @ rest
        off = vector[:-1] - self.centre
        loss = (
            0.5 * rest @ weights
            + np.log(np.diag(factor)).sum()
            + 0.5 * count * np.log(2.0 * np.pi)
            + 0.5 * off @ off
            + vector[:-1].sum()
        )
        pull = 0.5 * (inverse - np.outer(weights, weights))
        by_length = shape.variance * self.squares * falling / (shape.lengths**2)[:, None, None]
        slope = np.array([*(pull * by_length).sum((1, 2)), (pull * covariance).sum()]) + off + 1.0
        return float(loss), np.append(slope, -weights.sum())


class Outlook:
    """What a process expects of all candidates, and still when it imagines some of them observed.

    Attributes:
        mean, variance: [candidates] of the undisturbed quantity.
    """

    def __init__(
        self, shape: Shape, noise: float, settings: Floats, values: Floats, candidates: Floats
    ) -> None:
        """Condition on observations.

        Args:
            shape: of the process.
            noise: variance of an observation.
            settings: [n, clocks] that were observed.
            values: [n] what was observed.
            candidates: [candidates, clocks].
        """
        self._shape, self._noise, self._candidates = shape, noise, candidates
        own = shape.between(settings, settings) + noise * np.eye(len(values))
        root = np.linalg.inv(np.linalg.cholesky(own))
        self._seen: Floats = root @ shape.between(settings, candidates)
        rest = root @ (values - shape.mean)
        self.mean: Floats = shape.mean + rest @ self._seen
        self.variance: Floats = np.maximum(shape.variance - (self._seen**2).sum(0), 0.0)

    def imagine(self, candidate: int) -> None:
        """Take the mean of a candidate for observed: the means stay, the variances fall."""
        one = self._candidates[candidate : candidate + 1]
        shared = self._shape.between(one, self._candidates)[0]
        shared -= self._seen[:, candidate] @ self._seen
        row = shared / np.sqrt(max(shared[candidate], 0.0) + self._noise)
        self._seen = np.vstack([self._seen, row])
        self.variance = np.maximum(self.variance - row**2, 0.0)


def _squares(some: Floats, others: Floats) -> Floats:
    """[clocks, some, others] squared differences."""
    return (some.T[:, :, None] - others.T[:, None, :]) ** 2


def _distance(squares: Floats, lengths: Floats) -> Floats:
    return np.sqrt(np.einsum("dij,d->ij", squares, lengths**-2))


def _matern(distance: Floats) -> tuple[Floats, Floats]:
    """The correlation at these distances, and what a length scale's slope has in common with it."""
    scaled = _ROOT * distance
    decay = np.exp(-scaled)
    return (1.0 + scaled + scaled**2 / 3.0) * decay, 5.0 / 3.0 * (1.0 + scaled) * decay
