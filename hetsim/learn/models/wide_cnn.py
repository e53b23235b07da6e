"""A shallow and wide network for small images: four convolutions of 64 to 192 channels.

Each 3x3 convolution is followed by batch normalisation and ReLU. The first one has stride 2; the
image is halved again after it and after the second, while two points remain. Global mean, one
linear layer. The sizes are assumed, so that a 3 x 32 x 32 image takes about as many multiply-adds
(12.5 million) as in resnet8 (12.2 million), and no image is held at full size.
"""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._convolutions import Convolutions
from hetsim.learn.models._shape import require, scaled

_CHANNELS = (64, 128, 160, 192)
_HALVED = (1, 2)


def wide_cnn(
    shape: tuple[int, ...], classes: int, *, width: float = 1.0, statistics: str = "running"
) -> nn.Module:
    """The network for images of at least 5 x 5.

    Args:
        shape: of a sample.
        classes: number of labels.
        width: of all hidden channels, rounded up; a narrower network's weights are the first ones
            of a wider one's.
        statistics: of the normalisation: running, or those of the batch at hand.
    """
    require("wide_cnn", shape, "channels, height, width", 5)
    widths = [scaled(channels, width) for channels in _CHANNELS]
    return Convolutions(shape[0], classes, widths, _HALVED, stride=2, statistics=statistics)
