"""Settings of local SGD, which all methods that train share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from hetsim.core.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd:
    """Abstract: how a model is trained in a round.

    Attributes:
        epochs: passes over the samples a round.
        batch: samples a step.
        lr: learning rate.
        momentum: of the optimizer, which starts fresh each round.
        weight_decay: L2 penalty on the weights.
        milestones: rounds, counted from 0, at which the learning rate falls for good.
        gamma: what the learning rate is multiplied by at each of them.
    """

    epochs: int = 1
    batch: int = 20
    lr: float = 0.05
    momentum: float = 0.0
    weight_decay: float = 0.0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check(**self.training)
        rounds = list(self.milestones)
        require(
            rounds == sorted({max(each, 1) for each in rounds}),
            f"milestones are {rounds}", "Name rounds from 1 on, in rising order.",
        )  # fmt: skip
        require(0.0 < self.gamma <= 1.0, f"gamma is {self.gamma:g}", "Choose it above 0, up to 1.")

    @property
    @abstractmethod
    def training(self) -> dict[str, Any]:
        """All settings of the training, as `ops.train` takes them."""

    def at(self, number: int) -> dict[str, Any]:
        """All settings of the training in round `number`."""
        passed = sum(each <= number for each in self.milestones)
        return {**self.training, "lr": self.lr * self.gamma**passed}

    @property
    def sgd(self) -> dict[str, Any]:
        """The settings above."""
        return {
            "epochs": self.epochs, "batch": self.batch, "lr": self.lr,
            "momentum": self.momentum, "weight_decay": self.weight_decay,
        }  # fmt: skip


def check(
    *,
    epochs: int,
    batch: int,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    proximal: float = 0.0,
) -> None:
    """Refuse what `ops.train` cannot do or what does not descend.

    Raises:
        SpecError: an option is outside its range.
    """
    require(epochs >= 1, f"epochs is {epochs}", "Train for at least one epoch.")
    require(batch >= 1, f"batch is {batch}", "Take at least one sample a step.")
    require(lr > 0.0, f"lr is {lr:g}", "Choose a learning rate above 0, such as 0.05.")
    require(0.0 <= momentum < 1.0, f"momentum is {momentum:g}", "Choose it from 0 to below 1.")
    for name, value in (("weight_decay", weight_decay), ("mu", proximal)):
        require(value >= 0.0, f"{name} is {value:g}", "Choose 0 or more.")


def require(holds: bool, what: str, remedy: str) -> None:
    """Refuse an option.

    Raises:
        SpecError: it does not hold.
    """
    if not holds:
        raise SpecError(what, remedy=remedy)
