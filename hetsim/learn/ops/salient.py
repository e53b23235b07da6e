"""Which output channels of a model's layers matter most, by the L2 norms of their weights.

The same share of every layer, or as many as a budget of operations leaves over all layers together
(`hetsim.learn.salience.greedy`). What an agent finds by trying is in `hetsim.learn.ops.explored`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log2, prod
from typing import Any

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation
from hetsim.learn.ops.part import shapes
from hetsim.learn.resident import Resident
from hetsim.learn.salience.channels import Masks, bitmap, counts, layers, saved, strongest
from hetsim.learn.salience.greedy import greedy


def salient(
    model: Ref[State],
    encoder: Architecture,
    *,
    keep: Fraction | None = None,
    reduction: Fraction | None = None,
) -> Ref[Masks]:
    """The channels of a part of a model that matter most.

    Args:
        model: the whole model, or what has the part's values.
        encoder: the part.
        keep: share of every layer's channels; how many these are is known beforehand.
        reduction: or the share of operations that is to be saved.

    Raises:
        ValueError: both of them or none.
        SpecError: no choice of channels saves as much.
    """
    if (keep is None) == (reduction is None):
        raise ValueError(f"keep {keep} and reduction {reduction}: give one of them")
    if reduction is not None:
        check(encoder, reduction)
    return Ref.of(
        "salient",
        model,
        nbytes=bitmap(encoder),
        cost=norm_cost(encoder),
        encoder=encoder.text,
        kept=None if keep is None else counts(encoder, keep),
        reduction=reduction,
    )


def check(encoder: Architecture, reduction: Fraction) -> None:
    """Refuse a budget that nothing can meet.

    Raises:
        SpecError: a tenth of all channels, or one in each layer, is above it.
    """
    most = saved(encoder, [layer.least for layer in layers(encoder)])
    if reduction > most:
        raise SpecError(
            f"at most {most:.1%} of the operations of the encoder's {len(layers(encoder))} layers "
            f"can be saved, and reduction is {reduction:g}",
            remedy=f"Choose {floor(100.0 * most)} % or less.",
        )


def norm_cost(encoder: Architecture) -> Cost:
    """Work of the norms of n channels of P weights in all, and of sorting them: 2 P + n log2 n.

    A square is one operation and its sum another; every weight is read and every norm written.
    """
    known = layers(encoder)
    channels = sum(layer.channels for layer in known)
    weights = sum(prod(shapes(encoder)[layer.weight]) for layer in known)
    return Cost(
        flops=2.0 * weights + channels * log2(channels),
        traffic=FLOAT * (weights + channels),
        memory=FLOAT * (weights + channels),
        operators=2 * len(known),
    )


def _salient(ref: Ref[Masks], inputs: Sequence[Any], resident: Resident) -> Masks:
    encoder, [state] = Architecture.parse(ref.arg("encoder")), inputs
    kept: tuple[int, ...] | None = ref.arg("kept")
    if kept is None:
        return greedy(encoder, state, ref.arg("reduction"))
    return strongest(encoder, state, kept)


SALIENT = Operation(compute=_salient, light=True)
