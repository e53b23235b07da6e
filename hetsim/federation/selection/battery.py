"""The fullest batteries first: a rule that needs nothing but what clients report of their charge.

A client is rated by the charge that it would have left after taking part,

    left = charge - expected,        1 on mains,

where `expected` is the share that its last participation took; for one that has never delivered,
the mean of that over the others of whom it is known. The highest are taken, among equals by chance;
who would be left with less than `least` is not asked while there is anybody else.

Own design. It is not fair: a client on mains is always preferred. For a rule that weighs the
battery against what a client has to teach, see `eafl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetsim.core.quantities import Fraction
from hetsim.federation.roster import Candidate, Situation
from hetsim.federation.selection.base import Memoryless, best, check_cohort, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery(Memoryless):
    """Those who will have the most charge left.

    Attributes:
        cohort: clients a round.
        least: charge to be left, below which a client is only asked if all are below.
    """

    cohort: int = 10
    least: Fraction = 0.2

    def __post_init__(self) -> None:
        check_cohort(self.cohort)
        require(0.0 <= self.least <= 1.0, f"least is {self.least:g}", "Choose it between 0 and 1.")

    def choose(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """At most `count` in fleet order."""
        known = [candidate.spent for candidate in candidates if candidate.spent is not None]
        usual = sum(known) / len(known) if known else 0.0
        left: dict[str, Fraction] = {}
        for candidate in candidates:
            charge = candidate.charge
            expected = usual if candidate.spent is None else candidate.spent
            left[candidate.id] = 1.0 if charge is None else charge - expected
        able = [candidate for candidate in candidates if left[candidate.id] >= self.least]
        return best(able or candidates, count, lambda one: left[one.id], about.rng)
