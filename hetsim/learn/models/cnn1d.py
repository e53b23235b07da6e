"""Three convolutions along time and two linear layers, for windows of sensor signals."""

from __future__ import annotations

from torch import nn

from hetsim.learn.models._chain import Chain, flat, layers
from hetsim.learn.models._shape import positive, require


def cnn1d(shape: tuple[int, ...], classes: int, *, width: int = 32) -> nn.Module:
    """The network for signals of at least 8 points; `width` channels, then twice as many."""
    require("cnn1d", shape, "channels, time", 8)
    positive(width=width)
    return _Network(shape, classes, width)


class _Network(Chain):
    def __init__(self, shape: tuple[int, ...], classes: int, width: int) -> None:
        super().__init__()
        channels, points = shape
        stack: list[nn.Module] = []
        for before, after, taps in (
            (channels, width, 5), (width, 2 * width, 5), (2 * width, 2 * width, 3),
        ):  # fmt: skip
            stack += [
                nn.Conv1d(before, after, taps, padding=taps // 2),
                nn.ReLU(),
                nn.MaxPool1d(2),
            ]
        self.features = nn.Sequential(*stack)
        self.head = nn.Sequential(
            nn.Linear(2 * width * (points // 8), 64), nn.ReLU(), nn.Linear(64, classes)
        )
        first, second = layers(self.head, "head")
        self.blocks = (*layers(self.features, "features"), (flat, *first), second)
