"""Everybody in turn: those whom the server has not asked for the longest.

With all clients present and nobody faster than a round, cohorts of K go through N clients in N / K
rounds. Who was away when his turn came is the first when he is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetsim.federation.roster import Candidate, Situation
from hetsim.federation.selection.base import Memoryless, check_cohort, in_fleet_order


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRobin(Memoryless):
    """Least recently asked first, then in fleet order; nothing is left to chance.

    Attributes:
        cohort: clients a round.
    """

    cohort: int = 10

    def __post_init__(self) -> None:
        check_cohort(self.cohort)

    def choose(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """The `count` whose last turn is the longest ago."""
        del about
        waiting = sorted(candidates, key=lambda candidate: (candidate.last_asked, candidate.index))
        return in_fleet_order(waiting[:count])
