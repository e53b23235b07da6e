"""Output channels of a model's layers: which values belong to each, and what is saved without some.

A channel is one of a convolution's outputs, or a unit of a linear layer: a row of its weights, its
bias, and its values in the normalisation behind it. What keeping a share of the channels saves is
counted as SPATL's agent does (`hetsim.learn.multiply_adds`: Yu, Nguyen, Abebe, Qian, Anwar,
Jannesari, SC 2022, arXiv 2111.14345): a layer sees what the one that runs before it keeps, whatever
leads past it. A linear layer is a convolution of one tap and one position (assumed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from hetsim.core.quantities import Bytes, Fraction
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.multiply_adds import Convolution, kept_flops
from hetsim.learn.numerics import State, chance

Masks = dict[str, Tensor]
"""Of each layer, by its name and in order of execution, which channels are kept [channels] bool."""
LEAST: Fraction = 0.1
"""Of a layer's channels, as many are kept at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer whose channels can be left out.

    Attributes:
        name: path in the model ("layer1.0.conv1").
        kernel: its size and the points of what it gives.
        tensors: names of those with a row for each channel; its weights come first.
    """

    name: str
    kernel: Convolution
    tensors: tuple[str, ...]

    @property
    def takes(self) -> int:
        """Input channels that each of its own sees."""
        return self.kernel.inputs

    @property
    def channels(self) -> int:
        """Its own."""
        return self.kernel.outputs

    @property
    def weight(self) -> str:
        """Name of its weights."""
        return self.tensors[0]

    @property
    def least(self) -> int:
        """Channels that are kept at least."""
        return count(self.channels, LEAST)


@lru_cache(maxsize=256)
def layers(encoder: Architecture) -> tuple[Layer, ...]:
    """The convolutions and linear layers of a model, or of a part of one, in order of execution."""
    with chance(0):
        state = encoder.build().state_dict()
    known = {name: tuple(tensor.shape) for name, tensor in state.items()}
    found: list[Layer] = []
    for leaf in measure(encoder).layers:
        own = tuple(name for name in known if name.rpartition(".")[0] == leaf.name)
        rows = tuple(name for name in own if known[name])
        weight = next((name for name in rows if len(known[name]) > 1), None)
        if weight is not None:
            channels, takes, *sides = known[weight]
            kernel = Convolution(takes, channels, prod(sides), leaf.outputs // channels)
            tensors = (weight, *(name for name in rows if name != weight))
            found.append(Layer(name=leaf.name, kernel=kernel, tensors=tensors))
        elif found and rows and {known[name] for name in rows} == {(found[-1].channels,)}:
            last = found[-1]
            found[-1] = replace(last, tensors=(*last.tensors, *rows))
    return tuple(found)


def reduction(encoder: Architecture, ratios: Sequence[Fraction]) -> Fraction:
    """The share of operations that goes if these shares of channels are kept, one for each layer.

    >>> reduction(Architecture.of("mlp", (1, 8, 8), 10, {"hidden": [64]}), [0.5, 1.0])
    0.5
    """
    kernels = [layer.kernel for layer in layers(encoder)]
    return 1.0 - kept_flops(kernels, ratios) / sum(kernel.flops for kernel in kernels)


def saved(encoder: Architecture, kept: Sequence[int]) -> Fraction:
    """The same from how many channels are kept."""
    pairs = zip(layers(encoder), kept, strict=True)
    return reduction(encoder, [number / layer.channels for layer, number in pairs])


def count(channels: int, keep: Fraction) -> int:
    """Channels in a share of so many: to the nearest, one at least.

    >>> count(64, 0.7752), count(6, 0.05)
    (50, 1)
    """
    return max(1, int(channels * keep + 0.5))


def counts(encoder: Architecture, keep: Fraction) -> tuple[int, ...]:
    """Channels of each layer in the same share of all."""
    return tuple(count(layer.channels, keep) for layer in layers(encoder))


def bitmap(encoder: Architecture) -> Bytes:
    """Which channels are kept, a bit each."""
    return -(-sum(layer.channels for layer in layers(encoder)) // 8)


def norms(encoder: Architecture, state: State) -> list[Tensor]:
    """Of each layer, the L2 norm of every channel's weights [channels] float64."""
    return [state[layer.weight].double().flatten(1).norm(dim=1) for layer in layers(encoder)]


def strongest(encoder: Architecture, state: State, kept: Sequence[int]) -> Masks:
    """So many channels of each layer, those of the largest norms; of equal ones the first."""
    masks: Masks = {}
    strengths = norms(encoder, state)
    for layer, norm, number in zip(layers(encoder), strengths, kept, strict=True):
        mask = torch.zeros(layer.channels, dtype=torch.bool)
        mask[norm.argsort(descending=True, stable=True)[:number]] = True
        masks[layer.name] = mask
    return masks


def silenced(encoder: Architecture, state: State, masks: Masks) -> State:
    """The model with the weights of other channels at zero; biases and normalisation stay."""
    quiet = dict(state)
    for layer in layers(encoder):
        weight = state[layer.weight]
        kept = masks[layer.name].reshape(-1, *(1,) * (weight.dim() - 1))
        quiet[layer.weight] = weight * kept
    return quiet
