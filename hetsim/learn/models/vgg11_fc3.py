"""VGG-11 with batch normalisation and three linear layers, as EcoFed is measured with.

Wu et al., "EcoFed: Efficient Communication for DNN Partitioning-based Federated Learning", arXiv
2304.05495: eight 3x3 convolutions, 2 x 2 pooling after the first, second, fourth and sixth, then
linear layers of 4,096, 4,096 and the classes on what is left (2,048 features of a 32 x 32 image).
Reconstructed so that the counts are those of the authors' code: 34,440,970 parameters for 10
classes, 1,920, 76,032, 371,712 and 962,304 of them in the first one to four layers, 178.0 million
multiply-adds. That fixes biases everywhere. Counts tell nothing of dropout (there is none here) or
of the initial weights (those of torch's layers).
"""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._chain import Chain, flat, layers
from hetsim.learn.models._norm import norm
from hetsim.learn.models._shape import positive, require

_CHANNELS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512)


def vgg11_fc3(
    shape: tuple[int, ...], classes: int, *, hidden: int = 4096, statistics: str = "batch"
) -> nn.Module:
    """The network for images of at least 16 x 16; batch statistics as the authors have them."""
    require("vgg11_fc3", shape, "channels, height, width", 16)
    positive(hidden=hidden)
    return _Network(shape, classes, hidden, statistics)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int, hidden: int, statistics: str) -> None:
        super().__init__()
        stack: list[nn.Module] = []
        before = shape[0]
        for item in _CHANNELS:
            if isinstance(item, str):
                stack.append(nn.MaxPool2d(2))
                continue
            convolution = nn.Conv2d(before, item, 3, padding=1)
            stack += [convolution, norm(item, statistics), nn.ReLU()]
            before = item
        self.features = nn.Sequential(*stack)
        left = before * (shape[1] // 16) * (shape[2] // 16)
        self.head = nn.Sequential(
            nn.Linear(left, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, classes),
        )  # fmt: skip
        first, *rest = layers(self.head, "head")
        self.blocks = (*layers(self.features, "features"), (flat, *first), *rest)
