"""ResNet-18 for small images (`hetsim.learn.models._basic_resnet`): two blocks in each stage."""

from __future__ import annotations

from torch import nn

from hetsim.learn.models import _basic_resnet


def resnet18(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: float = 1.0,
    channels: tuple[int, ...] = _basic_resnet.CHANNELS,
    statistics: str = "running",
) -> nn.Module:
    """ResNet-18 for images of at least 9 x 9.

    Args:
        shape: of a sample.
        classes: number of labels.
        width: of all hidden channels, rounded up; a narrower network's weights are the first ones
            of a wider one's.
        channels: of the four stages at width 1.
        statistics: that normalise, "running" or those of each "batch".
    """
    blocks = (2, 2, 2, 2)
    return _basic_resnet.build("resnet18", blocks, shape, classes, channels, width, statistics)
