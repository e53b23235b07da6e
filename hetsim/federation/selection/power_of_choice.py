"""The power of choice: of a few candidates drawn at random, those with the highest loss.

d candidates are drawn without replacement, in proportion to the size of their data, and those of
highest loss are asked. The larger d, the faster, and the more biased towards clients that the model
does not fit. The losses are `fresh` (pow-d: the server sends the current model to the d, and each
sends its loss back, which all of them pay for) or `reported` (rpow-d: what came with their last
updates, infinite for a client never asked).

Source: Cho, Wang, Joshi, "Towards Understanding Biased Client Selection in Federated Learning",
AISTATS 2022.

Departures: d is `factor` times what is asked for, so that it follows a cohort that is enlarged or
asked one by one; the reported loss is the mean over the shard of the model that it started from,
where theirs is the mean over the steps of local training; one that was asked and never delivered
comes last, since nothing says that it ever will. A reported loss is taken for a by-product of the
training (assumed): its few bytes are paid for, no forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isnan
from typing import ClassVar, Literal

from hetsim.federation.roster import Candidate, Situation
from hetsim.federation.selection.base import (
    Memoryless,
    check_cohort,
    draw,
    in_fleet_order,
    require,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerOfChoice(Memoryless):
    """Those of highest loss among some that are drawn.

    Attributes:
        cohort: clients a round.
        factor: candidates drawn for each client that is asked; with 1 it is a draw by data size.
        loss: "reported" with the last update, or "fresh", for which the drawn candidates download
            the model and evaluate it.
    """

    cohort: int = 10
    factor: float = 2.0
    loss: Literal["reported", "fresh"] = "reported"
    observes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_cohort(self.cohort)
        require(
            self.factor >= 1.0,
            f"factor is {self.factor:g}",
            "Draw at least as many candidates as are asked: 1 or more.",
        )

    def poll(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """The drawn candidates, if their loss is to be fresh."""
        if self.loss == "reported" or count >= len(candidates):
            return []
        return in_fleet_order(self._draw(candidates, count, about))

    def choose(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """The `count` of highest loss among the drawn; of equals, those drawn first."""
        if count >= len(candidates):
            return list(candidates)
        drawn = self._draw(candidates, count, about)
        drawn.sort(key=_loss, reverse=True)
        return in_fleet_order(drawn[:count])

    def _draw(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        sizes = [float(candidate.samples) for candidate in candidates]
        return draw(candidates, ceil(self.factor * count), sizes, about.rng)


def _loss(candidate: Candidate) -> float:
    loss = candidate.loss
    if loss is None:
        return -inf if candidate.asked else inf
    return inf if isnan(loss) else loss
