"""Two 5x5 convolutions and two linear layers, the usual small network of federated papers."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.models._shape import positive, require


def small_cnn(
    shape: tuple[int, ...], classes: int, *, width: int = 16, hidden: int = 128
) -> nn.Module:
    """The network for images of at least 4 x 4; `width` channels, then twice as many."""
    require("small_cnn", shape, "channels, height, width", 4)
    positive(width=width, hidden=hidden)
    return _Network(shape, classes, width, hidden)


class _Network(nn.Module):
    def __init__(self, shape: tuple[int, ...], classes: int, width: int, hidden: int) -> None:
        super().__init__()
        channels, height, breadth = shape
        self.conv1 = nn.Conv2d(channels, width, 5, padding=2)
        self.conv2 = nn.Conv2d(width, 2 * width, 5, padding=2)
        self.fc1 = nn.Linear(2 * width * (height // 4) * (breadth // 4), hidden)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))
