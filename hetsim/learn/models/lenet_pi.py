"""LeNet-5 for colour images and without biases, as it was run on Raspberry Pis.

The network of the public runs of FL and DPFL on two Raspberry Pi 4 by the first author of EcoFed
(arXiv 2304.05495). Reconstructed so that the counts are theirs: 61,770 parameters for 10 classes
and 3 channels, 0.65 million multiply-adds a 32 x 32 image, and 1,176 activations (6 x 14 x 14)
after the first layer. That fixes 5x5 convolutions without padding and leaves no room for a bias.
Max pooling and ReLU are the usual modern form.
"""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._chain import Chain, flat, pool, relu
from hetsim.learn.models._shape import require


def lenet_pi(shape: tuple[int, ...], classes: int) -> nn.Module:
    """The network for images of at least 16 x 16."""
    require("lenet_pi", shape, "channels, height, width", 16)
    return _Network(shape, classes)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, breadth = shape
        self.conv1 = nn.Conv2d(channels, 6, 5, bias=False)
        self.conv2 = nn.Conv2d(6, 16, 5, bias=False)
        left = 16 * (((height - 4) // 2 - 4) // 2) * (((breadth - 4) // 2 - 4) // 2)
        self.fc1 = nn.Linear(left, 120, bias=False)
        self.fc2 = nn.Linear(120, 84, bias=False)
        self.fc3 = nn.Linear(84, classes, bias=False)
        self.blocks = (
            ("conv1", relu, pool), ("conv2", relu, pool),
            (flat, "fc1", relu), ("fc2", relu), ("fc3",),
        )  # fmt: skip
