"""Only who fits: a uniform cohort of the clients whose free memory holds the task.

A client is left out while its free memory, as it reports it, is less than (1 + headroom) times what
the task takes by the method's account. Who reports that much again is back in. If nobody does,
nobody is asked: the server looks again later.

This is the policy that methods for small devices compare themselves with ("ExclusiveFL"): what they
gain is what its excluded clients would have taught. For what excluding them does see Liu, Wu, Wu,
Wang, Lyu, Chen, Xie, "No One Left Behind: Inclusive Federated Learning over Heterogeneous Devices",
KDD 2022. The headroom is an addition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetsim.federation.roster import Candidate, Situation
from hetsim.federation.selection.base import Memoryless, check_cohort, require
from hetsim.federation.selection.random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusive(Memoryless):
    """Uniform among those who fit.

    Attributes:
        cohort: clients a round.
        headroom: memory to be left, as a share of what the task takes.
    """

    cohort: int = 10
    headroom: float = 0.0

    def __post_init__(self) -> None:
        check_cohort(self.cohort)
        require(self.headroom >= 0.0, f"headroom is {self.headroom:g}", "Choose 0 or more.")

    def choose(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """At most `count` of those who fit, in fleet order; none if nobody does."""
        room = 1.0 + self.headroom
        fitting = [one for one in candidates if one.memory >= room * one.need]
        return Random(cohort=self.cohort).choose(fitting, count, about)
