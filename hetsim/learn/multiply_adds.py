"""Multiply-adds of a forward pass over one sample, as papers count them.

What papers call FLOPs or MACs depends on the tool that counted. Here every operator of one pass is
seen (`TorchDispatchMode`), and a convention says what an element of each kind counts:

    convention   product   bias of a     normalised   after    into a
                           convolution   element      ReLU     pooling
    layers       1         0             0            0        0
    ptflops      1         1             2            1        1
    thop         1         0             4            0        0

A product is one multiply-add of a convolution or a linear layer. `layers` is half of the forward
operations of `hetsim.learn.meter`. `ptflops` is github.com/sovrasov/flops-counter.pytorch, whose
later versions also count the biases of linear layers (100 of 1,162 million in ResNet-34); `thop` is
github.com/Lyken17/pytorch-OpCounter, as far as networks without mean pooling go. FedHM (arXiv
2111.14655) prints figures of the former, FedLP (arXiv 2303.06360) of the latter.

SPATL (arXiv 2111.14345) counts floating-point operations of convolutions alone, by a formula.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from hetsim.core.quantities import Fraction
from hetsim.learn.architecture import Architecture
from hetsim.learn.numerics import chance

Convention = Literal["layers", "ptflops", "thop"]
_COUNTED: dict[Convention, Mapping[str, int]] = {
    "layers": {"products": 1},
    "ptflops": {"products": 1, "biases": 1, "normalised": 2, "rectified": 1, "pooled": 1},
    "thop": {"products": 1, "normalised": 4},
}


class Convolution(NamedTuple):
    """A convolution in a model.

    Attributes:
        inputs: channels that a kernel sees.
        outputs: channels that it gives.
        taps: points of a kernel.
        positions: points of what it gives.
    """

    inputs: int
    outputs: int
    taps: int
    positions: int

    @property
    def weights(self) -> int:
        """Values of its kernels."""
        return self.inputs * self.outputs * self.taps

    @property
    def flops(self) -> int:
        """By SPATL's formula: positions * (inputs * (2 taps - 1) + 1) * outputs.

        >>> Convolution(inputs=3, outputs=16, taps=9, positions=1024).flops
        851968
        """
        return self.positions * (self.inputs * (2 * self.taps - 1) + 1) * self.outputs


def multiply_adds(architecture: Architecture, convention: Convention = "layers") -> int:
    """Of one sample.

    Raises:
        SpecError: the model cannot be built.
    """
    elements = _watched(architecture).elements
    return sum(weight * elements[kind] for kind, weight in _COUNTED[convention].items())


def convolutions(architecture: Architecture) -> tuple[Convolution, ...]:
    """All of a model, in the order in which they are computed."""
    return tuple(_watched(architecture).convolutions)


def kept_flops(layers: Sequence[Convolution], kept: Sequence[Fraction]) -> float:
    """Of convolutions that keep shares of their output channels, as SPATL's agent estimates them.

    Layer l counts p_l p_(l-1) of its operations, the first one p_1: each is taken to see what the
    one before it keeps, also where shortcuts bring more.
    """
    shares = pairwise((1.0, *kept))
    return sum(
        layer.flops * before * own for layer, (before, own) in zip(layers, shares, strict=True)
    )


class _Watch(TorchDispatchMode):
    """While active, sorts what torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.convolutions: list[Convolution] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        out = func(*args, **(kwargs or {}))
        self._note(func.overloadpacket.__name__, args, out)
        return out

    def _note(self, name: str, args: tuple[Any, ...], out: Any) -> None:
        match name:
            case "convolution":
                weight: Tensor = args[1]
                outputs, inputs, *sides = weight.shape
                layer = Convolution(inputs, outputs, torch.Size(sides).numel(), out[0, 0].numel())
                self.convolutions.append(layer)
                self.elements["products"] += layer.weights * layer.positions
                self.elements["biases"] += 0 if args[2] is None else out.numel()
            case "mm":
                self.elements["products"] += args[0].numel() * args[1].shape[1]
            case "addmm":
                self.elements["products"] += args[1].numel() * args[2].shape[1]
            case "relu" | "relu_" | "hardtanh" | "hardtanh_":
                self.elements["rectified"] += out.numel()
            case "mean" if args[0].dim() > 2:
                self.elements["pooled"] += args[0].numel()
            case _ if "batch_norm" in name:
                self.elements["normalised"] += args[0].numel()
            case _ if "pool" in name:
                self.elements["pooled"] += args[0].numel()
            case _:
                pass


@lru_cache(maxsize=256)
def _watched(architecture: Architecture) -> _Watch:
    """A pass over one sample, as in a test."""
    with chance(0):
        module = architecture.build().eval()
    x = torch.zeros(1, *architecture.takes)
    with torch.no_grad(), _Watch() as watch:
        module(x)
    return watch
