"""The weighted mean of models: the server's step of federated averaging.

Sums are taken in float64 in the order of the inputs and rounded once, so the result depends on
nothing else, and the mean of one model is that model bit for bit. Counters (integer buffers) have
no mean; they take the largest value of those whose weight is not negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from hetsim.core.ref import Ref
from hetsim.learn.meter import mean_cost, measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.resident import Resident


def mean(refs: Sequence[Ref[State]], weights: Sequence[float] | None = None) -> Ref[State]:
    """The mean of models, weighted by `weights` (any positive scale), or of equal weight.

    Raises:
        ValueError: nothing to average, or weights that are negative, not finite or all zero.
    """
    given = [1.0] * len(refs) if weights is None else [float(weight) for weight in weights]
    total = sum(given)
    if len(given) != len(refs) or not isfinite(total) or total <= 0 or min(given) < 0:
        raise ValueError(f"{len(refs)} models and weights {given}")
    first = refs[0]
    return Ref.of(
        "mean",
        *refs,
        nbytes=first.nbytes,
        cost=mean_cost(first.nbytes, len(refs), measure(model_arch(first)).tensors),
        weights=tuple(weight / total for weight in given),
        arch=first.arg("arch"),
    )


class Sum:
    """A running weighted sum."""

    def __init__(self, weights: Iterable[float]) -> None:
        self._weights = iter(weights)
        self._types: dict[str, torch.dtype] = {}
        self._sums: State = {}

    def add(self, value: State) -> None:
        """Take in the next model."""
        weight = next(self._weights)
        if not self._sums:
            self._types = {name: tensor.dtype for name, tensor in value.items()}
            self._sums = {name: _weighted(tensor, weight) for name, tensor in value.items()}
            return
        for name, tensor in value.items():
            total = self._sums[name]
            if total.is_floating_point():
                total.add_(tensor, alpha=weight)
            elif weight >= 0.0:
                torch.maximum(total, tensor, out=total)

    def result(self) -> State:
        """The sum of all models added."""
        return {name: total.to(self._types[name]) for name, total in self._sums.items()}


def _weighted(tensor: Tensor, weight: float) -> Tensor:
    return tensor.double().mul_(weight) if tensor.is_floating_point() else tensor.clone()


def _fold(ref: Ref[State]) -> Sum:
    return Sum(ref.arg("weights"))


def _mean(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    fold = _fold(ref)
    for value in inputs:
        fold.add(value)
    return fold.result()


MEAN = Operation(compute=_mean, fold=_fold, light=True, kept=True)
