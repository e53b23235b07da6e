"""The one module of an architecture in this process: values are loaded into it and read out of it.

Building a module costs more than training a small one for a step, so it is built once. Convolution
weights lie in it channels last, in all models: a step is then up to 1.4 times as fast (MobileNetV2)
and nowhere more than 2 % slower (VGG-11; batches of 20, one thread). States outside are contiguous.

A 1 x 1 convolution that skips pixels of fewer than 16 channels is given only those that it sees and
skips none: in the backward pass oneDNN 3 would write past its workspace, which spoils weights or
ends the process (github.com/uxlfoundation/oneDNN/issues/6035).
"""

from __future__ import annotations

from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from hetsim.learn import vectors
from hetsim.learn.architecture import Architecture
from hetsim.learn.numerics import State, chance


class Net:
    """A module and its tensors.

    Attributes:
        module: takes a batch [batch, *shape] float32, gives logits [batch, classes].
        parameters: what is trained, in module order.
        weights: the same tensors without gradient, for updates in place.
    """

    def __init__(self, architecture: Architecture) -> None:
        with chance(0):
            self.module: nn.Module = architecture.build()
        for parameter in self.module.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
        for layer in self.module.modules():
            if isinstance(layer, nn.Conv2d) and _skips(layer):
                layer.register_forward_pre_hook(partial(_seen, stride=layer.stride))
                layer.stride = (1, 1)
        tensors = self.module.state_dict()
        self.names = list(tensors)
        self.tensors = list(tensors.values())
        self.parameters = list(self.module.parameters())
        self.weights = [parameter.detach() for parameter in self.parameters]

    def load(self, state: State) -> None:
        """Take over the values of `state`."""
        vectors.copy_(self.tensors, [state[name] for name in self.names])

    def state(self) -> State:
        """A copy of the values."""
        copies = [t.clone(memory_format=torch.contiguous_format) for t in self.tensors]
        return dict(zip(self.names, copies, strict=True))


def _skips(layer: nn.Conv2d) -> bool:
    """Whether it is a convolution that oneDNN cannot be trusted with."""
    points = layer.kernel_size == (1, 1) and layer.padding == (0, 0)
    return points and layer.stride != (1, 1) and layer.in_channels // layer.groups < _NARROW


def _seen(
    layer: nn.Module, given: tuple[Tensor, ...], stride: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """Of what a layer is given, the pixels that it sees."""
    del layer
    down, across = stride
    return (given[0][:, :, ::down, ::across],)


_NARROW = 16
"""Channels in a block of oneDNN's layouts, at most."""


@lru_cache(maxsize=64)
def net(architecture: str) -> Net:
    """This process's module for an architecture's canonical text."""
    return Net(Architecture.parse(architecture))
