"""Training of both parts of a model without a gradient between them: each has a loss of its own.

A client trains its front with an auxiliary head, one linear layer from the activations to the
classes; the server trains the back on the activations as they are at each step. Both minimise cross
entropy, on the same batches. (Local-loss split learning, Han et al., "Accelerating federated
learning with split learning on locally generated losses", ICML workshop 2021; the head is that of
the baseline LGL in Wu et al., EcoFed, arXiv 2304.05495.)

The three models move together, batch by batch, so they are one value, of which each is picked. The
samples are ordered as in `hetsim.learn.ops.train`; all three follow one rule
(`hetsim.learn.descent`), each with a momentum that starts afresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.descent import Descent
from hetsim.learn.meter import measure, train_cost
from hetsim.learn.net import net
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.initial import initial
from hetsim.learn.ops.messages import sent
from hetsim.learn.ops.pick import packed, pick
from hetsim.learn.ops.train import seen, steps_of
from hetsim.learn.resident import Resident, Rows


class Apart(NamedTuple):
    """What training with local losses gives, and what it takes.

    Attributes:
        front, head, back: after it.
        device: work of the client, on front and head.
        server: work of the server, on the back.
        sent: bytes of all messages of activations, float32, from the one to the other.
        steps: batches, each a message.
    """

    front: Ref[State]
    head: Ref[State]
    back: Ref[State]
    device: Cost
    server: Cost
    sent: Bytes
    steps: int


def head(front: Ref[State], seed: int) -> Ref[State]:
    """A fresh auxiliary head for a front; `seed` is any integer of 64 bits."""
    architecture = model_arch(front)
    return initial(Architecture.of("logistic", architecture.gives, architecture.classes), seed)


def local_loss(
    front: Ref[State],
    head: Ref[State],
    back: Ref[State],
    shard: Ref[Rows],
    *,
    batch: int,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    epochs: int = 1,
    steps: int | None = None,
    seed: int,
) -> Apart:
    """Train front and head on the shard, and the back on what the front gives meanwhile.

    Args:
        front: a first part.
        head: on what the front gives (`ops.head`).
        back: the other part.
        shard: what they learn from.
        batch: samples a step.
        lr: learning rate.
        momentum: of the steps, from 0 to below 1.
        weight_decay: added to the gradient, times the weights.
        epochs: passes over the shard.
        steps: the first so many steps only.
        seed: of the order of samples, an integer of 64 bits.

    Raises:
        ValueError: no steps, or models that do not fit together.
    """
    ahead, aside, behind = (model_arch(model) for model in (front, head, back))
    if ahead.joined(behind).part is not None or aside.shape != ahead.gives:
        raise ValueError(f"{ahead.text}, {aside.text} and {behind.text} do not fit together")
    samples: int = shard.arg("samples")
    whole = epochs * ceil(samples / batch)
    steps = whole if steps is None else min(steps, whole)
    if steps < 1:
        raise ValueError(f"epochs {epochs}, steps {steps}, batch {batch}, samples {samples}")
    work: dict[str, Any] = {
        "steps": steps, "batch": batch, "samples": seen(samples, batch, steps),
        "momentum": momentum != 0, "decay": weight_decay != 0,
    }  # fmt: skip
    server = replace(train_cost(behind, **work), samples=0.0)
    device = together(
        train_cost(ahead, **work),
        train_cost(aside, gradient=True, **work),
        shared=min(batch, samples) * measure(ahead).output_bytes,
    )
    several = Ref.of(
        "local_loss",
        front,
        head,
        back,
        shard,
        nbytes=front.nbytes + head.nbytes + back.nbytes,
        cost=device + server,
        front=ahead.text,
        head=aside.text,
        back=behind.text,
        batch=batch,
        steps=steps,
        lr=float(lr),
        momentum=float(momentum),
        weight_decay=float(weight_decay),
        proximal=0.0,
        seed=seed,
    )
    return Apart(
        front=pick(several, "front", ahead),
        head=pick(several, "head", aside),
        back=pick(several, "back", behind),
        device=device,
        server=server,
        sent=sent(ahead, samples, batch, steps),
        steps=steps,
    )


def together(front: Cost, head: Cost, shared: Bytes) -> Cost:
    """Work of both in one step; `shared` is what leaves the one and arrives at the other."""
    return replace(
        front + replace(head, steps=0.0, samples=0.0), memory=front.memory + head.memory - shared
    )


def _local_loss(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    names = ("front", "head", "back")
    models = [net(ref.arg(name)) for name in names]
    for model, state in zip(models, inputs, strict=False):
        model.load(state)
        model.module.train()
    front, aside, back = (model.module for model in models)
    own = [*models[0].parameters, *models[1].parameters]
    descent = Descent.of(ref)
    weights = [[*models[0].weights, *models[1].weights], models[2].weights]
    velocities = [descent.velocity(each) for each in weights]
    rows: Rows = inputs[3]
    with chance(ref.arg("seed")):
        for index in steps_of(ref, rows):
            x, y = resident.gather(rows.split, index)
            z = front(x)
            near = torch.autograd.grad(F.cross_entropy(aside(z), y), own)
            far = torch.autograd.grad(F.cross_entropy(back(z.detach()), y), models[2].parameters)
            for each, gradient, velocity in zip(weights, (near, far), velocities, strict=True):
                descent.step(each, gradient, velocity, [])
    return packed({name: model.state() for name, model in zip(names, models, strict=True)})


LOCAL_LOSS = Operation(compute=_local_loss)
