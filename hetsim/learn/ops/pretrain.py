"""Pre-training: a model trained centrally on source samples, before the simulated world begins.

Stochastic gradient descent as in `train`, in phases: the learning rate is divided by ten after half
of the epochs and again after four fifths, and the momentum starts afresh with each phase. That is
the shape of the schedule of Wu et al. (EcoFed, github.com/blessonvar/EcoFed: 100 epochs, steps at
50 and 80), without Nesterov's momentum and without augmentation.

Its value is worth keeping: the same parts start many runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation
from hetsim.learn.ops.train import TRAIN, train
from hetsim.learn.resident import Resident, Rows

DROPS = (0.5, 0.8)
"""Shares of the epochs after which the learning rate falls."""
FACTOR = 0.1
"""By which it is multiplied there."""


def pretrain(
    model: Ref[State],
    shard: Ref[Rows],
    *,
    epochs: int,
    batch: int,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    seed: int,
) -> Ref[State]:
    """The model after pre-training on the shard; arguments as in `train`.

    Raises:
        ValueError: a count below one.
    """
    settings = {
        "batch": batch, "momentum": float(momentum), "weight_decay": float(weight_decay),
        "seed": seed,
    }  # fmt: skip
    spans = phases(epochs, lr)
    costs = [train(model, shard, epochs=n, lr=rate, **settings).cost for n, rate in spans]
    return Ref.of(
        "pretrain",
        model,
        shard,
        nbytes=model.nbytes,
        cost=Cost(
            flops=sum(cost.flops for cost in costs),
            traffic=sum(cost.traffic for cost in costs),
            memory=costs[0].memory,
            steps=sum(cost.steps for cost in costs),
            samples=sum(cost.samples for cost in costs),
            operators=sum(cost.operators for cost in costs),
        ),
        arch=model.arg("arch"),
        phases=spans,
        **settings,
    )


def phases(epochs: int, lr: float) -> tuple[tuple[int, float], ...]:
    """Epochs and learning rate of each phase that has any.

    >>> phases(100, 1.0)
    ((50, 1.0), (30, 0.1), (20, 0.010000000000000002))
    >>> phases(1, 1.0)
    ((1, 1.0),)

    Raises:
        ValueError: less than one epoch.
    """
    if epochs < 1:
        raise ValueError(f"epochs {epochs}")
    ends = [0, *(max(1, round(epochs * drop)) for drop in DROPS), epochs]
    spans = [
        (end - start, lr * FACTOR**fallen) for fallen, (start, end) in enumerate(pairwise(ends))
    ]
    return tuple(span for span in spans if span[0] > 0)


def trainings(ref: Ref[State], samples: int) -> list[Ref[State]]:
    """The trainings, one for each phase, that a pre-training on so many samples is made of.

    Each goes on from the value of the one before it.
    """
    model: Ref[State] = Ref.of("initial", arch=ref.arg("arch"))
    shard: Ref[Rows] = Ref.of("shard", samples=samples)
    settings = {name: ref.arg(name) for name in ("batch", "momentum", "weight_decay")}
    parts: list[Ref[State]] = []
    for number, (epochs, lr) in enumerate(ref.arg("phases")):
        seed = entropy(ref.arg("seed"), "learn/pretraining", number) % 2**63
        model = train(model, shard, epochs=epochs, lr=lr, seed=seed, **settings)
        parts.append(model)
    return parts


def _pretrain(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    state, rows = inputs
    for part in trainings(ref, len(rows.index)):
        state = TRAIN.compute(part, [state, rows], resident)
    return state


PRETRAIN = Operation(compute=_pretrain, kept=True)
