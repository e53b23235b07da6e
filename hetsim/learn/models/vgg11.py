"""VGG-11 with batch normalisation and one linear layer: arXiv 1409.1556, table 1, column A.

The three fully connected layers of the original are for 224 x 224 images; on small images one
layer from 512 features to the classes is usual.
"""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._chain import Chain, flat, layers
from hetsim.learn.models._shape import require

_CHANNELS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")


def vgg11(shape: tuple[int, ...], classes: int) -> nn.Module:
    """VGG-11 BN for images of at least 32 x 32."""
    require("vgg11", shape, "channels, height, width", 32)
    return _Network(shape, classes)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        stack: list[nn.Module] = []
        before = shape[0]
        for item in _CHANNELS:
            if isinstance(item, str):
                stack.append(nn.MaxPool2d(2))
                continue
            convolution = nn.Conv2d(before, item, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            stack += [convolution, nn.BatchNorm2d(item), nn.ReLU()]
            before = item
        self.features = nn.Sequential(*stack)
        self.linear = nn.Linear(512 * (shape[1] // 32) * (shape[2] // 32), classes)
        self.blocks = (*layers(self.features, "features"), (flat, "linear"))
