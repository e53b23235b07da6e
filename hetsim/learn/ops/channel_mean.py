"""What a server makes of messages that hold some channels each (`hetsim.learn.ops.masked`).

A channel of the new model is the weighted mean over the messages that hold it, and the old one
where none does (derived; Yu et al., SPATL, SC 2022, arXiv 2111.14345, describe no rule). The
source's code (github.com/yusx-swapp/SPATL) counts the weights of channels that are not sent as
zeros instead, so that the mean is over all messages. Values that are sent whole are plain means. A
control variate moves by shares of what was sent of it: not at all where nobody sent.

Sums are taken in float64 in the order of the messages; counters take the largest value, as in
`hetsim.learn.ops.mean`. Where all messages hold a channel the mean is that of whole models, bit
for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT, measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.masked import channels_of, owners
from hetsim.learn.resident import Resident


def channel_mean(
    model: Ref[State],
    messages: Sequence[Ref[State]],
    weights: Sequence[float],
    *,
    zeros: bool = False,
) -> Ref[State]:
    """The model after messages of some of its channels.

    Args:
        model: the present one.
        messages: of channels of trained ones.
        weights: of each, on any positive scale.
        zeros: whether weights of channels that are not sent count as zeros; biases and
            normalisation, which the source's code leaves as they are, do not.

    Raises:
        ValueError: no messages, or weights that make no sense.
    """
    if len(messages) != len(weights) or not messages or min(weights) <= 0.0:
        raise ValueError(f"{len(messages)} messages and weights {list(weights)}")
    total = sum(weights)
    return Ref.of(
        "channel_mean",
        model,
        *messages,
        nbytes=model.nbytes,
        cost=_cost(model, messages),
        arch=model.arg("arch"),
        encoder=messages[0].arg("encoder"),
        weights=tuple(weight / total for weight in weights),
        zeros=zeros,
    )


def channel_step(
    variate: Ref[State], messages: Sequence[Ref[State]], shares: Sequence[float]
) -> Ref[State]:
    """A control variate, moved by so much of each message of channels of a difference.

    Raises:
        ValueError: no messages, or not a share for each.
    """
    if len(messages) != len(shares) or not messages:
        raise ValueError(f"{len(messages)} messages and shares {list(shares)}")
    return Ref.of(
        "channel_step",
        variate,
        *messages,
        nbytes=variate.nbytes,
        cost=_cost(variate, messages),
        arch=variate.arg("arch"),
        encoder=messages[0].arg("encoder"),
        weights=tuple(float(share) for share in shares),
    )


def _cost(model: Ref[State], messages: Sequence[Ref[State]]) -> Cost:
    """Work of the mean, for each tensor of the model.

    Each value sent is read and multiplied into a float64 sum at its place, and its weight added to
    another one, both read and written; in the end both and the old model are read, and the new one
    is written. Peak memory: both sums, the old model, the new one and a message.
    """
    moved: Bytes = sum(message.nbytes for message in messages)
    tensors = measure(model_arch(model)).tensors
    return Cost(
        flops=(3.0 * moved + model.nbytes) / FLOAT,
        traffic=9.0 * moved + 6.0 * model.nbytes,
        memory=6.0 * model.nbytes + max(message.nbytes for message in messages),
        steps=1,
        operators=(2 * len(messages) + 1) * tensors,
    )


def _channel_mean(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    model, *messages = inputs
    owner = owners(Architecture.parse(ref.arg("encoder")))
    result: State = {}
    for name, old in model.items():
        if not old.is_floating_point():
            result[name] = torch.stack([message[name] for message in messages]).amax(0)
            continue
        sums = _Sums(old, owner.get(name), none=-0.0)
        for weight, message in zip(ref.arg("weights"), messages, strict=True):
            sums.add(message[name], weight, message)
        result[name] = sums.mean(old, over_all=ref.arg("zeros") and old.dim() > 1)
    return result


def _channel_step(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    variate, *messages = inputs
    owner = owners(Architecture.parse(ref.arg("encoder")))
    result: State = {}
    for name, old in variate.items():
        sums = _Sums(old, owner.get(name), none=old)
        for weight, message in zip(ref.arg("weights"), messages, strict=True):
            sums.add(message[name], weight, message)
        result[name] = sums.total.to(old.dtype)
    return result


class _Sums:
    """Of one tensor, what its channels add up to.

    Args:
        old: the tensor as it is.
        layer: whose channels it has; None if it is sent whole.
        none: what nothing adds up to.
    """

    def __init__(self, old: Tensor, layer: str | None, none: float | Tensor) -> None:
        self._layer, self._sent = layer, list[Tensor]()
        self.total = torch.empty_like(old, dtype=torch.float64).copy_(torch.as_tensor(none))
        self._weight = torch.zeros(len(old) if layer else 1, dtype=torch.float64)

    def add(self, value: Tensor, weight: float, message: State) -> None:
        """Take in the rows of a message."""
        here = torch.ones(1, dtype=torch.bool)
        if self._layer is None:
            self.total.add_(value, alpha=weight)
        else:
            here = channels_of(message, self._layer)
            self.total[here] = self.total[here].add(value, alpha=weight)
        self._weight[here] += weight
        self._sent.append(here)

    def mean(self, old: Tensor, over_all: bool) -> Tensor:
        """The mean over those who sent a channel, or over all; the old value if nobody did."""
        sent = torch.stack(self._sent)
        weight = self._weight.masked_fill(sent.all(0) | over_all, 1.0)  # not 1 but for rounding
        some, weight = (
            each.reshape(-1, *(1,) * (old.dim() - 1)) for each in (sent.any(0) | over_all, weight)
        )
        return torch.where(some, self.total / weight, old.double()).to(old.dtype)


CHANNEL_MEAN = Operation(compute=_channel_mean, light=True, kept=True)
CHANNEL_STEP = Operation(compute=_channel_step, light=True)
