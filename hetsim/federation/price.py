"""What training a registered model takes, for those who do not look into the learning plane."""

from __future__ import annotations

from typing import Any, NamedTuple

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import train_cost


def training(
    model: str, shape: tuple[int, ...], classes: int, *, samples: int, batch: int, steps: int
) -> Cost:
    """Work of `steps` plain gradient steps on `samples` samples.

    Args:
        model: name of a registered model.
        shape: of a sample.
        classes: how many it tells apart.
        samples: in all batches together.
        batch: samples a step.
        steps: how many.
    """
    architecture = Architecture.of(model, shape, classes)
    return train_cost(architecture, steps=steps, batch=batch, samples=samples, momentum=False)


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
