"""Over-selection: ask more clients than are needed, and go on when enough have delivered.

Source: Bonawitz et al., "Towards Federated Learning at Scale: System Design", MLSys 2019, where
130 % of the wanted number are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from hetsim.core.quantities import Seconds
from hetsim.federation.pace.sync import check, larger, rounds
from hetsim.federation.rounds import Rounds
from hetsim.federation.run import Demand, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSelection:
    """The first cohort's worth of a larger number counts; the work of the rest is lost.

    Attributes:
        factor: how many times the cohort is asked.
        deadline: seconds after which whoever has not delivered is dropped all the same.
    """

    factor: float = 1.3
    deadline: Seconds = inf

    def __post_init__(self) -> None:
        check(self.deadline, self.factor, "factor")

    @property
    def demands(self) -> frozenset[Demand]:
        """Nothing."""
        return frozenset()

    def updates(self, cohort: int, able: int) -> tuple[int, int]:
        """Of a step: more than are waited for are asked."""
        return min(larger(cohort, self.factor), able), min(cohort, able)

    def begin(self, run: Run) -> Rounds:
        """Rounds that end with the first cohort's worth."""
        return rounds(run, deadline=self.deadline, factor=self.factor)
