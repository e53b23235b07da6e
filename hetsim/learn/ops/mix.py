"""A linear combination of models: how a server takes in updates that started from older models.

The server model `x` moves by a share of what each update moved: `x + sum_i c_i (w_i - b_i)`, where
`w_i` is what a client has trained and `b_i` what it started from. Sums are taken as a mean takes
them, the server model first and then each update with its start, in order. A start that is the
server model itself is taken together with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from hetsim.core.ref import Ref
from hetsim.learn.meter import mean_cost, measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import model_arch
from hetsim.learn.ops.mean import MEAN


def mix(
    model: Ref[State],
    updates: Sequence[Ref[State]],
    starts: Sequence[Ref[State]],
    shares: Sequence[float],
) -> Ref[State]:
    """The model, moved by `shares` of what each update moved away from its start.

    The work is that of a mean of the model and the updates: clients send their differences.

    Raises:
        ValueError: nothing to take in, lengths that differ, or shares that are negative or not
            finite.
    """
    if not len(updates) == len(starts) == len(shares) or not updates:
        raise ValueError(f"{len(updates)} updates, {len(starts)} starts, {len(shares)} shares")
    if not all(isfinite(share) and share >= 0.0 for share in shares):
        raise ValueError(f"shares {list(shares)}")
    kept, inputs, weights = 1.0, list[Ref[State]](), list[float]()
    for update, start, share in zip(updates, starts, shares, strict=True):
        inputs.append(update)
        weights.append(float(share))
        if start.key == model.key:
            kept -= share
        else:
            inputs.append(start)
            weights.append(-float(share))
    return Ref.of(
        "mix",
        model,
        *inputs,
        nbytes=model.nbytes,
        cost=mean_cost(model.nbytes, 1 + len(updates), measure(model_arch(model)).tensors),
        weights=(kept, *weights),
        arch=model.arg("arch"),
    )


MIX = MEAN
"""A mean whose weights may have any sign."""
