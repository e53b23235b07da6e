"""Local training: stochastic gradient descent from a model, on a shard.

The samples are permuted afresh each epoch by a generator of its own seed and cut into batches; the
last one may be smaller. Step k of `steps` depends on nothing after it, so a training that is cut
short is the training of fewer steps (`truncate`).

With gradient g of the cross entropy, weight decay d, proximal weight mu (FedProx: Li et al.,
arXiv 1812.06127, eq. 2, anchored at the model it starts from), momentum m and learning rate r:

    g <- g + d w + mu (w - w0);    v <- m v + g;    w <- w - r v
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn import vectors
from hetsim.learn.meter import train_cost
from hetsim.learn.net import net
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.resident import Resident, Rows

_GATHERED = 4096
"""Samples gathered at a time, at most; bounds the memory of an epoch over a large shard."""


def train(
    model: Ref[State],
    shard: Ref[Rows],
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch: int,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    proximal: float = 0.0,
    seed: int,
) -> Ref[State]:
    """The model after training on the shard.

    Args:
        model: where it starts.
        shard: what it learns from.
        epochs: passes over the shard.
        steps: the first so many steps; with `epochs`, whichever ends first.
        batch: samples a step.
        lr: learning rate.
        momentum: of the steps, from 0 to below 1; its state starts afresh with each training.
        weight_decay: added to the gradient, times the weights.
        proximal: pull towards the starting model.
        seed: of the order of samples, an integer of 64 bits.

    Raises:
        ValueError: neither epochs nor steps, or a count below one.
    """
    samples: int = shard.arg("samples")
    given = [limit for limit in (epochs, steps) if limit is not None]
    if not given or min(*given, batch, samples) < 1:
        raise ValueError(f"epochs {epochs}, steps {steps}, batch {batch}, samples {samples}")
    if epochs is not None:
        whole = epochs * ceil(samples / batch)
        steps = whole if steps is None else min(steps, whole)
    return _named(
        model,
        shard,
        steps=steps,
        batch=batch,
        lr=float(lr),
        momentum=float(momentum),
        weight_decay=float(weight_decay),
        proximal=float(proximal),
        seed=seed,
    )


def truncate(ref: Ref[State], steps: int) -> Ref[State]:
    """The model that a training has reached after its first `steps` steps.

    Raises:
        ValueError: more steps than it has, or its inputs are gone because it has been computed.
    """
    if not 0 <= steps <= ref.arg("steps"):
        raise ValueError(f"{ref} has {ref.arg('steps')} steps, not {steps}")
    if not ref.inputs:
        raise ValueError(f"{ref} has been computed whole; only a Ref nobody used can be cut short")
    model, shard = ref.inputs
    if steps == 0:
        return model
    settings = {name: value for name, value in ref.args if name != "arch"}
    return _named(model, shard, **{**settings, "steps": steps})


def _named(model: Ref[State], shard: Ref[Rows], **settings: Any) -> Ref[State]:
    architecture = model_arch(model)
    cost = train_cost(
        architecture,
        steps=settings["steps"],
        batch=settings["batch"],
        samples=_seen(shard.arg("samples"), settings["batch"], settings["steps"]),
        momentum=settings["momentum"] != 0,
        decay=settings["weight_decay"] != 0,
        anchors=int(settings["proximal"] != 0),
    )
    return Ref.of(
        "train", model, shard, nbytes=model.nbytes, cost=cost, arch=architecture.text, **settings
    )


def _seen(samples: int, batch: int, steps: int) -> int:
    """Samples that the first `steps` steps take, counted once for each time."""
    epochs, rest = divmod(steps, ceil(samples / batch))
    return epochs * samples + min(rest * batch, samples)


def _train(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    start: State = inputs[0]
    model = net(ref.arg("arch"))
    model.load(start)
    module = model.module.train()
    parameters, weights = model.parameters, model.weights
    lr, momentum = ref.arg("lr"), ref.arg("momentum")
    decay, proximal = ref.arg("weight_decay"), ref.arg("proximal")
    anchor = [weight.clone() for weight in weights] if proximal else []
    velocity: list[Tensor] = []
    seed = ref.arg("seed")
    with chance(seed):
        for x, y in _batches(inputs[1], resident, ref.arg("batch"), ref.arg("steps"), seed):
            gradient = torch.autograd.grad(F.cross_entropy(module(x), y), parameters)
            if decay:
                vectors.add_(gradient, weights, alpha=decay)
            if proximal:
                vectors.add_(gradient, vectors.sub(weights, anchor), alpha=proximal)
            if momentum and velocity:
                vectors.mul_(velocity, momentum)
                vectors.add_(velocity, gradient)
            elif momentum:
                velocity = [part.clone() for part in gradient]
            vectors.add_(weights, velocity or gradient, alpha=-lr)
    return model.state()


def _batches(
    rows: Rows, resident: Resident, batch: int, steps: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples and labels of each step."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.from_numpy(rows.index)
    block = max(1, _GATHERED // batch) * batch
    while steps > 0:
        order = index[torch.randperm(len(index), generator=generator)][: steps * batch]
        for part in order.split(block):
            x, y = resident.gather(rows.split, part)
            yield from zip(x.split(batch), y.split(batch), strict=True)
        steps -= ceil(len(order) / batch)


TRAIN = Operation(compute=_train)
