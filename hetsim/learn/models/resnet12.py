"""ResNet-12 for Raspberry Pis: two convolutions, three residual blocks, a linear layer.

The network of the public runs of FL, DPFL and EDPFL on two Raspberry Pi 4 by the first author of
EcoFed (arXiv 2304.05495). Reconstructed so that the counts are theirs: 1,268,800 parameters for 10
classes, 14.29 million multiply-adds a 32 x 32 image, of which the five places to cut at come after
1.77, 9.44, 1.25, 0.92 and 0.92, and activations of 64 x 16 x 16 after the first. That fixes two
convolutions to 64 channels, each with pooling, then blocks of 64, 128 and 256 channels, each of
stride 2 with a 1x1 shortcut; every convolution is followed by batch normalisation; no layer has a
bias. Its twelve layers are two convolutions, two in each block, three shortcuts and the linear one.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.models._chain import Chain, average, pool, relu
from hetsim.learn.models._norm import norm
from hetsim.learn.models._shape import require


def resnet12(shape: tuple[int, ...], classes: int, *, statistics: str = "batch") -> nn.Module:
    """The network for images of at least 4 x 4; batch statistics as in EcoFed's own code."""
    require("resnet12", shape, "channels, height, width", 4)
    return _Network(shape[0], classes, statistics)


class _Block(nn.Module):
    def __init__(self, before: int, channels: int, statistics: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, 2, padding=1, bias=False)
        self.bn1 = norm(channels, statistics)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = norm(channels, statistics)
        self.shortcut = nn.Sequential(
            nn.Conv2d(before, channels, 1, 2, bias=False), norm(channels, statistics)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class _Network(Chain):
    def __init__(self, channels: int, classes: int, statistics: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        self.bn1 = norm(64, statistics)
        self.conv2 = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.bn2 = norm(64, statistics)
        self.layer1 = _Block(64, 64, statistics)
        self.layer2 = _Block(64, 128, statistics)
        self.layer3 = _Block(128, 256, statistics)
        self.linear = nn.Linear(256, classes, bias=False)
        self.blocks = (
            ("conv1", "bn1", relu, pool), ("conv2", "bn2", relu, pool),
            ("layer1",), ("layer2",), ("layer3",), (average, "linear"),
        )  # fmt: skip
