"""Settings of local SGD that make sense, checked where a method is made."""

from __future__ import annotations

from hetsim.core.errors import SpecError


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
    _require(epochs >= 1, f"epochs is {epochs}", "Train for at least one epoch.")
    _require(batch >= 1, f"batch is {batch}", "Take at least one sample a step.")
    _require(lr > 0.0, f"lr is {lr:g}", "Choose a learning rate above 0, such as 0.05.")
    _require(0.0 <= momentum < 1.0, f"momentum is {momentum:g}", "Choose it from 0 to below 1.")
    for name, value in (("weight_decay", weight_decay), ("mu", proximal)):
        _require(value >= 0.0, f"{name} is {value:g}", "Choose 0 or more.")


def _require(holds: bool, what: str, remedy: str) -> None:
    if not holds:
        raise SpecError(what, remedy=remedy)
