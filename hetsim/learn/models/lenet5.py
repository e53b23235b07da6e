"""LeNet-5 in its modern form (max pooling, ReLU): LeCun et al., Proc. IEEE 86(11), 1998, fig. 2."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.models._shape import require


def lenet5(shape: tuple[int, ...], classes: int) -> nn.Module:
    """LeNet-5 for images of at least 12 x 12; 28 x 28 gives its 400 features."""
    require("lenet5", shape, "channels, height, width", 12)
    return _Network(shape, classes)


class _Network(nn.Module):
    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, breadth = shape
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        features = 16 * ((height // 2 - 4) // 2) * ((breadth // 2 - 4) // 2)
        self.fc1 = nn.Linear(features, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))
