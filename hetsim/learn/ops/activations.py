"""What a front part gives for a shard, batch by batch as a back part is trained on it.

The samples are permuted by a generator of their own seed and cut into batches exactly as a training
with this seed does it (`hetsim.learn.ops.train`), for one pass. The front is in evaluation mode and
nothing is kept for gradients; normalisation by batch statistics takes those of each batch all the
same (Wu et al., EcoFed, arXiv 2304.05495, train this way: the front is frozen).

With 8 bits each batch is a message with a scale of its own. For the activations x of a batch,

    s = max(x) / 127;    q = clip(round(x / s), -128, 127);    x is read as s q

which leaves half of the range to activations that are never negative; all zeros have scale 1. With
32 bits they are sent as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from math import ceil
from typing import Any, TypedDict

import torch
from torch import Tensor

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.meter import forward_cost
from hetsim.learn.net import net
from hetsim.learn.numerics import State
from hetsim.learn.operators import Operators, per_batch
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.messages import BITS, sizes
from hetsim.learn.ops.train import steps_of
from hetsim.learn.resident import Resident, Rows

_MOST = 127


class Activations(TypedDict):
    """Batches in the order of training, one after the other; n samples in all.

    `values` [n, *shape] int8 or float32, `labels` [n] int64, `scales` [batches] float32.
    """

    values: Tensor
    labels: Tensor
    scales: Tensor


def activations(
    front: Ref[State],
    shard: Ref[Rows],
    *,
    batch: int,
    seed: int,
    bits: int = 8,
    steps: int | None = None,
    partial: bool = True,
) -> Ref[Activations]:
    """What the front gives for one pass over the shard.

    The value's size is that of all its messages as they are sent; its cost is a forward pass that
    keeps no activations, and the quantisation.

    Args:
        front: a first part.
        shard: its samples.
        batch: samples a message.
        seed: of the order of samples, an integer of 64 bits.
        bits: of an activation, 8 or 32.
        steps: the first so many batches only.
        partial: whether a last batch that is smaller counts. The authors of EcoFed leave it out:
            n samples are floor(n / batch) batches.

    Raises:
        ValueError: no samples, no such number of bits, or a part that takes no samples.
    """
    architecture = model_arch(front)
    samples: int = shard.arg("samples")
    whole = ceil(samples / batch) if partial else samples // batch
    steps = whole if steps is None else min(steps, whole)
    if bits not in BITS or steps < 1:
        raise ValueError(f"bits {bits}, steps {steps}, batch {batch}, samples {samples}")
    if architecture.span[0] != 0:
        raise ValueError(f"{architecture.text} takes no samples: it is not the first part")
    seen = min(samples, steps * batch)
    cost = forward_cost(architecture, seen, batch)
    if bits == 8:
        squeezed = _quantising(architecture.gives, seen, steps)
        room = max(cost.memory, cost.memory + min(batch, seen) * squeezed.memory)
        cost = replace(cost + squeezed, memory=room)
    return Ref.of(
        "activations",
        front,
        shard,
        nbytes=sum(sizes(architecture, seen, batch, bits)),
        cost=cost,
        front=architecture.text,
        samples=seen,
        batch=batch,
        steps=steps,
        seed=seed,
        bits=bits,
    )


def quantised(x: Tensor) -> tuple[Tensor, Tensor]:
    """A batch as int8, contiguous, and its scale (float32, no dimensions)."""
    most = x.max()
    scale = torch.where(most > 0, most / _MOST, 1.0)
    return (x / scale).round_().clamp_(-_MOST - 1, _MOST).to(torch.int8).contiguous(), scale


def batches(value: Activations, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Activations of each batch as they are read, float32, and its labels.

    Pictures are channels last, as a convolution of this process gives and takes them.
    """
    parts = zip(value["values"].split(batch), value["labels"].split(batch), strict=True)
    for (x, y), scale in zip(parts, value["scales"], strict=True):
        if x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        yield (x.to(torch.float32).mul_(scale) if x.dtype == torch.int8 else x), y


@lru_cache(maxsize=256)
def _quantising(shape: tuple[int, ...], samples: int, steps: int) -> Cost:
    """Work of quantising activations of a shape, counted in two dry runs; memory is a sample's."""
    tallies = []
    for batch in (2, 3):
        x = torch.zeros(batch, *shape)
        with Operators() as operators:
            quantised(x)
        tallies.append(operators.tally)
    two, three = tallies
    return replace(
        per_batch(two, three, steps=steps, samples=samples),
        memory=x[0].numel() * (x.element_size() + 1),
    )


def _activations(ref: Ref[Activations], inputs: Sequence[Any], resident: Resident) -> Activations:
    ready = net(ref.arg("front"))
    ready.load(inputs[0])
    module = ready.module.eval()
    rows: Rows = inputs[1]
    values: list[Tensor] = []
    labels: list[Tensor] = []
    scales: list[Tensor] = []
    for index in steps_of(ref, rows):
        x, y = resident.gather(rows.split, index)
        with torch.no_grad():
            z = module(x)
        value, scale = quantised(z) if ref.arg("bits") == 8 else (z.contiguous(), z.new_ones(()))
        values.append(value)
        labels.append(y)
        scales.append(scale)
    return Activations(
        values=torch.cat(values), labels=torch.cat(labels), scales=torch.stack(scales)
    )


ACTIVATIONS = Operation(compute=_activations)
