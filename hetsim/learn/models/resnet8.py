"""ResNet-8 for small images (`hetsim.learn.models._resnet`)."""

from __future__ import annotations

from torch import nn

from hetsim.learn.models import _resnet


def resnet8(shape: tuple[int, ...], classes: int, *, width: float = 1.0) -> nn.Module:
    """The residual network of 8 layers, `width` times as wide."""
    return _resnet.build("resnet8", 8, shape, classes, width)
