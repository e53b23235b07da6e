"""The mean of models of which only some layers have arrived.

An update is sent layer by layer, from the output layer back to the input, so that one which is cut
short has delivered its last layers; what says which layers a message holds
(`hetsim.learn.ops.kept`) goes ahead. A layer of the new server model is the weighted mean over the
updates that delivered it, and the old server model's where none did. A layer is a module with
values of its own: its weights, biases and running statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hetsim.core.quantities import Bytes, Fraction
from hetsim.core.ref import Ref
from hetsim.learn.meter import mean_cost, measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.kept import header, tensor_bytes, tensors_in
from hetsim.learn.resident import Resident

Layers = tuple[str, ...]


def layered_mean(
    model: Ref[State],
    updates: Sequence[Ref[State]],
    weights: Sequence[float],
    layers: Sequence[Layers],
) -> Ref[State]:
    """The server model after updates of which these layers have arrived.

    Raises:
        ValueError: nothing to average, or lengths or weights that make no sense.
    """
    if not len(updates) == len(weights) == len(layers) or not updates or min(weights) <= 0.0:
        raise ValueError(f"{len(updates)} updates, {len(layers)} arrivals, weights {list(weights)}")
    return Ref.of(
        "layered_mean",
        model,
        *updates,
        nbytes=model.nbytes,
        cost=mean_cost(model.nbytes, len(updates), measure(model_arch(model)).tensors),
        weights=tuple(float(weight) for weight in weights),
        layers=tuple(layers),
        arch=model.arg("arch"),
    )


def layers_of(model: Ref[State]) -> Layers:
    """Names of the layers in the order in which they are sent."""
    return tuple(_sizes(model))


def arrived(model: Ref[State], share: Fraction) -> Layers:
    """The layers that are whole in the first `share` of a message."""
    sizes, first = _sizes(model), header(model)
    left = share * (sum(sizes.values()) + first) - first
    names: list[str] = []
    for name, size in sizes.items():
        left -= size
        if left < 0.0:
            break
        names.append(name)
    return tuple(names)


def _sizes(model: Ref[State]) -> Mapping[str, Bytes]:
    """Each layer with its bytes, in the order in which they are sent."""
    sizes: dict[str, Bytes] = {}
    known = tensor_bytes(model_arch(model))
    for name in reversed(tensors_in(model)):
        layer = name.rpartition(".")[0]
        sizes[layer] = sizes.get(layer, 0.0) + known[name]
    return sizes


def _layered_mean(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    model, *updates = inputs
    result: State = {}
    for name, old in model.items():
        layer = name.rpartition(".")[0]
        here = [
            (update[name], weight)
            for update, weight, layers in zip(
                updates, ref.arg("weights"), ref.arg("layers"), strict=True
            )
            if layer in layers
        ]
        if not here:
            result[name] = old.clone()
        elif old.is_floating_point():
            total, whole = torch.zeros_like(old, dtype=torch.float64), sum(w for _, w in here)
            for value, weight in here:
                total.add_(value, alpha=weight / whole)
            result[name] = total.to(old.dtype)
        else:
            result[name] = torch.stack([value for value, _ in here]).amax(0)
    return result


LAYERED_MEAN = Operation(compute=_layered_mean, light=True, kept=True)
