"""Stochastic gradient descent in place, without an optimizer object.

With gradient g, weight decay d, proximal weight mu (FedProx: Li et al., arXiv 1812.06127, eq. 2,
anchored at w0, where the training starts), momentum m and learning rate r:

    g <- g + d w + mu (w - w0);    v <- m v + g;    w <- w - r v

Control variates c and c_i (SCAFFOLD: Karimireddy et al., arXiv 1910.06378, eq. 3) add s (c - c_i),
with a strength s, to the gradient g; or each step is followed by one of its own, which no momentum
carries on, w <- w - r s (c - c_i).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from hetsim.core.ref import Ref
from hetsim.learn import vectors
from hetsim.learn.vectors import Tensors

Where = Literal["gradient", "step"]
"""What control variates correct: the gradient, or the weights after each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """The rule of a training.

    Attributes:
        lr: learning rate.
        momentum: of the steps; its state starts afresh with each training.
        weight_decay: added to the gradient, times the weights.
        proximal: pull towards the starting model.
        strength: of the correction by control variates.
        where: what they correct.
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    proximal: float = 0.0
    strength: float = 0.0
    where: Where = "gradient"

    @classmethod
    def of(cls, ref: Ref[Any]) -> Descent:
        """The rule that a training's Ref names."""
        return cls(**{name: ref.arg(name) for name, _ in ref.args if name in cls.__slots__})

    def length(self, steps: int) -> float:
        """How many learning rates a gradient that never changes moves the weights by in `steps`.

        Plain steps move them by one each, momentum m by (1 - m^k) / (1 - m) in step k, and under a
        pull mu step k does by (1 - r mu)^(k - 1): the norm of a_i of Wang et al., "Tackling the
        Objective Inconsistency Problem in Heterogeneous Federated Optimization", NeurIPS 2020,
        arXiv 2007.07481, section 4.1. With both, the recursion above is followed (derived).
        """
        moved = speed = 0.0
        for _ in range(steps):
            speed = self.momentum * speed + 1.0 - self.lr * self.proximal * moved
            moved += speed
        return moved

    def velocity(self, weights: Tensors) -> list[Tensor]:
        """State of the momentum before the first step; empty without momentum."""
        return [torch.zeros_like(weight) for weight in weights] if self.momentum else []

    def anchor(self, weights: Tensors) -> list[Tensor]:
        """What the weights are pulled towards; empty without a pull."""
        return [weight.clone() for weight in weights] if self.proximal else []

    def correction(self, weights: Tensors, apart: Sequence[Tensor | None]) -> list[Tensor]:
        """What every step adds, to the gradient or to the weights.

        Where it is zero it is -0.0, which added to any number leaves each of its bits.

        Args:
            weights: what is trained.
            apart: c - c_i for each of them, of its shape; None where there are no variates.
        """
        factor = self.strength if self.where == "gradient" else -self.lr * self.strength
        added = [torch.full_like(weight, -0.0) for weight in weights]
        for whole, difference in zip(added, apart, strict=True):
            if difference is not None:
                whole.copy_(difference).mul_(factor)
                whole.masked_fill_(whole == 0.0, -0.0)
        return added

    def step(
        self,
        weights: Tensors,
        gradient: Tensors,
        velocity: Tensors,
        anchor: Tensors,
        correction: Tensors = (),
    ) -> None:
        """Change `weights` and `velocity`; `gradient` is used up."""
        if self.weight_decay:
            vectors.add_(gradient, weights, alpha=self.weight_decay)
        if anchor:
            vectors.add_(gradient, vectors.sub(weights, anchor), alpha=self.proximal)
        if correction and self.where == "gradient":
            vectors.add_(gradient, correction)
        if velocity:
            vectors.mul_(velocity, self.momentum)
            vectors.add_(velocity, gradient)
        vectors.add_(weights, velocity or gradient, alpha=-self.lr)
        if correction and self.where == "step":
            vectors.add_(weights, correction)
