"""Stochastic gradient descent in place, without an optimizer object.

With gradient g, weight decay d, proximal weight mu (FedProx: Li et al., arXiv 1812.06127, eq. 2,
anchored at w0, where the training starts), momentum m and learning rate r:

    g <- g + d w + mu (w - w0);    v <- m v + g;    w <- w - r v
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hetsim.core.ref import Ref
from hetsim.learn import vectors
from hetsim.learn.vectors import Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """The rule of a training.

    Attributes:
        lr: learning rate.
        momentum: of the steps; its state starts afresh with each training.
        weight_decay: added to the gradient, times the weights.
        proximal: pull towards the starting model.
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    proximal: float = 0.0

    @classmethod
    def of(cls, ref: Ref[Any]) -> Descent:
        """The rule that a training's Ref names."""
        return cls(**{name: ref.arg(name) for name in cls.__slots__})

    def velocity(self, weights: Tensors) -> list[Tensor]:
        """State of the momentum before the first step; empty without momentum."""
        return [torch.zeros_like(weight) for weight in weights] if self.momentum else []

    def anchor(self, weights: Tensors) -> list[Tensor]:
        """What the weights are pulled towards; empty without a pull."""
        return [weight.clone() for weight in weights] if self.proximal else []

    def step(
        self,
        weights: Tensors,
        gradient: Tensors,
        velocity: Tensors,
        anchor: Tensors,
    ) -> None:
        """Change `weights` and `velocity`; `gradient` is used up."""
        if self.weight_decay:
            vectors.add_(gradient, weights, alpha=self.weight_decay)
        if anchor:
            vectors.add_(gradient, vectors.sub(weights, anchor), alpha=self.proximal)
        if velocity:
            vectors.mul_(velocity, self.momentum)
            vectors.add_(velocity, gradient)
        vectors.add_(weights, velocity or gradient, alpha=-self.lr)
