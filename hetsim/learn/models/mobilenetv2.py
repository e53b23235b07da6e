"""MobileNetV2 for small images: Sandler et al., arXiv 1801.04381, table 2.

The stem and the first two stages keep the resolution (stride 1), because a small image has none to
give away. `width` scales the channels, rounded to multiples of 8; the last layer keeps 1,280.
"""

from __future__ import annotations

from torch import Tensor, nn

from hetsim.learn.models._chain import Chain, average, every
from hetsim.learn.models._shape import positive, require

_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2),
    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Expansion, channels, blocks, stride of the first block."""
_LAST = 1280


def mobilenetv2(shape: tuple[int, ...], classes: int, *, width: float = 0.5) -> nn.Module:
    """MobileNetV2 for images of at least 9 x 9."""
    require("mobilenetv2", shape, "channels, height, width", 9)
    positive(width=width)
    return _Network(shape[0], classes, width)


class _Network(Chain):
    def __init__(self, channels: int, classes: int, width: float) -> None:
        super().__init__()
        before = _scaled(32, width)
        layers: list[nn.Module] = [_convolution(channels, before, 3)]
        for expansion, wish, blocks, first in _STAGES:
            after = _scaled(wish, width)
            for stride in (first, *(1,) * (blocks - 1)):
                layers.append(_Block(before, after, stride, expansion))
                before = after
        last = max(_LAST, _scaled(_LAST, width))
        self.features = nn.Sequential(*layers, _convolution(before, last, 1))
        self.linear = nn.Linear(last, classes)
        self.blocks = (*every("features", self.features), (average, "linear"))


class _Block(nn.Module):
    """Inverted residual: expand, depthwise 3x3, project without activation."""

    def __init__(self, before: int, after: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = before * expansion
        expand = [_convolution(before, hidden, 1)] if expansion != 1 else []
        self.layers = nn.Sequential(
            *expand,
            _convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.residual = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def _convolution(
    before: int, after: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU6(),
    )


def _scaled(channels: int, width: float) -> int:
    """The nearest multiple of 8, at least 8, and never below 90 % of the wish."""
    wish = channels * width
    rounded = max(8, int(wish + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wish else rounded
