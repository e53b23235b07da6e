"""Residual networks for small images: He et al., arXiv 1512.03385, section 4.2.

A 3x3 stem of 16 channels, three stages of 16, 32 and 64 channels, n blocks each (depth 6 n + 2),
shortcuts without parameters (option A: every second pixel, zero-padded channels), global mean, one
linear layer. Parameter names are those of the published CIFAR-10 weights.

A network of another width has as many times the channels in each stage, rounded up; its weights are
the first ones of a wider one's. Where a shortcut adds an odd number of channels, the last ones are
one more than the first (assumed: at the full width they are as many).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.models._chain import Chain, average, every, relu
from hetsim.learn.models._shape import require, scaled

_AXES = "channels, height, width"
_CHANNELS = (16, 32, 64)


def build(name: str, depth: int, shape: tuple[int, ...], classes: int, width: float) -> nn.Module:
    """The network of 6 n + 2 layers, `width` times as wide."""
    require(name, shape, _AXES, 5)
    widths = [scaled(channels, width) for channels in _CHANNELS]
    return _ResNet(shape[0], classes, widths, blocks=(depth - 2) // 6)


class _Block(nn.Module):
    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.added = stride, channels - before

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.added or self.stride > 1:
            half = self.added // 2
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, half, self.added - half))
        return F.relu(out + x)


class _ResNet(Chain):
    def __init__(self, channels: int, classes: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        one, two, three = widths
        self.conv1 = nn.Conv2d(channels, one, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(one)
        self.layer1 = _stage(one, one, blocks, stride=1)
        self.layer2 = _stage(one, two, blocks, stride=2)
        self.layer3 = _stage(two, three, blocks, stride=2)
        self.linear = nn.Linear(three, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
        self.blocks = (
            ("conv1", "bn1", relu),
            *every("layer1", self.layer1),
            *every("layer2", self.layer2),
            *every("layer3", self.layer3),
            (average, "linear"),
        )


def _stage(before: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = _Block(before, channels, stride)
    return nn.Sequential(first, *(_Block(channels, channels, 1) for _ in range(blocks - 1)))
