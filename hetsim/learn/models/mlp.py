"""Multilayer perceptron with ReLU."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import nn

from hetsim.learn.models._shape import positive


def mlp(shape: tuple[int, ...], classes: int, *, hidden: tuple[int, ...] = (64,)) -> nn.Module:
    """Fully connected layers of the `hidden` widths, then the classes."""
    for width in hidden:
        positive(hidden=width)
    layers: list[nn.Module] = [nn.Flatten()]
    widths = (prod(shape), *hidden)
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))
