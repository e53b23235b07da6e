"""Multinomial logistic regression: one linear layer."""

from __future__ import annotations

from math import prod

from torch import nn


def logistic(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Logistic regression on the flattened sample."""
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), classes))
