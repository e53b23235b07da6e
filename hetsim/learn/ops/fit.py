"""Training of a back part on activations that have arrived, in the order in which they came.

Whoever has the activations can do it again in another round, from another start (a replay). The
rule of each step is in `hetsim.learn.descent`; its momentum starts afresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice, repeat
from typing import Any

import torch
from torch.nn import functional as F

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.descent import Descent
from hetsim.learn.meter import train_cost
from hetsim.learn.net import net
from hetsim.learn.numerics import State, chance
from hetsim.learn.operators import Operators, per_batch
from hetsim.learn.ops.activations import Activations, batches
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.resident import Resident


def fit(
    back: Ref[State],
    activations: Ref[Activations],
    *,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    epochs: int = 1,
    steps: int | None = None,
    seed: int = 0,
) -> Ref[State]:
    """The back part after training on the activations.

    Its cost counts no samples: activations come from a buffer in memory and pass through no input
    pipeline.

    Args:
        back: where it starts.
        activations: of a front that ends where the back begins.
        lr: learning rate.
        momentum: of the steps, from 0 to below 1.
        weight_decay: added to the gradient, times the weights.
        epochs: passes over the activations.
        steps: the first so many steps only.
        seed: of what the model draws by itself (dropout).

    Raises:
        ValueError: no steps, parts that do not fit together, or a back that gives no logits.
    """
    architecture = model_arch(back)
    front = Architecture.parse(activations.arg("front"))
    if not front.joined(architecture).decides:
        raise ValueError(f"{architecture.text} gives no logits: it is not the last part")
    messages, samples = activations.arg("steps"), activations.arg("samples")
    batch = activations.arg("batch")
    whole: int = epochs * messages
    steps = whole if steps is None else min(steps, whole)
    if steps < 1:
        raise ValueError(f"epochs {epochs}, steps {steps}")
    passes, rest = divmod(steps, messages)
    seen = passes * samples + min(rest * batch, samples)
    cost = train_cost(
        architecture,
        steps=steps,
        batch=min(batch, samples),
        samples=seen,
        momentum=momentum != 0,
        decay=weight_decay != 0,
    )
    if activations.arg("bits") == 8:
        cost += _reading(architecture.takes, seen, steps)
    return Ref.of(
        "fit",
        back,
        activations,
        nbytes=back.nbytes,
        cost=replace(cost, samples=0.0),
        arch=architecture.text,
        batch=batch,
        steps=steps,
        lr=float(lr),
        momentum=float(momentum),
        weight_decay=float(weight_decay),
        proximal=0.0,
        seed=seed,
    )


@lru_cache(maxsize=256)
def _reading(shape: tuple[int, ...], samples: int, steps: int) -> Cost:
    """Work of reading quantised activations of a shape, counted in two dry runs."""
    tallies = []
    for batch in (2, 3):
        value = Activations(
            values=torch.zeros(batch, *shape, dtype=torch.int8),
            labels=torch.zeros(batch, dtype=torch.long),
            scales=torch.ones(1),
        )
        with Operators() as operators:
            list(batches(value, batch))
        tallies.append(operators.tally)
    two, three = tallies
    return per_batch(two, three, steps=steps, samples=samples)


def _fit(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    model = net(ref.arg("arch"))
    model.load(inputs[0])
    module = model.module.train()
    parameters, weights = model.parameters, model.weights
    descent = Descent.of(ref)
    velocity, anchor = descent.velocity(weights), descent.anchor(weights)
    batch: int = ref.arg("batch")
    passes = chain.from_iterable(batches(value, batch) for value in repeat(inputs[1]))
    with chance(ref.arg("seed")):
        for x, y in islice(passes, ref.arg("steps")):
            gradient = torch.autograd.grad(F.cross_entropy(module(x), y), parameters)
            descent.step(weights, gradient, velocity, anchor)
    return model.state()


FIT = Operation(compute=_fit)
