"""Two 5x5 convolutions and two linear layers, the usual small network of federated papers."""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._chain import Chain, flat, pool, relu
from hetsim.learn.models._shape import positive, require


def small_cnn(
    shape: tuple[int, ...], classes: int, *, width: int = 16, hidden: int = 128
) -> nn.Module:
    """The network for images of at least 4 x 4; `width` channels, then twice as many."""
    require("small_cnn", shape, "channels, height, width", 4)
    positive(width=width, hidden=hidden)
    return _Network(shape, classes, width, hidden)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int, width: int, hidden: int) -> None:
        super().__init__()
        channels, height, breadth = shape
        self.conv1 = nn.Conv2d(channels, width, 5, padding=2)
        self.conv2 = nn.Conv2d(width, 2 * width, 5, padding=2)
        self.fc1 = nn.Linear(2 * width * (height // 4) * (breadth // 4), hidden)
        self.fc2 = nn.Linear(hidden, classes)
        self.blocks = (
            ("conv1", relu, pool), ("conv2", relu, pool), (flat, "fc1", relu), ("fc2",),
        )  # fmt: skip
