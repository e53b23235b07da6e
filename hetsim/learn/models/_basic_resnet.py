"""Residual networks of basic blocks with a stem for small images (3x3, stride 1, no pooling).

He et al., arXiv 1512.03385, table 1: four stages, by default of 64, 128, 256 and 512 channels, the
image halved at the start of each but the first; shortcuts that change the shape are 1x1
convolutions (option B); global mean, one linear layer.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.models._chain import Chain, average, every, relu
from hetsim.learn.models._norm import norm
from hetsim.learn.models._shape import positive, require, scaled

CHANNELS = (64, 128, 256, 512)


def build(
    name: str,
    blocks: tuple[int, ...],
    shape: tuple[int, ...],
    classes: int,
    channels: tuple[int, ...],
    width: float,
    statistics: str,
) -> nn.Module:
    """The network with so many blocks in each stage, each of `width` times its channels.

    Raises:
        ValueError: not a number of channels for each stage, or none.
    """
    require(name, shape, "channels, height, width", 9)
    if len(channels) != len(blocks):
        raise ValueError(f"channels are {list(channels)}, and must be four numbers")
    for each in channels:
        positive(channels=each)
    widths = tuple(scaled(each, width) for each in channels)
    return _Network(shape[0], classes, blocks, widths, statistics)


class _Block(nn.Module):
    def __init__(self, before: int, channels: int, stride: int, statistics: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.bn1 = norm(channels, statistics)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = norm(channels, statistics)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, channels, 1, stride, bias=False), norm(channels, statistics)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class _Network(Chain):
    def __init__(
        self,
        channels: int,
        classes: int,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        statistics: str,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = norm(widths[0], statistics)
        stages = [f"layer{number}" for number in range(1, len(blocks) + 1)]
        pairs = pairwise((widths[0], *widths))
        for place, (stage, (before, after)) in enumerate(zip(stages, pairs, strict=True)):
            first = _Block(before, after, 2 if place else 1, statistics)
            others = (_Block(after, after, 1, statistics) for _ in range(blocks[place] - 1))
            self.add_module(stage, nn.Sequential(first, *others))
        self.linear = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.blocks = (
            ("conv1", "bn1", relu),
            *(block for stage in stages for block in every(stage, self.get_submodule(stage))),
            (average, "linear"),
        )
