"""VGG-11 without batch normalisation, with dropout: arXiv 1409.1556, table 1, column A.

As SPATL is measured with (Yu et al., SC 2022, arXiv 2111.14345): eight 3x3 convolutions with
biases, 2 x 2 pooling after the first, second, fourth, sixth and eighth, linear layers 512-512-512-
classes, the first two behind dropout. 9,750,922 parameters for 3 x 32 x 32 images and 10 classes.
Dropout draws from the seed of the training, so that it repeats bitwise like everything else; half
of the features are dropped (assumed: the source's layers say nothing else). Initial weights of
convolutions are He's normal ones of their outputs, biases zero (assumed): without normalisation
those of torch's layers fade away in eight layers.
"""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._chain import Chain, flat, layers, relu
from hetsim.learn.models._shape import require, scaled

_CHANNELS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")
_HIDDEN = 512


def vgg11_plain(
    shape: tuple[int, ...], classes: int, *, width: float = 1.0, dropout: float = 0.5
) -> nn.Module:
    """The network for images of at least 32 x 32.

    Args:
        shape: of a sample.
        classes: number of labels.
        width: of all hidden layers, rounded up; a narrower network's weights are the first ones of
            a wider one's.
        dropout: share of the features before each of the first two linear layers; 0 for none.
    """
    require("vgg11_plain", shape, "channels, height, width", 32)
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout is {dropout}, and must be from 0 to below 1")
    return _Network(shape, classes, width, dropout)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int, width: float, dropout: float) -> None:
        super().__init__()
        stack: list[nn.Module] = []
        before = shape[0]
        for item in _CHANNELS:
            if isinstance(item, str):
                stack.append(nn.MaxPool2d(2))
                continue
            after = scaled(item, width)
            convolution = nn.Conv2d(before, after, 3, padding=1)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)
            stack += [convolution, nn.ReLU()]
            before = after
        self.features = nn.Sequential(*stack)
        hidden = scaled(_HIDDEN, width)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.fc1 = nn.Linear(before * (shape[1] // 32) * (shape[2] // 32), hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, classes)
        self.blocks = (
            *layers(self.features, "features"),
            (flat, "dropout", "fc1", relu), ("dropout", "fc2", relu), ("fc3",),
        )  # fmt: skip
