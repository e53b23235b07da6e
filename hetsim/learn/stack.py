"""Many small perceptrons of one architecture, trained together: one batched product a layer.

A step of a model of a few thousand weights is a dozen calls of a few microseconds each, most of
which is overhead. Stacked, all members pay it once, and the gradient is written out instead of
recorded: with activations a_l = relu(a_(l-1) W_l' + b_l) and logits z of B samples,

    d_L = (softmax(z) - onehot(y)) / B;    d_(l-1) = (d_l W_l) * (a_(l-1) > 0)
    grad W_l = d_l' a_(l-1);               grad b_l = sum of d_l over the samples

What a member computes is bitwise the same alone and in any company. To that end every width is
padded with zeros to whole vectors, so that each member's matrices lie in memory as if it were the
first; convolutions, whose kernels depend on the number of groups, are never stacked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import inf

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.descent import Descent
from hetsim.learn.net import net
from hetsim.learn.numerics import State

LARGEST = 65_536
"""Parameters up to which a model is stacked; the weights of larger ones crowd each other out of the
processor's caches."""
_LANES = 16
"""float32 in the widest vector register of a CPU, which is also a cache line."""


@lru_cache
def stackable(architecture: str) -> bool:
    """Whether models of this architecture (canonical text) are trained as members of a stack."""
    ready = net(architecture)
    layers = list(ready.module) if isinstance(ready.module, nn.Sequential) else []
    depth = len(layers) // 2
    return (
        [type(layer) for layer in layers]
        == [nn.Flatten, *[nn.Linear, nn.ReLU] * (depth - 1), nn.Linear]
        and len(ready.parameters) == 2 * depth  # each layer has its bias
        and sum(parameter.numel() for parameter in ready.parameters) <= LARGEST
    )


class Stack:
    """Members that start from given states.

    Args:
        architecture: canonical text; `stackable`.
        states: of each member.
        descent: the rule of every step.
        apart: of each, what the control variates of its parameters differ by; each names the same.
    """

    def __init__(
        self,
        architecture: str,
        states: Sequence[State],
        descent: Descent,
        apart: Sequence[State] = (),
    ) -> None:
        self._descent = descent
        self._shapes = {name: states[0][name].shape for name in net(architecture).names}
        self._classes = list(self._shapes.values())[-1][0]
        weights = [_padded([state[name] for state in states]) for name in self._shapes]
        steered = apart[0] if apart else {}
        differences = [
            _padded([each[name] for each in apart]) if name in steered else None
            for name in self._shapes
        ]
        correction = descent.correction(weights, differences) if steered else []
        self._columns = weights, descent.velocity(weights), descent.anchor(weights), correction

    def step(self, members: Sequence[int], x: Tensor, y: Tensor) -> None:
        """One step of some members.

        Args:
            members: which.
            x: their samples [members, batch, *shape] float32.
            y: their labels [members, batch] int64.
        """
        if len(members) == len(self._columns[0][0]):
            self._descend(self._columns, x, y)
            return
        index = torch.tensor(members)
        columns = tuple(
            [whole.index_select(0, index) for whole in column] for column in self._columns
        )
        self._descend(columns, x, y)
        for column, part in zip(self._columns, columns, strict=True):
            for whole, changed in zip(column, part, strict=True):
                whole.index_copy_(0, index, changed)

    def _descend(self, columns: tuple[list[Tensor], ...], x: Tensor, y: Tensor) -> None:
        weights, velocity, anchor, correction = columns
        x = x.flatten(2)
        if missing := -x.shape[2] % _LANES:
            x = F.pad(x, (0, missing))
        gradient = _gradient(weights, x, y, self._classes)
        self._descent.step(weights, gradient, velocity, anchor, correction)

    def states(self) -> list[State]:
        """The states that the members have reached."""
        cut = [
            weight[(slice(None), *map(slice, shape))]
            for weight, shape in zip(self._columns[0], self._shapes.values(), strict=True)
        ]
        return [
            {name: part[i].clone(memory_format=torch.contiguous_format)
             for name, part in zip(self._shapes, cut, strict=True)}
            for i in range(len(cut[0]))
        ]  # fmt: skip


def _gradient(weights: list[Tensor], x: Tensor, y: Tensor, classes: int) -> list[Tensor]:
    """Of the mean cross entropy of each member, in the order of `weights` (W, b of each layer)."""
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    last = len(layers) - 1
    inputs: list[Tensor] = []
    for place, (weight, bias) in enumerate(layers):
        inputs.append(x)
        x = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
        if place < last:
            x.relu_()
    x[..., classes:] = -inf
    back = x.softmax(2)
    back.scatter_add_(2, y.unsqueeze(2), back.new_full((), -1.0).expand(*y.shape, 1))
    back.div_(y.shape[1])
    gradient: list[Tensor] = []
    for place in range(last, -1, -1):
        gradient += back.sum(1), torch.bmm(back.transpose(1, 2), inputs[place])
        if place:
            back = torch.bmm(back, layers[place][0]).mul_(inputs[place] > 0)
    return gradient[::-1]


def _padded(tensors: Sequence[Tensor]) -> Tensor:
    """All in one, every dimension filled up with zeros to whole vectors."""
    shape = [-(-size // _LANES) * _LANES for size in tensors[0].shape]
    whole = torch.zeros(len(tensors), *shape)
    cut = tuple(map(slice, tensors[0].shape))
    for place, tensor in enumerate(tensors):
        whole[place][cut] = tensor
    return whole
