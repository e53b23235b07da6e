"""Unknowns that measurements leave open: what is possible within tolerance, and what is likely.

A model is a maximum of terms that are linear in the unknowns x (the longest of several ways to be
busy), and is to reproduce a measurement m within a tolerance d:

    (1 - d) m <= max_k (a_k . x + b_k) <= (1 + d) m,    low <= x <= high

Each maximum is one of its terms at least somewhere, so all possible x are a union of polytopes, one
for every choice of the terms that reach the measurements; the extremes of a quantity, and of a
ratio of two, are exact: linear programs over each of them (Charnes and Cooper, "Programming with
linear fractional functionals", Naval Research Logistics 9, 1962, for the ratio).

The likeliest x has the least sum of squares of the relative errors in units of d, and of how far
each unknown is from what is expected of it, as a logarithm, in units of its spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize

from hetsim.core.errors import HetsimError
from hetsim.core.quantities import Fraction

Floats = NDArray[np.float64]
Terms = Sequence[Floats]
"""Linear terms [unknowns + 1], the constant last; what is meant is the largest of them."""

_SEARCHES = 5
"""From where the last one ended; where two terms are equal, one may end early."""
_EQUAL = 1e-9
"""By how much, relative, a term that ought to be the largest may be smaller: rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A number that was not measured.

    Attributes:
        name, unit: what it is called.
        expected: what it is without the measurements.
        low, high: what it cannot leave.
        spread: logarithm of the factor by which it may well be off.
        why: where all this comes from.
    """

    name: str
    unit: str
    expected: float
    low: float
    high: float
    spread: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A model of something measured.

    Attributes:
        terms: of the model.
        values: what was measured, above zero, as often as it was.
    """

    terms: Terms
    values: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasible:
    """All values of the unknowns that reproduce the measurements.

    Attributes:
        unknowns: in the order of the terms.
        measured: what is to be reproduced.
        tolerance: relative.
    """

    unknowns: Sequence[Unknown]
    measured: Sequence[Observed]
    tolerance: Fraction

    def likeliest(self) -> Floats:
        """The values that are least out of the ordinary.

        Raises:
            HetsimError: none were found at which the same terms are the largest.
        """
        best, least = None, inf
        for chosen in self._choices():
            u = np.zeros(len(self.unknowns))
            for _ in range(_SEARCHES):
                u = self._search(u, chosen)
            badness, _ = self._badness(u, chosen)
            if badness < least and np.all(self._ahead(u, chosen) > -_EQUAL):
                best, least = u, badness
        if best is None:
            raise HetsimError("no values of the unknowns were found that come near the measured")
        return self._expected * np.exp(best)

    def _search(self, start: Floats, chosen: Terms) -> Floats:
        """The least bad values near others, u = log x / expected, while these terms are largest."""
        bounds = [
            (log(each.low / each.expected), log(each.high / each.expected))
            for each in self.unknowns
        ]
        return minimize(
            self._badness, start, args=(chosen,), jac=True, bounds=bounds, method="SLSQP",
            constraints={
                "type": "ineq", "fun": self._ahead, "jac": self._ahead_slopes, "args": (chosen,),
            },
            options={"maxiter": 500, "ftol": 1e-15},
        ).x  # fmt: skip

    def _badness(self, u: Floats, chosen: Terms) -> tuple[float, Floats]:
        """The sum of squares, times the square of the tolerance, and its slopes."""
        x = np.append(self._expected * np.exp(u), 1.0)
        spreads = np.array([each.spread for each in self.unknowns]) / self.tolerance
        total, slopes = float(np.sum(np.square(u / spreads))), 2.0 * u / spreads**2
        for term, each in zip(chosen, self.measured, strict=True):
            for value in each.values:
                error = float(term @ x) / value - 1.0
                total += error**2
                slopes = slopes + 2.0 * error * (term * x)[:-1] / value
        return total, slopes

    def _ahead(self, u: Floats, chosen: Terms) -> Floats:
        """Above zero where the chosen terms are the largest of theirs."""
        return self._leads(chosen) @ np.append(self._expected * np.exp(u), 1.0)

    def _ahead_slopes(self, u: Floats, chosen: Terms) -> Floats:
        return self._leads(chosen)[:, :-1] * (self._expected * np.exp(u))

    def _leads(self, chosen: Terms) -> Floats:
        """By what the chosen terms are larger than the others of theirs, of what was measured."""
        rows = [
            (term - other) / each.values[0]
            for term, each in zip(chosen, self.measured, strict=True)
            for other in each.terms
            if other is not term
        ]
        return np.array(rows).reshape(-1, len(self.unknowns) + 1)

    def extent(self, top: Terms, bottom: Terms | None = None) -> tuple[float, float]:
        """The lowest and the highest of a quantity, or of its ratio to another one.

        Raises:
            HetsimError: nothing reproduces the measurements.
        """
        scale = np.append(self._expected, 1.0)
        over, whole = _normal([term * scale for term in top])
        under, part = _normal([term * scale for term in bottom or [_one(len(self.unknowns))]])
        low, high = inf, -inf
        for rows in self._polytopes(scale):
            for term in over:  # the ratio of one term is below that of the largest
                found = linprog(
                    -term, A_ub=[*rows, *under], b_ub=[0.0] * len(rows) + [1.0] * len(under)
                )
                high = max(high, -found.fun) if found.status == 0 else high
            for term in under:  # the largest term over one is above that over the largest
                limits = np.vstack([rows, over])
                roof = np.append(np.zeros(len(rows)), -np.ones(len(over)))
                found = linprog(
                    np.append(np.zeros(len(scale)), 1.0),
                    A_ub=np.column_stack([limits, roof]), b_ub=np.zeros(len(limits)),
                    A_eq=[np.append(term, 0.0)], b_eq=[1.0],
                )  # fmt: skip
                low = min(low, found.fun) if found.status == 0 else low
        if low > high:
            raise HetsimError("no values of the unknowns reproduce the measurements")
        return low * whole / part, high * whole / part

    @property
    def _expected(self) -> Floats:
        return np.array([each.expected for each in self.unknowns])

    def _choices(self) -> Iterator[tuple[Floats, ...]]:
        """Which term of each measurement is its largest."""
        return product(*(each.terms for each in self.measured))

    def _polytopes(self, scale: Floats) -> Iterator[Floats]:
        """Rows that are at most 0 at (t x / scale, t), t being any number above zero."""
        one = _one(len(self.unknowns))
        rows: list[Floats] = []
        for place, each in enumerate(self.unknowns):
            unit = np.zeros(len(one))
            unit[place] = 1.0
            low, high = each.low / scale[place], each.high / scale[place]
            rows += [unit - one * high, one * low - unit]
        for each in self.measured:
            highest = (1.0 + self.tolerance) * min(each.values)
            rows += [term * scale / highest - one for term in each.terms]
        for chosen in self._choices():
            reached = [
                one - term * scale / ((1.0 - self.tolerance) * max(each.values))
                for term, each in zip(chosen, self.measured, strict=True)
            ]
            yield np.array(rows + reached)


def value_of(terms: Terms, x: Floats) -> float:
    """The largest of the terms.

    >>> value_of([np.array([2.0, 1.0]), np.array([0.0, 4.0])], np.array([1.0]))
    4.0
    """
    return max(float(term @ np.append(x, 1.0)) for term in terms)


def _normal(terms: Terms) -> tuple[list[Floats], float]:
    """Terms of ordinary size, which a solver's tolerances are made for, and what they were."""
    size = float(np.abs(terms).max())
    return [term / size for term in terms], size


def _one(unknowns: int) -> Floats:
    """The term that is 1 whatever the unknowns."""
    return np.append(np.zeros(unknowns), 1.0)
