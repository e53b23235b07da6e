"""ResNet-18 with a stem for small images (3x3, no pooling): He et al., arXiv 1512.03385, table 1.

Four stages of 64, 128, 256 and 512 channels, two blocks each; shortcuts that change the shape are
1x1 convolutions (option B).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.models._chain import Chain, average, every, relu
from hetsim.learn.models._shape import require


def resnet18(shape: tuple[int, ...], classes: int) -> nn.Module:
    """ResNet-18 for images of at least 9 x 9."""
    require("resnet18", shape, "channels, height, width", 9)
    return _Network(shape[0], classes)


class _Block(nn.Module):
    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if before != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class _Network(Chain):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(_Block(64, 64, 1), _Block(64, 64, 1))
        self.layer2 = nn.Sequential(_Block(64, 128, 2), _Block(128, 128, 1))
        self.layer3 = nn.Sequential(_Block(128, 256, 2), _Block(256, 256, 1))
        self.layer4 = nn.Sequential(_Block(256, 512, 2), _Block(512, 512, 1))
        self.linear = nn.Linear(512, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.blocks = (
            ("conv1", "bn1", relu),
            *every("layer1", self.layer1), *every("layer2", self.layer2),
            *every("layer3", self.layer3), *every("layer4", self.layer4),
            (average, "linear"),
        )  # fmt: skip
