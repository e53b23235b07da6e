"""How much an update still counts that started from an older model.

Source: Xie, Koyejo, Gupta, "Asynchronous Federated Optimization", 2019, section 5.2: constant,
polynomial and hinge.
"""

from __future__ import annotations

from typing import Literal

from hetsim.core.errors import SpecError

Weighting = Literal["polynomial", "hinge", "constant"]


def factor(weighting: Weighting, staleness: int, exponent: float, grace: int) -> float:
    """From 1 for a fresh update towards 0.

    >>> factor("polynomial", 3, 0.5, 0), factor("hinge", 3, 0.5, 1), factor("constant", 3, 0.5, 0)
    (0.5, 0.5, 1.0)
    """
    match weighting:
        case "polynomial":
            return (1.0 + staleness) ** -exponent
        case "hinge":
            return 1.0 / (1.0 + exponent * max(0, staleness - grace))
        case _:
            return 1.0


def check(exponent: float, grace: int, bound: float) -> None:
    """Refuse settings that make no sense.

    Raises:
        SpecError: one of them is negative.
    """
    for name, value in (("exponent", exponent), ("grace", grace), ("max_staleness", bound)):
        if value < 0:
            raise SpecError(f"{name} is {value:g}", remedy="Give 0 or more.")
