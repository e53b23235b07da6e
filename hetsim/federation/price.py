"""What training a registered model takes, for those who do not look into the learning plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes, Flops, Fraction
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT, forward_cost, train_cost
from hetsim.learn.multiply_adds import Convention, convolutions, kept_flops, multiply_adds
from hetsim.learn.ops.part import trained
from hetsim.learn.ops.stitched import network


def training(
    model: str,
    shape: tuple[int, ...],
    classes: int,
    *,
    samples: int,
    batch: int,
    steps: int,
    momentum: bool = False,
    options: Mapping[str, Any] = {},
) -> Cost:
    """Work of `steps` gradient steps on `samples` samples.

    Args:
        model: name of a registered model.
        shape: of a sample.
        classes: how many it tells apart.
        samples: in all batches together.
        batch: samples a step.
        steps: how many.
        momentum: whether the steps have one.
        options: of the model.
    """
    architecture = Architecture.of(model, shape, classes, options)
    return train_cost(architecture, steps=steps, batch=batch, samples=samples, momentum=momentum)


def inference(
    model: str,
    shape: tuple[int, ...],
    classes: int,
    *,
    samples: int,
    batch: int,
    options: Mapping[str, Any] = {},
) -> Cost:
    """Work of a forward pass over `samples` samples; the arguments are those of `training`."""
    return forward_cost(Architecture.of(model, shape, classes, options), samples, batch)


def stitched(
    blocks: Sequence[tuple[str, int]], shape: tuple[int, ...], classes: int, *, positions: int
) -> Cost:
    """Work of a forward pass of a network of parts of models over one sample.

    Args:
        blocks: in order, name of a registered model and number of its part, from 0.
        shape: of a sample.
        classes: how many it tells apart.
        positions: into how many parts each model is cut.
    """
    chosen = [
        ops.candidates(
            ops.initial(Architecture.of(name, shape, classes), 0), shape, classes,
            positions=positions,
        )[part].part
        for name, part in blocks
    ]  # fmt: skip
    return forward_cost(network(chosen), 1, 1)


class Offloaded(NamedTuple):
    """What a client's epoch takes: whole, by an exchange of gradients, or on a frozen front.

    Attributes:
        steps: batches.
        whole: training of the model in one place.
        model, front: bytes of the model, and of the part that the device keeps.
        ahead, server, behind: an exchange: at the device, at the server, and back at the device.
        sent, returned: bytes of its activations, float32 with labels, and of their gradients.
        forward, fitted: the frozen front at the device, and the back trained at the server.
        quantised: bytes of the activations of a frozen front.
        merging: averaging a model, and a back part, of so many clients.
    """

    steps: int
    whole: Cost
    model: Bytes
    front: Bytes
    ahead: Cost
    server: Cost
    behind: Cost
    sent: Bytes
    returned: Bytes
    forward: Cost
    fitted: Cost
    quantised: Bytes
    merging: tuple[Cost, Cost]


def offloaded(
    model: str,
    shape: tuple[int, ...],
    classes: int,
    *,
    cut: int,
    samples: int,
    batch: int,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    bits: int = 8,
    clients: int = 1,
) -> Offloaded:
    """Work and messages of an epoch of a client, exactly as methods that cut a model are charged.

    Args:
        model: name of a registered model.
        shape: of a sample.
        classes: how many it tells apart.
        cut: blocks that the device keeps.
        samples: of the client.
        batch: samples a step.
        momentum: of the steps.
        weight_decay: of the steps in which gradients are exchanged or the model is trained whole.
        bits: of an activation of the frozen front.
        clients: in a mean.
    """
    whole = ops.initial(Architecture.of(model, shape, classes), 0)
    shard: Ref[Any] = Ref.of("shard", samples=samples)
    steps: dict[str, Any] = {"batch": batch, "lr": 1.0, "momentum": momentum, "seed": 0}
    both = ops.exchange(whole, cut, shard, epochs=1, weight_decay=weight_decay, **steps)
    front, back = ops.split(whole, cut)
    activations = ops.activations(front, shard, batch=batch, bits=bits, seed=0)
    fitted = ops.fit(back, activations, lr=1.0, momentum=momentum)
    return Offloaded(
        steps=both.steps,
        whole=both.model.cost,
        model=whole.nbytes,
        front=front.nbytes,
        ahead=both.ahead,
        server=both.server,
        behind=both.behind,
        sent=both.sent,
        returned=both.returned,
        forward=activations.cost,
        fitted=fitted.cost,
        quantised=activations.nbytes,
        merging=(ops.mean([whole] * clients).cost, ops.mean([back] * clients).cost),
    )


class Counts(NamedTuple):
    """What a model, or a part of one, holds and computes.

    Attributes:
        parameters: trained values.
        nbytes: of these, float32; running statistics, which are sent beside them, are not among it.
        multiply_adds: of a forward pass over one sample, by a convention.
    """

    parameters: int
    nbytes: Bytes
    multiply_adds: int


def counts(
    model: str,
    shape: tuple[int, ...],
    classes: int,
    *,
    options: Mapping[str, Any] = {},
    blocks: tuple[int, int] | None = None,
    convention: Convention = "layers",
) -> Counts:
    """Count a model.

    Args:
        model: name of a registered model.
        shape: of a sample.
        classes: how many it tells apart.
        options: of the model.
        blocks: of those from the first up to, not including, the second; left out, of all.
        convention: by which multiply-adds are counted (`hetsim.learn.multiply_adds`).
    """
    architecture = replace(Architecture.of(model, shape, classes, options), part=blocks)
    parameters = sum(map(prod, trained(architecture).values()))
    return Counts(parameters, parameters * FLOAT, multiply_adds(architecture, convention))


class Convolutions(NamedTuple):
    """All convolutions of a model, for one sample.

    Attributes:
        layers: how many.
        channels: that they give together.
        multiply_adds: of them.
        flops: by the formula of SPATL (`hetsim.learn.multiply_adds`).
        first: of the first one.
        kept: of all, if each keeps a share of its channels.
    """

    layers: int
    channels: int
    multiply_adds: int
    flops: Flops
    first: Flops
    kept: Flops


def convolutional(
    model: str,
    shape: tuple[int, ...],
    classes: int,
    *,
    share: Fraction = 1.0,
    options: Mapping[str, Any] = {},
) -> Convolutions:
    """Count the convolutions of a model that keep a share of their channels."""
    found = convolutions(Architecture.of(model, shape, classes, options))
    return Convolutions(
        layers=len(found),
        channels=sum(each.outputs for each in found),
        multiply_adds=sum(each.weights * each.positions for each in found),
        flops=float(sum(each.flops for each in found)),
        first=float(found[0].flops),
        kept=kept_flops(found, [share] * len(found)),
    )
