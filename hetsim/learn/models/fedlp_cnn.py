"""Six 3x3 convolutions in three pairs and two linear layers, as FedLP is measured with.

Zhu et al., "FedLP: Layer-wise Pruning Mechanism for Communication-Computation Efficient Federated
Learning", ICC 2023, arXiv 2303.06360, and its code (github.com/Zhuzzq/FedLP): pairs of 32, 64 and
128 channels, each convolution followed by ReLU and then by batch normalisation, 2 x 2 pooling after
each pair; a linear layer of 128 without activation, and the classes. 551,466 parameters for 3 x 32
x 32 images and 10 classes.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from hetsim.learn.models._chain import Block, Chain, flat, pool, relu
from hetsim.learn.models._shape import require, scaled

_CHANNELS = (32, 32, 64, 64, 128, 128)
_HALVED = (2, 4, 6)
_HIDDEN = 128


def fedlp_cnn(shape: tuple[int, ...], classes: int, *, width: float = 1.0) -> nn.Module:
    """The network for images of at least 8 x 8.

    Args:
        shape: of a sample.
        classes: number of labels.
        width: of all hidden layers, rounded up; a narrower network's weights are the first ones of
            a wider one's.
    """
    require("fedlp_cnn", shape, "channels, height, width", 8)
    return _Network(shape, classes, width)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int, width: float) -> None:
        super().__init__()
        channels, height, breadth = shape
        widths = [scaled(each, width) for each in _CHANNELS]
        blocks: list[Block] = []
        for number, (before, after) in enumerate(pairwise((channels, *widths)), 1):
            self.add_module(f"conv{number}", nn.Conv2d(before, after, 3, padding=1))
            self.add_module(f"bn{number}", nn.BatchNorm2d(after))
            pooled = (pool,) if number in _HALVED else ()
            blocks.append((f"conv{number}", relu, f"bn{number}", *pooled))
        hidden = scaled(_HIDDEN, width)
        self.fc1 = nn.Linear(widths[-1] * (height // 8) * (breadth // 8), hidden)
        self.fc2 = nn.Linear(hidden, classes)
        self.blocks = (*blocks, (flat, "fc1"), ("fc2",))
