"""A plain network of 3x3 convolutions for small images.

In the manner of VGG (Simonyan and Zisserman, arXiv 1409.1556): four pairs of convolutions of 16,
32, 64 and 128 channels, each convolution followed by batch normalisation and ReLU; the image is
halved after each of the first three pairs, while two points remain. Global mean, one linear layer.
The sizes are assumed, so that a 3 x 32 x 32 image takes about as many multiply-adds (13.4 million)
as in resnet8 (12.2 million).
"""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._convolutions import Convolutions
from hetsim.learn.models._shape import require, scaled

_CHANNELS = (16, 16, 32, 32, 64, 64, 128, 128)
_HALVED = (2, 4, 6)


def plain_cnn(
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
    require("plain_cnn", shape, "channels, height, width", 5)
    widths = [scaled(channels, width) for channels in _CHANNELS]
    return Convolutions(shape[0], classes, widths, _HALVED, statistics=statistics)
