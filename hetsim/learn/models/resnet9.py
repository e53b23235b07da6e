"""ResNet-9, as EcoFed is measured with: two convolutions, three residual blocks, a linear layer.

Wu et al., arXiv 2304.05495. Reconstructed so that the counts are those of the authors' code:
9,395,722 parameters for 10 classes, 76,032, 995,328 and 4,668,928 of them in the first two to four
layers, 153.8 million multiply-adds a 32 x 32 image, 77.8 and 134.9 of them in the first three and
four. These fix what the text leaves open: all layers have biases; a residual block computes both
its convolutions before it halves the picture, by pooling, and its shortcut is a 1x1 convolution of
stride 2 without normalisation, or nothing where neither size nor channels change. A multiply-add
count cannot tell the two global poolings apart; the mean is taken here.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.models._chain import Chain, average, pool, relu
from hetsim.learn.models._norm import norm
from hetsim.learn.models._shape import require


def resnet9(shape: tuple[int, ...], classes: int, *, statistics: str = "batch") -> nn.Module:
    """The network for images of at least 16 x 16; batch statistics as the authors have them."""
    require("resnet9", shape, "channels, height, width", 16)
    return _Network(shape[0], classes, statistics)


class _Block(nn.Module):
    def __init__(self, before: int, channels: int, statistics: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, padding=1)
        self.bn1 = norm(channels, statistics)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = norm(channels, statistics)
        self.shortcut = nn.Sequential()
        if before != channels:
            self.shortcut = nn.Conv2d(before, channels, 1, stride=2)
        self.halves = before != channels

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.halves:
            out = F.max_pool2d(out, 2, ceil_mode=True)
        return F.relu(out + self.shortcut(x))


class _Network(Chain):
    def __init__(self, channels: int, classes: int, statistics: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, padding=1)
        self.bn1 = norm(64, statistics)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1)
        self.bn2 = norm(128, statistics)
        self.layer1 = _Block(128, 256, statistics)
        self.layer2 = _Block(256, 512, statistics)
        self.layer3 = _Block(512, 512, statistics)
        self.linear = nn.Linear(512, classes)
        self.blocks = (
            ("conv1", "bn1", relu, pool), ("conv2", "bn2", relu, pool),
            ("layer1",), ("layer2",), ("layer3",), (average, "linear"),
        )  # fmt: skip
