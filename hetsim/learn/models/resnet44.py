"""ResNet-44 for small images (`hetsim.learn.models._resnet`)."""

from __future__ import annotations

from torch import nn

from hetsim.learn.models import _resnet


def resnet44(shape: tuple[int, ...], classes: int, *, width: float = 1.0) -> nn.Module:
    """The residual network of 44 layers, `width` times as wide."""
    return _resnet.build("resnet44", 44, shape, classes, width)
