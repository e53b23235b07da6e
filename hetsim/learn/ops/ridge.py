"""A linear map fitted by ridge regression from sums (`hetsim.learn.ops.gram`).

With X'X and X'Y of all rows, and the identity I without the column of ones,

    W = (X'X + lambda I)^-1 X'Y,    lambda = penalty * tr(X'X) / d

where trace and d leave the column of ones out. Cholesky's method in float64; the map is float32.

Without a penalty it is chosen by generalised cross-validation (Golub, Heath and Wahba, "Generalized
cross-validation as a method for choosing a good ridge parameter", Technometrics 1979): of some, the
one with the smallest n RSS / (n - df)^2, where RSS is the sum of squares that the map leaves and df
the trace of the matrix that makes its outputs of Y. Both follow from the sums. It takes rows for
independent, which places of one picture are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.meter import FLOAT
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation
from hetsim.learn.ops.gram import Gram
from hetsim.learn.resident import Resident

PENALTY = 1e-3
"""Of the mean square of a column of X; the default of a stitch."""
_PENALTIES = tuple(10.0 ** (power / 2) for power in range(-8, 3))
"""Among which cross-validation chooses."""
_NONE_FREE = 1e-9
"""Rows left over by a map that fits each exactly."""
_EIGEN = 9.0
"""Times d^3: operations of an eigendecomposition with vectors (Golub and Van Loan, 8.3)."""
_DOUBLE = 8


def ridge(sums: Ref[Gram], *, penalty: float | None = PENALTY) -> Ref[State]:
    """The map: `weight` [outputs, inputs] and `bias` [outputs].

    Args:
        sums: over the rows of a client, or of all (`ops.summed`).
        penalty: lambda as a share of the mean square of a column of X; None for the one that
            cross-validation chooses, which suits a classifier.

    Raises:
        ValueError: a penalty that is not above zero.
    """
    if penalty is not None and not penalty > 0.0:
        raise ValueError(f"penalty {penalty}")
    columns, targets = sums.arg("columns"), sums.arg("targets")
    return Ref.of(
        "ridge",
        sums,
        nbytes=FLOAT * columns * targets,
        cost=ridge_cost(columns, targets, chosen=penalty is None),
        penalty=None if penalty is None else float(penalty),
    )


def ridge_cost(columns: int, targets: int, *, chosen: bool = False) -> Cost:
    """Work of one fit: a third of d^3 for the factor, twice d^2 for each output.

    Where the penalty is to be chosen, an eigendecomposition and as much again for the outputs.
    """
    values = columns * (columns + targets)
    return Cost(
        flops=columns**3 * (1 / 3 + _EIGEN * chosen) + (2.0 + 2.0 * chosen) * columns**2 * targets,
        traffic=float(_DOUBLE * 6 * values),
        memory=float(_DOUBLE * 2 * values),
        steps=1,
        operators=8,
    )


def solved(sums: Gram, penalty: float | None) -> State:
    """The map that fits the sums."""
    xx, xy = sums["xx"], sums["xy"]
    if penalty is None:
        penalty = _chosen(sums)
    shift = torch.full_like(xx[0], penalty * _mean(sums))
    shift[-1] = 0.0
    factor = torch.linalg.cholesky(xx + shift.diag())
    found = torch.cholesky_solve(xy, factor).T
    return {
        "weight": found[:, :-1].float().contiguous(),
        "bias": found[:, -1].float().contiguous(),
    }


def _mean(sums: Gram) -> float:
    """Mean square of a column of X; of one that is nothing but zeros, 1."""
    return float(sums["xx"].diagonal()[:-1].mean()) or 1.0


def _chosen(sums: Gram) -> float:
    """The penalty that cross-validation chooses; the larger one of two as good."""
    n = int(sums["rows"])
    ones, means = sums["xx"][:-1, -1], sums["xy"][-1]
    roots, axes = torch.linalg.eigh(sums["xx"][:-1, :-1] - torch.outer(ones, ones) / n)
    along = (axes.T @ (sums["xy"][:-1] - torch.outer(ones, means) / n)).square().sum(1)
    roots, spread = roots.clamp(min=0.0), sums["yy"] - means.square().sum() / n
    errors: list[tuple[float, float]] = []
    for penalty in _PENALTIES:
        shift = penalty * _mean(sums)
        left = float(spread - (along * (roots + 2 * shift) / (roots + shift).square()).sum())
        free = max(n - 1 - float((roots / (roots + shift)).sum()), _NONE_FREE)
        errors.append((max(left, 0.0) / free**2, -penalty))
    return -min(errors)[1]


def _ridge(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    return solved(inputs[0], ref.arg("penalty"))


RIDGE = Operation(compute=_ridge, light=True)
