"""Training of a model in two places: activations go up, their gradients come down.

A client runs the front on a batch and sends the activations with the labels; the server runs the
back, sends the gradient of the activations down and takes its step; the client goes back through
the front and takes its own. With a back of its own for each client this computes what training of
the whole model computes, bit for bit (a test does it by hand), so that is what is named; only the
work and the messages are those of two places.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn.meter import exchange_cost, train_cost
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import model_arch
from hetsim.learn.ops.messages import answers, sent
from hetsim.learn.ops.part import split
from hetsim.learn.ops.train import seen, train
from hetsim.learn.resident import Rows


class Exchange(NamedTuple):
    """What training in two places gives, and what it takes.

    Attributes:
        model, front, back: after it.
        ahead: work of the client up to the activations.
        server: work of the server, forward and backward; no samples, for it reads none.
        behind: work of the client from the gradients on, its steps included.
        sent: bytes of all messages of activations, float32.
        returned: bytes of all messages of gradients.
        steps: batches, each a message up and one down.
    """

    model: Ref[State]
    front: Ref[State]
    back: Ref[State]
    ahead: Cost
    server: Cost
    behind: Cost
    sent: Bytes
    returned: Bytes
    steps: int


def exchange(
    model: Ref[State],
    at: int,
    shard: Ref[Rows],
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch: int,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    seed: int,
) -> Exchange:
    """Train a model, cut after its first `at` blocks, on the shard.

    The other arguments are those of `ops.train`.

    Raises:
        ValueError: neither epochs nor steps, or a count below one.
        SpecError: the model cannot be cut there.
    """
    update = train(
        model, shard, epochs=epochs, steps=steps, batch=batch, lr=lr,
        momentum=momentum, weight_decay=weight_decay, seed=seed,
    )  # fmt: skip
    first, last = model_arch(model).cut(at)
    samples: int = shard.arg("samples")
    taken: int = update.arg("steps")
    work: dict[str, Any] = {
        "steps": taken, "batch": batch, "samples": seen(samples, batch, taken),
        "momentum": momentum != 0, "decay": weight_decay != 0,
    }  # fmt: skip
    ahead, behind = exchange_cost(first, **work)
    return Exchange(
        update,
        *split(update, at),
        ahead=ahead,
        server=replace(train_cost(last, gradient=True, **work), samples=0.0),
        behind=behind,
        sent=sent(first, samples, batch, taken),
        returned=answers(first, work["samples"], taken),
        steps=taken,
    )
