"""VGG-11 for Raspberry Pis: three linear layers of 512, and no bias anywhere.

The network of the public runs of FL, DPFL and EDPFL on two Raspberry Pi 4 by the first author of
EcoFed (arXiv 2304.05495). Reconstructed so that the counts are theirs: 9,752,640 parameters and
153.3 million multiply-adds a 32 x 32 image. Eight 3x3 convolutions with batch normalisation, 2 x 2
pooling after the first, second, fourth, sixth and eighth, linear layers 512-512-512-classes.
"""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._chain import Chain, flat, layers
from hetsim.learn.models._norm import norm
from hetsim.learn.models._shape import require

_CHANNELS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")
_HIDDEN = 512


def vgg11_small(shape: tuple[int, ...], classes: int, *, statistics: str = "batch") -> nn.Module:
    """The network for images of at least 32 x 32; batch statistics as in EcoFed's own code."""
    require("vgg11_small", shape, "channels, height, width", 32)
    return _Network(shape, classes, statistics)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int, statistics: str) -> None:
        super().__init__()
        stack: list[nn.Module] = []
        before = shape[0]
        for item in _CHANNELS:
            if isinstance(item, str):
                stack.append(nn.MaxPool2d(2))
                continue
            convolution = nn.Conv2d(before, item, 3, padding=1, bias=False)
            stack += [convolution, norm(item, statistics), nn.ReLU()]
            before = item
        self.features = nn.Sequential(*stack)
        left = before * (shape[1] // 32) * (shape[2] // 32)
        self.head = nn.Sequential(
            nn.Linear(left, _HIDDEN, bias=False), nn.ReLU(),
            nn.Linear(_HIDDEN, _HIDDEN, bias=False), nn.ReLU(),
            nn.Linear(_HIDDEN, classes, bias=False),
        )  # fmt: skip
        first, *rest = layers(self.head, "head")
        self.blocks = (*layers(self.features, "features"), (flat, *first), *rest)
