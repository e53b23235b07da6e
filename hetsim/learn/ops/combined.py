"""A linear combination of values of one model: sums with coefficients of any sign.

Sums are taken as a mean takes them (`hetsim.learn.ops.mean`): in float64, in the order of the
values, rounded once. Only what is trained is combined so. Buffers follow from no gradient: they are
averaged, if they are kept at all; counters take the largest value.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.meter import mean_cost, measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.mean import Sum
from hetsim.learn.ops.part import trained
from hetsim.learn.resident import Resident


def combined(
    values: Sequence[Ref[State]],
    coefficients: Sequence[float],
    *,
    shares: Sequence[float] | None = None,
    cost: Cost | None = None,
) -> Ref[State]:
    """The sum of the values, each times its coefficient.

    Args:
        values: models, or values for the parameters of one; the first says which parameters.
        coefficients: of the parameters of each.
        shares: of the buffers of each, with 1 for a sum; None for a result without buffers.
        cost: the work; that of a mean of so many by default.

    Raises:
        ValueError: nothing to combine, or lengths or coefficients that make no sense.
    """
    lengths = {len(values), len(coefficients), len(coefficients if shares is None else shares)}
    if len(lengths) > 1 or not values or not all(map(isfinite, coefficients)):
        raise ValueError(f"{lengths} values, coefficients {list(coefficients)} and shares")
    if shares is not None and (min(shares) < 0.0 or not isfinite(sum(shares))):
        raise ValueError(f"shares {list(shares)}")
    sheet = measure(model_arch(values[0]))
    size = sheet.parameter_bytes if shares is None else values[0].nbytes
    return Ref.of(
        "combined",
        *values,
        nbytes=size,
        cost=cost or mean_cost(size, len(values), sheet.tensors),
        coefficients=tuple(float(each) for each in coefficients),
        shares=None if shares is None else tuple(float(each) for each in shares),
        arch=values[0].arg("arch"),
    )


class Combined:
    """Running sums of what is trained and of what is not."""

    def __init__(self, ref: Ref[State]) -> None:
        self._trained = trained(model_arch(ref))
        self._parameters = Sum(ref.arg("coefficients"))
        shares = ref.arg("shares")
        self._buffers = None if shares is None else Sum(shares)

    def add(self, value: State) -> None:
        """Take in the next value."""
        self._parameters.add({name: value[name] for name in self._trained})
        if self._buffers:
            kept = {name: each for name, each in value.items() if name not in self._trained}
            self._buffers.add(kept)

    def result(self) -> State:
        """All sums, the parameters first."""
        buffers = self._buffers.result() if self._buffers else {}
        return {**self._parameters.result(), **buffers}


def _combined(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    fold = Combined(ref)
    for value in inputs:
        fold.add(value)
    return fold.result()


COMBINED = Operation(compute=_combined, fold=Combined, light=True, kept=True)
