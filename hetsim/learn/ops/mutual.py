"""Training of both parts of a model, each by the other's logits: they teach one another.

A client trains its front with an auxiliary head (`ops.head`) on its shard. Then it goes through the
shard once more and sends the activations, the labels and its logits, batch by batch; the server
trains the back on each batch and returns its logits of it, from which the client learns when it is
asked again. With logits p of who learns and t of who teaches, labels y and temperature T,

    K(t, p) of `hetsim.learn.divergence`
    client: CE(p, y) + alpha K(t, p);    server: K(t, p) + alpha CE(p, y)

(FedGKT: He, Annavaram, Avestimehr, "Group Knowledge Transfer: Federated Learning of Large CNNs at
the Edge", NeurIPS 2020, algorithm 1; losses, constants and order are those of the baseline FedGKT
in Wu et al., EcoFed, arXiv 2304.05495.) A client that has not been taught yet has cross entropy
alone.

Samples come in the order of the shard, so that logits of one round belong to the batches of the
next. What a client sends it computes in evaluation mode; the logits that the server returns are
those of its step on the batch. Both follow one rule (`hetsim.learn.descent`), each with a momentum
that starts afresh. Nothing that one computes meanwhile depends on the other, but all is one value,
of which each is picked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.descent import Descent
from hetsim.learn.divergence import divergence
from hetsim.learn.meter import FLOAT, forward_cost, measure, train_cost
from hetsim.learn.net import Net, net
from hetsim.learn.numerics import State, chance
from hetsim.learn.operators import Operators, per_batch
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.local_loss import together
from hetsim.learn.ops.messages import further_bytes, gradient_bytes, sizes
from hetsim.learn.ops.pick import packed, pick
from hetsim.learn.resident import Resident, Rows


class Mutual(NamedTuple):
    """What training by each other's logits gives, and what it takes.

    Attributes:
        front, head, back: after it.
        logits: the server's for the whole shard, from which the client learns the next time.
        device: work of the client, training front and head.
        ahead: its work after that, up to the activations and its logits.
        server: work of the server, on the back; no samples, for it reads none.
        sent: bytes of all messages of activations, labels and the client's logits.
        returned: bytes of all messages of the server's logits.
        steps: batches that are sent, each a message up and one down.
    """

    front: Ref[State]
    head: Ref[State]
    back: Ref[State]
    logits: Ref[State]
    device: Cost
    ahead: Cost
    server: Cost
    sent: Bytes
    returned: Bytes
    steps: int


def mutual(
    front: Ref[State],
    head: Ref[State],
    back: Ref[State],
    shard: Ref[Rows],
    teacher: Ref[State] | None = None,
    *,
    batch: int,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    epochs: int = 1,
    alpha: float = 1.0,
    temperature: float = 3.0,
    seed: int = 0,
) -> Mutual:
    """Train front and head on the shard, and then the back on what they give.

    Args:
        front: a first part.
        head: on what the front gives (`ops.head`).
        back: the other part.
        shard: what they learn from.
        teacher: the server's logits for this shard (`Mutual.logits`), if it has been taught.
        batch: samples a step.
        lr: learning rate.
        momentum: of the steps, from 0 to below 1.
        weight_decay: added to the gradient, times the weights.
        epochs: passes of the client over the shard; the server makes one.
        alpha: weight of what is taught for the client, and of the labels for the server.
        temperature: of what is taught, above 0.
        seed: of what the models draw by themselves (dropout).

    Raises:
        ValueError: no steps, models that do not fit together, a teacher of other samples, or a
            temperature that is not above 0.
    """
    first, aside, last = (model_arch(model) for model in (front, head, back))
    if first.joined(last).part is not None or aside.shape != first.gives:
        raise ValueError(f"{first.text}, {aside.text} and {last.text} do not fit together")
    samples: int = shard.arg("samples")
    if min(epochs, batch, samples) < 1:
        raise ValueError(f"epochs {epochs}, batch {batch}, samples {samples}")
    if temperature <= 0.0:
        raise ValueError(f"temperature {temperature:g}")
    classes = last.classes
    taught: Bytes = samples * classes * FLOAT
    if teacher is not None and teacher.nbytes != taught:
        raise ValueError(f"{teacher} holds {teacher.nbytes:g} bytes of logits, not {taught:g}")
    device, ahead, server = _costs(
        first, aside, last, samples, batch, epochs,
        taught=teacher is not None, momentum=momentum != 0, decay=weight_decay != 0,
    )  # fmt: skip
    counts = [min(batch, samples - begun) for begun in range(0, samples, batch)]
    logits = [count * classes for count in counts]
    several = Ref.of(
        "mutual",
        front,
        head,
        back,
        shard,
        *([] if teacher is None else [teacher]),
        nbytes=front.nbytes + head.nbytes + back.nbytes + taught,
        cost=device + ahead + server,
        front=first.text,
        head=aside.text,
        back=last.text,
        batch=batch,
        epochs=epochs,
        lr=float(lr),
        momentum=float(momentum),
        weight_decay=float(weight_decay),
        proximal=0.0,
        alpha=float(alpha),
        temperature=float(temperature),
        seed=seed,
    )
    return Mutual(
        front=pick(several, "front", first),
        head=pick(several, "head", aside),
        back=pick(several, "back", last),
        logits=Ref.of("pick", several, nbytes=taught, name="logits"),
        device=device,
        ahead=ahead,
        server=server,
        sent=sum(sizes(first, samples, batch, 32)) + sum(map(further_bytes, logits)),
        returned=sum(map(gradient_bytes, logits)),
        steps=len(counts),
    )


def _costs(
    first: Architecture,
    aside: Architecture,
    last: Architecture,
    samples: int,
    batch: int,
    epochs: int,
    *,
    taught: bool,
    momentum: bool,
    decay: bool,
) -> tuple[Cost, Cost, Cost]:
    """Work of training front and head, of going through them again, and of training the back."""
    steps, classes = ceil(samples / batch), last.classes
    rule: dict[str, Any] = {"batch": batch, "momentum": momentum, "decay": decay}
    passes: dict[str, Any] = {"steps": epochs * steps, "samples": epochs * samples}
    device = together(
        train_cost(first, **passes, **rule),
        train_cost(aside, gradient=True, **passes, **rule),
        shared=min(batch, samples) * measure(first).output_bytes,
    )
    if taught:
        device += _learning(classes, **passes)
    ahead = together(
        forward_cost(first, samples, batch), forward_cost(aside, samples, batch), shared=0
    )
    server = train_cost(last, steps=steps, samples=samples, **rule)
    server += _learning(classes, steps=steps, samples=samples)
    return device, ahead, replace(server, samples=0.0)


@lru_cache(maxsize=256)
def _learning(classes: int, *, steps: int, samples: int) -> Cost:
    """Work of learning from a teacher beside learning from labels, counted in two dry runs."""
    tallies = []
    for batch in (2, 3):
        x = torch.zeros(batch, classes, requires_grad=True)
        y, teacher = torch.zeros(batch, dtype=torch.long), torch.zeros(batch, classes)
        with Operators() as operators:
            torch.autograd.grad(F.cross_entropy(x, y), x)
            alone = operators.tally
            torch.autograd.grad(F.cross_entropy(x, y) + 1.0 * divergence(x, teacher, 1.0), x)
        tallies.append(operators.tally - alone - alone)
    two, three = tallies
    return per_batch(two, three, steps=steps, samples=samples)


def _mutual(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    names = ("front", "head", "back")
    models = [net(ref.arg(name)) for name in names]
    for model, state in zip(models, inputs, strict=False):
        model.load(state)
    rows: Rows = inputs[3]
    teacher: Tensor | None = inputs[4]["values"] if len(inputs) > 4 else None
    with chance(ref.arg("seed")):
        _train_client(ref, models[0], models[1], rows, teacher, resident)
        logits = _train_server(ref, models, rows, resident)
    states = {name: model.state() for name, model in zip(names, models, strict=True)}
    return packed({**states, "logits": {"values": logits}})


def _train_client(
    ref: Ref[State], front: Net, head: Net, rows: Rows, teacher: Tensor | None, resident: Resident
) -> None:
    ahead, aside = front.module.train(), head.module.train()
    parameters = [*front.parameters, *head.parameters]
    weights = [*front.weights, *head.weights]
    descent = Descent.of(ref)
    velocity = descent.velocity(weights)
    alpha, temperature = ref.arg("alpha"), ref.arg("temperature")
    for _ in range(ref.arg("epochs")):
        taught = None if teacher is None else iter(teacher.split(ref.arg("batch")))
        for x, y in _batches(ref, rows, resident):
            logits = aside(ahead(x))
            loss = F.cross_entropy(logits, y)
            if taught is not None:
                loss = loss + alpha * divergence(logits, next(taught), temperature)
            descent.step(weights, torch.autograd.grad(loss, parameters), velocity, [])


def _train_server(ref: Ref[State], models: Sequence[Net], rows: Rows, resident: Resident) -> Tensor:
    """One step of the back on each batch that the client sends; the server's logits of all."""
    ahead, aside = (model.module.eval() for model in models[:2])
    back = models[2].module.train()
    parameters, weights = models[2].parameters, models[2].weights
    descent = Descent.of(ref)
    velocity = descent.velocity(weights)
    alpha, temperature = ref.arg("alpha"), ref.arg("temperature")
    returned: list[Tensor] = []
    for x, y in _batches(ref, rows, resident):
        with torch.no_grad():
            z = ahead(x)
            teacher = aside(z)
        logits = back(z)
        loss = divergence(logits, teacher, temperature) + alpha * F.cross_entropy(logits, y)
        descent.step(weights, torch.autograd.grad(loss, parameters), velocity, [])
        returned.append(logits.detach())
    return torch.cat(returned)


def _batches(ref: Ref[State], rows: Rows, resident: Resident) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples and labels in the order of the shard."""
    for index in torch.from_numpy(rows.index).split(ref.arg("batch")):
        yield resident.gather(rows.split, index)


MUTUAL = Operation(compute=_mutual)
