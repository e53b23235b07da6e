"""What control variates become when a client has trained with them: SCAFFOLD's option II.

A training of K steps at the learning rate r that moves the model from x to y tells the mean of the
gradients g that it met, without another pass over the data. With the strength s of the correction
and D, the divisor,

    x - y = r D (mean g + s p (c - c_i)),    c_i+ = (x - y) / (r D) - s p (c - c_i)

D = K for plain steps. Momentum makes each step up to 1 / (1 - momentum) times as long, so that K
would take the gradients for that much larger than they are, and the next correction with them. How
long they are, `Descent.length` says exactly; K / (1 - momentum) is what that comes near to in a
long training, and in a short one it makes less of an estimate that few steps have given. The
correction has the part p = 1 in that if it is part of the gradient, and p = K / D if it follows
each step.

Source: Karimireddy, Kale, Mohri, Reddi, Stich, Suresh, "SCAFFOLD: Stochastic Controlled Averaging
for Federated Learning", ICML 2020, arXiv 1910.06378, eq. 4, for s = 1 and plain steps; the rest is
derived.
"""

from __future__ import annotations

from typing import Literal

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.descent import Descent
from hetsim.learn.meter import FLOAT, measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import model_arch
from hetsim.learn.ops.combined import combined

Divisor = Literal["limit", "exact", "steps"]
"""How long a training of K steps is taken to be: K / (1 - momentum); as long as it is; K."""


def length(update: Ref[State]) -> float:
    """How many learning rates a gradient that never changes would have moved a model by.

    Args:
        update: a training (`train`); one that was cut short has the steps that it took.
    """
    return Descent.of(update).length(update.arg("steps"))


def control(
    variates: tuple[Ref[State], Ref[State]],
    model: Ref[State],
    update: Ref[State],
    *,
    divisor: Divisor = "limit",
) -> tuple[Ref[State], Ref[State]]:
    """The client's new variate, and by how much it differs from the one before.

    The client pays for both: four operators on each tensor of C bytes in all, which move 8 C and
    3 C. What it needs in memory are the trained model and 3 C: the start, the difference of the
    variates and the client's own.

    Args:
        variates: c and c_i, with which the model was trained.
        model: where the training started.
        update: the training, of which steps, learning rate and momentum are read.
        divisor: how long it is taken to be.
    """
    shared, own = variates
    descent, steps = Descent.of(update), update.arg("steps")
    long = {
        "exact": length(update),
        "limit": steps / (1.0 - descent.momentum),
        "steps": steps,
    }[divisor]
    back = descent.strength * (steps / long if descent.where == "step" else 1.0)
    scale = 1.0 / (descent.lr * long)
    sheet = measure(model_arch(own))
    size, memory = sheet.parameter_bytes, update.nbytes + 3 * sheet.parameter_bytes
    new = combined(
        (own, shared, model, update),
        (back, -back, scale, -scale),
        cost=Cost(
            flops=4 * size / FLOAT, traffic=8 * size, memory=memory,
            steps=1, operators=3 * sheet.tensors,
        ),
    )  # fmt: skip
    change = combined(
        (new, own),
        (1.0, -1.0),
        cost=Cost(flops=size / FLOAT, traffic=3 * size, memory=memory, operators=sheet.tensors),
    )
    return new, change
