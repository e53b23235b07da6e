"""The mean of models of several sizes, each a slice of the server's (`hetsim.learn.ops.slice`).

Each value of the new server model is the weighted mean over the updates that contain it, and the
old one where none does. Updates of which only some layers have arrived contain those layers, and
messages of some units of a model (`hetsim.learn.ops.kept`) contain those units. Where clients say
nothing about classes that they do not hold, the rows of the classifier that belong to those are not
theirs either. Running statistics are those of updates in which the layer is whole: what a layer of
fewer channels before it gives has another spread. Sums are taken in float64 in the order of the
updates; counters take the largest value, as in `hetsim.learn.ops.mean`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT, measure
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.kept import partial, tensors_in
from hetsim.learn.ops.layered import Layers, layers_of
from hetsim.learn.ops.mean import mean
from hetsim.learn.ops.part import trained
from hetsim.learn.ops.slice import leading
from hetsim.learn.resident import Resident, Rows


def sliced_mean(
    model: Ref[State],
    updates: Sequence[Ref[State]],
    weights: Sequence[float],
    *,
    layers: Sequence[Layers | None] = (),
    shards: Sequence[Ref[Rows]] = (),
    renormalise: bool = True,
) -> Ref[State]:
    """The server model after updates of slices of it; of whole models it is their mean.

    Args:
        model: the present server model.
        updates: slices of it, trained.
        weights: of each, on any positive scale.
        layers: of each the layers that have arrived, None for all; empty where all have.
        shards: of each what it was trained on, if it speaks for the classes in it alone.
        renormalise: whether rows of a class are the mean over those who speak for it; otherwise
            their sum is divided by the weight of all, so that rows shrink which few speak for.

    Raises:
        ValueError: nothing to average, or lengths or weights that make no sense.
    """
    counts = {len(updates), len(weights), len(layers) or len(weights), len(shards) or len(weights)}
    if len(counts) > 1 or not updates or min(weights) <= 0.0:
        raise ValueError(f"{counts} updates, weights {list(weights)}, layers and shards")
    cut_short = any(each is not None for each in layers)
    text = model.arg("arch")
    whole = all(update.arg("arch") == text and not partial(update) for update in updates)
    if whole and not cut_short and not shards:
        return mean(updates, weights)
    return Ref.of(
        "sliced_mean",
        model,
        *updates,
        *shards,
        nbytes=model.nbytes,
        cost=_cost(model, updates),
        weights=tuple(float(weight) for weight in weights),
        layers=tuple(layers) if cut_short else (),
        classifier=layers_of(model)[0] if shards else "",
        **({} if renormalise else {"renormalise": False}),
        arch=text,
    )


def _cost(model: Ref[State], updates: Sequence[Ref[State]]) -> Cost:
    """Work of the mean.

    Each value is read and multiplied into a float64 sum, and its weight added to another one, both
    read and written; in the end both and the old model are read, and the new one is written. Peak
    memory: both sums, the old model, the new one and an update.
    """
    moved: Bytes = sum(update.nbytes for update in updates)
    added = sum(_trained(update) for update in updates)
    return Cost(
        flops=(3.0 * moved + model.nbytes) / FLOAT,
        traffic=9.0 * moved + 6.0 * model.nbytes,
        memory=6.0 * model.nbytes + max(update.nbytes for update in updates),
        steps=1,
        operators=2 * added + measure(model_arch(model)).tensors,
    )


def _trained(update: Ref[State]) -> int:
    """Tensors of trained values in an update."""
    there = trained(model_arch(update))
    return sum(name in there for name in tensors_in(update))


def _sliced_mean(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    weights: Sequence[float] = ref.arg("weights")
    model: State = inputs[0]
    updates: Sequence[State] = inputs[1 : 1 + len(weights)]
    owned = [resident.present(rows) for rows in inputs[1 + len(weights) :]]
    arrived: Sequence[Layers | None] = ref.arg("layers") or [None] * len(weights)
    renormalise = dict(ref.args).get("renormalise", True)
    statistics = _statistics(model_arch(ref))
    result: State = {}
    for name, old in model.items():
        layer = name.rpartition(".")[0]
        here = [
            (place, update[name])
            for place, (update, layers) in enumerate(zip(updates, arrived, strict=True))
            if name in update and (layers is None or layer in layers)
            and (name not in statistics or update[name].shape == old.shape)
        ]  # fmt: skip
        if not old.is_floating_point():
            result[name] = torch.stack([value for _, value in here] or [old]).amax(0)
            continue
        total, whole = (torch.zeros_like(old, dtype=torch.float64) for _ in range(2))
        for place, value in here:
            share = counted = torch.tensor(weights[place], dtype=torch.float64)
            if owned and layer == ref.arg("classifier"):
                share = _of_rows(owned[place] * share, value)
                counted = share if renormalise else counted
            leading(total, value.shape).add_(value.double() * share)
            leading(whole, value.shape).add_(counted)
        result[name] = torch.where(whole > 0.0, total / whole, old.double()).to(old.dtype)
    return result


@lru_cache(maxsize=256)
def _statistics(architecture: Architecture) -> frozenset[str]:
    """Names of what a model keeps of batches and does not train."""
    with chance(0):
        module = architecture.build()
    return frozenset(name for name, _ in module.named_buffers())


def _of_rows(share: Tensor, value: Tensor) -> Tensor:
    """A share of each row, to be multiplied with the rows."""
    return share.reshape(-1, *(1,) * (value.dim() - 1))


SLICED_MEAN = Operation(compute=_sliced_mean, light=True, kept=True)
