"""Local training: stochastic gradient descent from a model, on a shard.

The samples are permuted afresh each epoch by a generator of its own seed and cut into batches; the
last one may be smaller. Step k of `steps` depends on nothing after it, so a training that is cut
short is the training of fewer steps (`truncate`). Small perceptrons are trained as members of a
stack, alone or in company; the rule of each step is in `descent`. What is minimised is the cross
entropy, or an objective of a method's own (`hetsim.learn.objective`); then the operation is called
`pursue`. Where control variates correct its steps (`hetsim.learn.ops.control`) it is called
`steer`, whatever is minimised.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.descent import Descent, Where
from hetsim.learn.meter import train_cost
from hetsim.learn.net import net
from hetsim.learn.numerics import State, chance
from hetsim.learn.objective import Loss, Objective, objective
from hetsim.learn.ops.base import Operation, Task, model_arch
from hetsim.learn.ops.part import trained
from hetsim.learn.resident import Resident, Rows
from hetsim.learn.stack import Stack, stackable
from hetsim.learn.turns import turns

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
    towards: Objective | None = None,
    control: tuple[Ref[State], Ref[State]] | None = None,
    strength: float = 1.0,
    where: Where = "gradient",
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
        towards: what is minimised; the cross entropy by default.
        control: variates c and c_i of the model's parameters, or of those of a part of it; every
            step adds `strength` times c - c_i. Zeros change nothing, bit for bit.
        strength: of the correction by variates; without any it means nothing.
        where: whether they correct the gradient, or the weights after each step, by the learning
            rate times as much.
        seed: of the order of samples, an integer of 64 bits.

    Raises:
        ValueError: neither epochs nor steps, a count below one, a part of a model, or variates of
            another model.
    """
    samples: int = shard.arg("samples")
    given = [limit for limit in (epochs, steps) if limit is not None]
    if not given or min(*given, batch, samples) < 1:
        raise ValueError(f"epochs {epochs}, steps {steps}, batch {batch}, samples {samples}")
    if epochs is not None:
        whole = epochs * ceil(samples / batch)
        steps = whole if steps is None else min(steps, whole)
    steering = {"strength": float(strength), "where": where} if control else {}
    return _named(
        model,
        shard,
        *(control or ()),
        steps=steps,
        batch=batch,
        lr=float(lr),
        momentum=float(momentum),
        weight_decay=float(weight_decay),
        proximal=float(proximal),
        seed=seed,
        **({} if towards is None else {"towards": towards.plain}),
        **steering,
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
    model, shard, *control = ref.inputs
    if steps == 0:
        return model
    settings = {name: value for name, value in ref.args if name not in ("arch", "steered")}
    return _named(model, shard, *control, **{**settings, "steps": steps})


def _named(
    model: Ref[State], shard: Ref[Rows], *control: Ref[State], **settings: Any
) -> Ref[State]:
    architecture = model_arch(model)
    if architecture.part is not None:
        raise ValueError(f"{architecture.text} is a part: it is trained by `fit` or `exchange`")
    towards = settings.get("towards")
    steered = _steered(architecture, control) if control else None
    cost = train_cost(
        architecture,
        steps=settings["steps"],
        batch=settings["batch"],
        samples=seen(shard.arg("samples"), settings["batch"], settings["steps"]),
        momentum=settings["momentum"] != 0,
        decay=settings["weight_decay"] != 0,
        anchors=int(settings["proximal"] != 0),
        objective=towards and objective(towards),
        steered=steered,
    )
    if steered:
        settings["steered"] = steered.text
    return Ref.of(
        "steer" if steered else "pursue" if towards else "train",
        model,
        shard,
        *control,
        nbytes=model.nbytes,
        cost=cost,
        arch=architecture.text,
        **settings,
    )


def _steered(architecture: Architecture, control: Sequence[Ref[State]]) -> Architecture:
    """What the variates are of: the model, or a part of it."""
    steered, other = (model_arch(variate) for variate in control)
    if steered != other or not trained(steered).items() <= trained(architecture).items():
        raise ValueError(f"variates of {steered.text} and {other.text} for {architecture.text}")
    return steered


def seen(samples: int, batch: int, steps: int) -> int:
    """Samples that the first `steps` steps take, counted once for each time."""
    epochs, rest = divmod(steps, ceil(samples / batch))
    return epochs * samples + min(rest * batch, samples)


def _kin(ref: Ref[State]) -> Hashable | None:
    """All trainings of one architecture by one rule; shards may differ in size."""
    settings = dict(ref.args)
    if "towards" in settings or not stackable(settings["arch"]):
        return None
    rule = Descent.of(ref), settings["batch"], settings.get("steered")
    return ref.op, settings["arch"], *rule


def _train(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    if _kin(ref):
        return _train_stacked([(ref, inputs)], resident)[0]
    model = net(ref.arg("arch"))
    model.load(inputs[0])
    module = model.module.train()
    parameters, weights = model.parameters, model.weights
    descent = Descent.of(ref)
    velocity, anchor = descent.velocity(weights), descent.anchor(weights)
    differences = apart(inputs)
    named = [differences.get(name) for name, _ in module.named_parameters()]
    correction = descent.correction(weights, named) if differences else []
    rows: Rows = inputs[1]
    with chance(ref.arg("seed")), _loss(ref, module, rows, resident) as loss:
        for block in _blocks(ref, rows):
            x, y = resident.gather(rows.split, block)
            batch: int = ref.arg("batch")
            for part, labels in zip(x.split(batch), y.split(batch), strict=True):
                gradient = torch.autograd.grad(loss(part, labels), parameters)
                descent.step(weights, gradient, velocity, anchor, correction)
    return model.state()


@contextmanager
def _loss(ref: Ref[State], module: nn.Module, rows: Rows, resident: Resident) -> Iterator[Loss]:
    """What a training minimises."""
    settings: dict[str, Any] = dict(ref.args)
    if "towards" not in settings:
        yield lambda x, y: F.cross_entropy(module(x), y)
        return
    present = resident.present(rows)
    with objective(settings["towards"]).begin(module, present) as loss:
        yield loss


def _train_stacked(tasks: Sequence[Task], resident: Resident) -> list[State]:
    """The same for members of a stack: at each turn, those whose batches are of one size."""
    first = tasks[0][0]
    states, differences = zip(*((inputs[0], apart(inputs)) for _, inputs in tasks), strict=True)
    stack = Stack(first.arg("arch"), states, Descent.of(first), differences)
    streams = [(inputs[1].split, steps_of(ref, inputs[1])) for ref, inputs in tasks]
    for split, members, rows in turns(streams):
        x, y = resident.gather(split, rows.flatten())
        stack.step(members, x.unflatten(0, rows.shape), y.unflatten(0, rows.shape))
    return stack.states()


def _blocks(ref: Ref[Any], rows: Rows) -> Iterator[Tensor]:
    """Rows of whole batches in the order of training, at most about `_GATHERED` at a time."""
    batch, steps = ref.arg("batch"), ref.arg("steps")
    generator = torch.Generator().manual_seed(ref.arg("seed"))
    index = torch.from_numpy(rows.index)
    while steps > 0:
        order = index[torch.randperm(len(index), generator=generator)][: steps * batch]
        yield from order.split(max(1, _GATHERED // batch) * batch)
        steps -= ceil(len(order) / batch)


def apart(inputs: Sequence[Any]) -> State:
    """What the variates of each parameter differ by; empty where a training has none."""
    _, _, *control = inputs
    if not control:
        return {}
    shared, own = control
    return {name: shared[name] - own[name] for name in shared}


def steps_of(ref: Ref[Any], rows: Rows) -> Iterator[Tensor]:
    """Rows of each step of a training, [batch] int64."""
    for block in _blocks(ref, rows):
        yield from block.split(ref.arg("batch"))


TRAIN = Operation(compute=_train, kin=_kin, together=_train_stacked)
PURSUE = Operation(compute=_train)
STEER = TRAIN
