"""LeNet-5 in its modern form (max pooling, ReLU): LeCun et al., Proc. IEEE 86(11), 1998, fig. 2."""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._chain import Chain, flat, pool, relu
from hetsim.learn.models._shape import require


def lenet5(shape: tuple[int, ...], classes: int) -> nn.Module:
    """LeNet-5 for images of at least 12 x 12; 28 x 28 gives its 400 features."""
    require("lenet5", shape, "channels, height, width", 12)
    return _Network(shape, classes)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, breadth = shape
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        features = 16 * ((height // 2 - 4) // 2) * ((breadth // 2 - 4) // 2)
        self.fc1 = nn.Linear(features, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)
        self.blocks = (
            ("conv1", relu, pool), ("conv2", relu, pool),
            (flat, "fc1", relu), ("fc2", relu), ("fc3",),
        )  # fmt: skip
