"""A plain stack of 3x3 convolutions for small images, with a global mean and one linear layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from torch import nn

from hetsim.learn.models._chain import Block, Chain, average, halve, relu
from hetsim.learn.models._norm import norm


class Convolutions(Chain):
    """Convolutions, each followed by batch normalisation and ReLU.

    Args:
        channels: of a sample.
        classes: number of labels.
        widths: channels that each convolution gives.
        halved: numbers, from 1, of those after which the image is halved, while two points remain.
        stride: of the first one.
        statistics: of the normalisation: running, or those of the batch at hand.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        widths: Sequence[int],
        halved: Collection[int],
        stride: int = 1,
        statistics: str = "running",
    ) -> None:
        super().__init__()
        blocks: list[Block] = []
        for number, (before, after) in enumerate(pairwise((channels, *widths)), 1):
            convolution = nn.Conv2d(
                before, after, 3, stride if number == 1 else 1, padding=1, bias=False
            )
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"bn{number}", norm(after, statistics))
            pooled = (halve,) if number in halved else ()
            blocks.append((f"conv{number}", f"bn{number}", relu, *pooled))
        self.linear = nn.Linear(widths[-1], classes)
        self.blocks = (*blocks, (average, "linear"))
