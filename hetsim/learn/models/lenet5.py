"""LeNet-5 in its modern form (max pooling, ReLU): LeCun et al., Proc. IEEE 86(11), 1998, fig. 2.

Its first convolution pads images of 28 x 28 to the 32 x 32 of the original. Without that (`padding`
0) it is the network of two convolutions that NIID-Bench (Li, Diao, Chen, He, "Federated Learning on
Non-IID Data Silos: An Experimental Study", ICDE 2022) and SPATL (Yu et al., SC 2022, arXiv
2111.14345) use: 62,006 parameters for 3 x 32 x 32 images and 10 classes, 44,426 for 1 x 28 x 28.
SPATL's code has no ReLU behind the convolutions; they have one here.
"""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._chain import Chain, flat, pool, relu
from hetsim.learn.models._shape import require, scaled

_CHANNELS, _HIDDEN = (6, 16), (120, 84)


def lenet5(
    shape: tuple[int, ...], classes: int, *, width: float = 1.0, padding: int = 2
) -> nn.Module:
    """LeNet-5 for images of at least 12 x 12, four more without padding.

    Args:
        shape: of a sample.
        classes: number of labels.
        width: of all hidden layers, rounded up; a narrower network's weights are the first ones of
            a wider one's.
        padding: zeros around the image, 0 to 2; with 2, 28 x 28 gives the 400 features of 32 x 32
            with 0.
    """
    if padding not in (0, 1, 2):
        raise ValueError(f"padding is {padding}, and must be 0, 1 or 2")
    require("lenet5", shape, "channels, height, width", 16 - 2 * padding)
    return _Network(shape, classes, width, padding)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int, width: float, padding: int) -> None:
        super().__init__()
        channels, *sides = shape
        first, second = (scaled(each, width) for each in _CHANNELS)
        third, fourth = (scaled(each, width) for each in _HIDDEN)
        height, breadth = (((side + 2 * padding - 4) // 2 - 4) // 2 for side in sides)
        self.conv1 = nn.Conv2d(channels, first, 5, padding=padding)
        self.conv2 = nn.Conv2d(first, second, 5)
        self.fc1 = nn.Linear(second * height * breadth, third)
        self.fc2 = nn.Linear(third, fourth)
        self.fc3 = nn.Linear(fourth, classes)
        self.blocks = (
            ("conv1", relu, pool), ("conv2", relu, pool),
            (flat, "fc1", relu), ("fc2", relu), ("fc3",),
        )  # fmt: skip
