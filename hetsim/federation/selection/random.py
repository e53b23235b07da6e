"""A cohort drawn uniformly without replacement from the clients that are present.

The selection of McMahan, Moore, Ramage, Hampson, Aguera y Arcas, "Communication-Efficient Learning
of Deep Networks from Decentralized Data", AISTATS 2017, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hetsim.federation.roster import Candidate, Situation
from hetsim.federation.selection.base import Memoryless, check_cohort


@dataclass(frozen=True, slots=True, kw_only=True)
class Random(Memoryless):
    """Uniform selection.

    Attributes:
        cohort: clients a round.
    """

    blind: ClassVar[bool] = True
    cohort: int = 10

    def __post_init__(self) -> None:
        check_cohort(self.cohort)

    def choose(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """`count` of them in fleet order, or all if there are fewer."""
        if count >= len(candidates):
            return list(candidates)
        picks = about.rng.choice(len(candidates), size=count, replace=False)
        return [candidates[pick] for pick in sorted(picks.tolist())]
