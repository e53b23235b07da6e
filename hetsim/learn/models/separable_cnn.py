"""A network of depthwise separable convolutions: MobileNet (Howard et al., arXiv 1704.04861).

A 3x3 stem of 24 channels, then seven layers of a 3x3 convolution within each channel and a 1x1
convolution across them, each of the two followed by batch normalisation and ReLU: three of 88
channels, two of 176 and two of 352. The image is halved before each of these groups, while two
points remain. Global mean, one linear layer. The sizes are assumed, so that a 3 x 32 x 32 image
takes about as many multiply-adds (11.8 million) as in resnet8 (12.2 million), and few channels are
ever held at full size.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.models._chain import Block, Chain, average, halve, relu
from hetsim.learn.models._shape import require, scaled

_CHANNELS = (24, 88, 88, 88, 176, 176, 352, 352)
_HALVED = (4, 6)


def separable_cnn(shape: tuple[int, ...], classes: int, *, width: float = 1.0) -> nn.Module:
    """The network for images of at least 5 x 5.

    Args:
        shape: of a sample.
        classes: number of labels.
        width: of all hidden channels, rounded up; a narrower network's weights are the first ones
            of a wider one's.
    """
    require("separable_cnn", shape, "channels, height, width", 5)
    return _Network(shape[0], classes, [scaled(channels, width) for channels in _CHANNELS])


class _Layer(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.within = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)
        self.bn1 = nn.BatchNorm2d(before)
        self.across = nn.Conv2d(before, after, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.within(x)))
        return F.relu(self.bn2(self.across(x)))


class _Network(Chain):
    def __init__(self, channels: int, classes: int, widths: list[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        blocks: list[Block] = [("conv1", "bn1", relu, halve)]
        for number, (before, after) in enumerate(pairwise(widths), 2):
            self.add_module(f"layer{number}", _Layer(before, after))
            pooled = (halve,) if number in _HALVED else ()
            blocks.append((f"layer{number}", *pooled))
        self.linear = nn.Linear(widths[-1], classes)
        self.blocks = (*blocks, (average, "linear"))
